import Core
package import Identity
import Repository
package import ServerSettings
import Support

extension RepositoryFixture {
  /// Runs the body with a core that has templates in Cfg, and real renderers.
  /// - Parameters:
  ///   - templates: entries of Cfg by name, with the text of their template; `NAME.cheetah` and the like for other kinds.
  ///   - conf: sections of bcfg2.conf.
  package static func run(
    templates: [String: String], files: [String: String] = [:], plugins: [String] = [], conf: String = "",
    _ body: (RepositoryFixture) async throws -> Void
  ) async throws {
    var all = files
    var names: [String] = []
    for (file, text) in templates {
      let parts = file.split(separator: ".", maxSplits: 1)
      let name = String(parts[0])
      names.append(name)
      all["Cfg/\(name)/\(name).\(parts.count > 1 ? String(parts[1]) : "genshi")"] = text
    }
    let bundle = Set(names).sorted().map { "<Path name='/\($0)'/>" }.joined()
    let settings = try templateSettings(conf, plugins)
    try await run(files: Self.files(bundle: bundle, all), settings: settings, recordsPlugins: true, body)
  }

  package static func templateSettings(_ conf: String, _ plugins: [String] = []) throws -> Settings {
    var settings = try settings(conf: conf)
    settings.plugins = ["Bundler", "Cfg", "Metadata"] + plugins
    settings.password = "foobat"
    return settings
  }

  /// What a template of Cfg alone gives.
  package func rendered(template: String, of client: ClientName = "one.example.com") async throws -> String {
    let requests = core.interfaces.templateGenerators.compactMap {
      $0.templateRequest(path: repository.file(template))
    }
    guard let request = requests.first else { return "no such template" }
    let made = try await core.templates.render(request, try await core.buildMetadata(client))
    return (made as? FileContents).map { String(decoding: $0.bytes, as: UTF8.self) } ?? "no contents"
  }

  /// The text of an entry; its failure where it failed.
  package func rendered(_ name: String, of client: ClientName = "one.example.com") async throws -> String {
    guard let entry = try await entry(name, of: client) else { return "no such entry" }
    if let failure = entry["failure"] { return "failed: \(failure.replacing(repository.path, with: "REPO"))" }
    return entry.text ?? ""
  }
}

import Core
import EventLoop
import Identity
import Logging
import Repository
public import ServerSettings

/// `bcfg2-server --check-templates`: renders all templates for one client of each profile, and prints failures.
///
/// It is for administrators who migrate or restructure a repository. Like `TemplateTool` it serves nobody and writes
/// nothing. Binding entries as for an answer would make keys and run programs; instead it renders structures, files of
/// Cfg with what says how to make them, and templates that generators of other entries use. Templates that none of these clients get are only loaded.
public enum TemplateCheck {
  private final class Findings {
    var rendered: Set<String> = []
    var failed: Set<String> = []
    var lines: [String] = []
    var told: Set<String> = []
    var problems = 0
    /// Unreadable files.
    var brokenFiles: Set<String> = []

    func fail(_ path: String, _ reason: String, for client: String?) {
      if brokenFiles.contains(path) { return }
      failed.insert(path)
      // Affects all of them.
      if reason.hasPrefix("no renderer could be started") {
        if told.insert(reason).inserted { lines.append(reason) }
        return
      }
      guard told.insert("\(path)\n\(reason)").inserted else { return }
      lines.append("\(path): \(reason)" + (client.map { " (for \($0))" } ?? ""))
    }

    /// Records a file that is no template, or that cannot be read as one.
    func cannotRead(_ path: String, _ problem: String) {
      brokenFiles.insert(path)
      let isNamed = problem.contains("\(path):") || problem.contains("\(path) ")
      let line = isNamed ? problem : "\(path): \(problem)"
      if told.insert(line).inserted { lines.append(line) }
    }
  }

  /// Prints a line for each failure, and a summary. Returns the exit status: 0, or 1 if a template failed or a file of
  /// the repository could not be read.
  ///
  /// - Parameter hasNIO: whether this program was built with the core on SwiftNIO.
  /// - Throws: `SettingsError`.
  public static func run(_ options: CommandLineOptions, hasNIO: Bool = true) throws -> Int32 {
    let settings = try ReadingCore.settings(options)
    try settings.requireBackend(hasNIO: hasNIO)
    let level = LogSetup.level(settings)
    Log.router.configure([(ConsoleLog(), level == .warning ? .critical : level)], standard: .critical)
    let findings = Findings()
    FileBacked.onProblem = { findings.cannotRead($0, $1) }
    defer { FileBacked.onProblem = nil }
    return try Reactor.runAsCommand { loop in
      do {
        return try await ReadingCore.with(settings, on: loop) { core in
          try await check(core, findings, only: options.renderClient)
        }
      } catch {
        ReadingCore.printError("bcfg2-server: \(error)")
        return 1
      }
    }
  }

  private static func check(_ core: ServerCore, _ findings: Findings, only client: String?) async throws -> Int32 {
    if let problem = core.templates.checks.pythonProblem { throw PluginExecutionError(problem) }
    core.templates.onFailed = { path, reason in findings.cannotRead(path, reason) }
    await core.templates.checks.loadHelpers()
    await core.templates.checks.loadQueries()
    core.templates.onReport = { path, _ in findings.rendered.insert(path) }
    let clients =
      if let client { [try ReadingCore.client(client, core)] } else { await oneOfEachProfile(core, findings) }
    for name in clients {
      core.templates.onFailed = { path, reason in
        // Modules are no templates: what is wrong with a query is told as what is wrong with a file.
        if path.hasSuffix(".py") { return findings.cannotRead(path, reason) }
        findings.fail(path, reason, for: name.text)
      }
      do {
        try await render(for: name, core)
      } catch {
        findings.problems += 1
        findings.lines.append("\(name): \(error)")
      }
    }
    core.templates.onFailed = { findings.fail($0, $1, for: nil) }
    let loaded = await core.templates.checks.load(except: findings.rendered.union(findings.failed))
    for line in findings.lines { print(VisibleText.escaped(line, keepsLines: true)) }
    for path in loaded where !findings.failed.contains(path) {
      print(VisibleText.escaped("\(path): rendered for none of these clients, only loaded"))
    }
    let count = findings.rendered.union(findings.failed).union(loaded).count
    let rendered = findings.rendered.subtracting(findings.failed).count
    let broken = counted(findings.brokenFiles.count, "other file cannot be used", "other files cannot be used")
    print(
      "\(counted(count, "template")), \(counted(clients.count, "client")): \(rendered) rendered, "
        + "\(findings.failed.count) failed"
        + (findings.problems == 0 ? "" : ", \(findings.problems) without a configuration")
        + (findings.brokenFiles.isEmpty ? "" : ", \(broken)"))
    return findings.failed.isEmpty && findings.brokenFiles.isEmpty && findings.problems == 0 ? 0 : 1
  }

  /// The first client of each profile, by name.
  private static func oneOfEachProfile(_ core: ServerCore, _ findings: Findings) async -> [ClientName] {
    var byProfile: [String: ClientName] = [:]
    for name in await core.metadata.listClients().sorted(by: { $0.text < $1.text }) {
      do {
        let profile = try await core.buildMetadata(name).profile ?? ""
        if byProfile[profile] == nil { byProfile[profile] = name }
      } catch {
        findings.problems += 1
        findings.lines.append("\(name): \(error)")
      }
    }
    return byProfile.values.sorted { $0.text < $1.text }
  }

  /// Renders all templates of a client; failures go to `onFailed`.
  private static func render(for client: ClientName, _ core: ServerCore) async throws {
    let metadata = try await core.buildMetadata(client)
    var structures = try await core.getStructures(metadata)
    try await core.validateStructures(metadata, &structures)
    for entry in structures.flatMap(\.children) where !entry.tag.hasPrefix("Bound") {
      guard let name = entry.name else { continue }
      // Binding a file may make keys; binding other entries only looks up tables.
      if entry.tag != "Path" { _ = try? await core.bind(entry, metadata) }
      for generator in core.interfaces.templateGenerators {
        let looked = entry["altsrc"] ?? name
        if let request = generator.templateRequest(tag: entry.tag, name: looked, realName: name, metadata) {
          _ = try? await core.templates.render(request, metadata)
        }
        for file in generator.structureFiles(tag: entry.tag, name: looked, metadata) where file.isTemplate {
          _ = try? await core.templates.structure(of: file, metadata)
        }
      }
    }
  }
}

import Core
import CoreSupport
import EventLoop
import Glibc
import Identity
import Logging
import PackageSources
import Repository
import ServerSettings
import Support
import XMLRPC

@testable import Plugins

/// A package of an index that a test makes.
struct TestPackage {
  var name: String
  var needs: [String] = []
  var recommends: [String] = []
  var provides: [String] = []
  var flags: RecordFlags = []
}

extension RepositoryFixture {
  /// A repository with the Packages plugin: clients `one.example.com` (groups web, amd64, x86_64) and
  /// `two.example.com` (none of them).
  /// - Parameters:
  ///   - sources: what is inside of `<Sources>`.
  ///   - conf: sections of bcfg2.conf.
  static func runPackages(
    sources: String, bundle: String, files: [String: String] = [:], plugins: [String] = [], conf: String = "",
    monitor: Monitor = .comparing, _ body: (RepositoryFixture, PackagesPlugin) async throws -> Void
  ) async throws {
    var settings = try settings(conf: conf)
    settings.plugins = ["Bundler", "Metadata", "Packages"] + plugins
    settings.password = "foobat"
    let all = [
      "Metadata/groups.xml": """
      <Groups>
        <Group name="base" profile="true"><Bundle name="entries"/><Group name="web"/><Group name="amd64"/>
        <Group name="x86_64"/></Group>
        <Group name="other" profile="true"><Bundle name="entries"/></Group>
      </Groups>
      """, "Packages/sources.xml": "<Sources>\(sources)</Sources>",
    ].merging(files) { $1 }
    try await run(
      files: Self.files(bundle: bundle, all), settings: settings, monitor: monitor, recordsPlugins: true
    ) { fixture async throws in
      try await body(fixture, fixture.plugin(PackagesPlugin.self))
    }
  }

  /// Writes the index of a source, as `bcfg2-packages` would.
  /// - Parameter groups: members of groups, all mandatory.
  func writeIndex(
    _ source: PackageSource, _ packages: [TestPackage], groups: [String: [String]] = [:], in cache: String? = nil
  ) throws {
    var builder = try IndexBuilder(key: source.key)
    for part in source.parts {
      let arch = try builder.text(part.arch)
      builder.beginPart(component: try builder.text(part.component), arch: arch)
      for package in packages {
        _ = try builder.beginRecord(
          name: try builder.text(package.name), version: try builder.text("1"), arch: arch, flags: package.flags)
        for name in package.needs { try builder.addRelation(.depends, name: try builder.text(name)) }
        for name in package.recommends { try builder.addRelation(.recommends, name: try builder.text(name)) }
        for name in package.provides { try builder.addProvide(name: try builder.text(name)) }
      }
      for (group, members) in groups {
        builder.addGroup(id: try builder.text(group), name: .none)
        for name in members { try builder.addMember(try builder.text(name), .mandatory) }
      }
    }
    let bytes = try builder.finish(time: 1_700_000_000)
    let folder = cache ?? repository.file("Packages/cache")
    try makeFolders("\(folder)/indexes")
    let path = "\(folder)/indexes/\(source.indexFileName)"
    unlink(path)
    try AtomicFile.write(FileWrite(bytes, to: path, replacing: .missing, mode: .ordinary))
    monitor.processPending()
  }

  /// The entries of the structure that the plugin adds, as `Tag:name`; nil if there is none.
  func added(to client: ClientName = "one.example.com") async throws -> [String]? {
    try await configuration(of: client).children.first { $0.tag == "Independent" }?.children.map {
      "\($0.tag):\($0.name ?? "")"
    }
  }
}

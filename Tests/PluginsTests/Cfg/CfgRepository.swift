import EventLoop
import Glibc
import Identity
import OrderedCollections
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

/// A core with nothing but Cfg on a temporary repository.
final class CfgRepository {
  let directory = TemporaryDirectory()
  let core: ServerCore
  private(set) var cfg: CfgPlugin! = nil

  /// - Parameters:
  ///   - files: path below Cfg to text.
  ///   - conf: sections of bcfg2.conf; `@DIR@` is the repository.
  init(_ files: [String: String] = [:], conf: String = "", on loop: Reactor) throws {
    mkdir(directory.file("Cfg"), 0o755)
    for (path, text) in files { directory.write(text, to: "Cfg/" + path) }
    let text = conf.replacing("@DIR@", with: directory.path)
    var settings = try Settings(INIFile(bytes: Array(text.utf8), path: "bcfg2.conf"), commandLine: CommandLineOptions())
    settings.repository = directory.path
    let monitor = try #require(FileMonitorFactory.make("inotify", on: loop))
    core = ServerCore(
      settings: settings, loop: loop, fileMonitor: monitor, resolver: FixedResolver(), registry: .standard)
    core.initPlugin(CfgPlugin.self)
    core.interfaces = PluginInterfaces(core.plugins.values)
    cfg = try #require(core.plugins["Cfg"] as? CfgPlugin)
  }

  /// Writes a file of Cfg and has it seen.
  func write(_ text: String, _ path: String, mode: mode_t = 0o644) {
    directory.write(text, to: "Cfg/" + path, mode: mode)
    core.fileMonitor.processPending()
  }

  func write(bytes: [UInt8], _ path: String) throws {
    directory.write("", to: "Cfg/" + path)
    try AtomicFile.writeOver(directory.file("Cfg/" + path), bytes)
    core.fileMonitor.processPending()
  }

  func delete(_ path: String) {
    #expect(unlink(directory.file("Cfg/" + path)) == 0 || rmdir(directory.file("Cfg/" + path)) == 0)
    core.fileMonitor.processPending()
  }

  func read(_ path: String) throws -> String {
    String(decoding: try AtomicFile.readFile(directory.file("Cfg/" + path), limitBytes: 1 << 20), as: UTF8.self)
  }

  /// The entry as the core binds it.
  func bind(_ name: String, _ metadata: ClientMetadata = client()) async throws -> Element {
    let entry = Element("Path", ["name": name])
    try await core.bind(entry, metadata)
    return entry
  }

  /// The text of the entry; the error's where it fails.
  func text(_ name: String, _ metadata: ClientMetadata = client()) async -> String {
    do {
      return try await bind(name, metadata).text ?? ""
    } catch {
      return "failed: \(error)"
    }
  }
}

/// Metadata of a client that no plugin was asked about.
func client(
  _ name: ClientName = "one.example.com", groups: NameSet = [], categories: NameTable<String> = [:]
) -> ClientMetadata {
  ClientMetadata(
    hostname: name, profile: nil, groups: groups, bundles: [], aliases: [], addresses: [], categories: categories,
    uuid: nil, password: nil, version: nil)
}

import Core
import CoreSupport
import EventLoop
import OrderedCollections
import Plugins
import Repository
import Support

extension RepositoryFixture {
  /// A core with nothing but Cfg.
  ///
  /// - Parameters:
  ///   - files: path below Cfg to text.
  ///   - conf: sections of bcfg2.conf.
  convenience init(cfg files: [String: String], conf: String = "", on loop: Reactor) throws {
    let paths = Dictionary(uniqueKeysWithValues: files.map { ("Cfg/\($0)", $1) })
    try self.init(
      files: paths, settings: try RepositoryFixture.settings(conf: conf), monitor: .inotify,
      loading: .only([CfgPlugin.self]), on: loop)
  }

  var cfg: CfgPlugin {
    guard let cfg = core.plugins["Cfg"] as? CfgPlugin else { preconditionFailure("Cfg is not loaded") }
    return cfg
  }

  /// Writes bytes to a file of the repository and lets the monitor see it.
  func edit(_ name: String, bytes: [UInt8]) throws {
    repository.write("", to: name)
    try AtomicFile.writeOver(repository.file(name), bytes)
    monitor.processPending()
  }

  /// The entry as the core binds it.
  func bind(_ name: String, _ metadata: ClientMetadata = clientMetadata()) async throws -> Element {
    let entry = Element("Path", ["name": name])
    try await core.bind(entry, metadata)
    return entry
  }

  /// The contents of the entry, or the text of its error.
  func contents(_ name: String, _ metadata: ClientMetadata = clientMetadata()) async -> String {
    do {
      return try await bind(name, metadata).text ?? ""
    } catch {
      return "failed: \(error)"
    }
  }
}

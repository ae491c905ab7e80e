import Core
import EventLoop
import Logging
import Repository
import XMLRPC

/// The keys of sources, as `bcfg2-packages` fetched them: files that clients get.
final class SourceKeyFiles: FileEventHandler {
  /// Bytes of a key, at most.
  private static let limitBytes = 1 << 20

  private final class Key {
    let input = BuildInput()
    /// Nil before it is needed.
    var contents: Element.Content?
  }

  private let folder: String
  private let monitor: any FileMonitor
  private let logger: Logger
  private var known: NameTable<Key> = [:]

  var handlerName: String { "SourceKeyFiles: \(folder)" }
  var concernsReadersAlone: Bool { true }
  var followsRepository: Bool { false }

  /// - Parameter folder: `<cache>/keys`.
  init(folder: String, monitor: any FileMonitor, logger: Logger) {
    self.folder = folder
    self.monitor = monitor
    self.logger = logger
  }

  func watch() { monitor.add(folder, recursive: false, handler: self) }

  func stopWatching() { monitor.remove(nil, handler: self) }

  func handleEvent(_ event: FileEvent) {
    guard let key = known[event.fileName] else { return }
    key.contents = nil
    key.input.changed()
  }

  /// The name of a key's file, here and on clients: the last part of its address.
  static func fileName(_ url: String) -> String {
    guard let slash = url.utf8.lastIndex(of: UInt8(ascii: "/")) else { return url }
    return String(url[url.index(after: slash)...])
  }

  /// Whether a key is there.
  func has(_ url: String) -> Bool {
    let name = Self.fileName(url)
    return name.isEmpty || fileExists("\(folder)/\(name)")
  }

  /// The text of a key; none, after a log line, if it is not there.
  func contents(of url: String, _ metadata: ClientMetadata) -> Element.Content {
    let name = Self.fileName(url)
    let key = known[name] ?? Key()
    known[name] = key
    metadata.read(key.input)
    if let contents = key.contents { return contents }
    let contents = read(name, url)
    key.contents = contents
    return contents
  }

  private func read(_ name: String, _ url: String) -> Element.Content {
    do {
      guard !name.isEmpty else { return .none }
      let bytes = try AtomicFile.readFile("\(folder)/\(name)", limitBytes: Self.limitBytes)
      return .string(String(decoding: bytes, as: UTF8.self))
    } catch {
      logger.error("Packages: There is no key for \(url): \(error)")
      return .none
    }
  }
}

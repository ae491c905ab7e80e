import Core
import EventLoop
import Glibc
import Logging
import Repository

/// What every file of a Cfg folder has: its path, whom it is for, its bytes.
class CfgFile {
  /// Absolute path.
  let path: String
  /// Which clients it is for.
  let specificity: Specificity
  unowned let plugin: CfgPlugin
  /// The bytes when it was last readable.
  private(set) var data: [UInt8]?
  /// Called when what it is made from changes without an event of its own.
  var onChange: (() -> Void)?
  /// Why the newest version of the file is not usable; the entry fails then.
  var loadError: String?

  init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    self.path = path
    self.specificity = specificity
    self.plugin = plugin
  }

  var fileName: String { String(path[path.utf8.index(after: path.utf8.lastIndex(of: UInt8(ascii: "/"))!)...]) }

  /// Reads the file: it came into being, or changed.
  func load() {
    do throws(SystemError) {
      data = try AtomicFile.readFile(path, limitBytes: plugin.limitBytes)
      loadError = nil
    } catch {
      switch error.errno {
      case EFBIG:
        data = nil
        loadError = "Cfg: \(path) is larger than the limit of [cfg] max_file_size, \(plugin.limitBytes) bytes"
        plugin.logger.error("\(loadError!)")
      default:
        // What was read before stays.
        if data == nil { loadError = "Failed to read file \(path)" }
        plugin.logger.error("Failed to read file \(path): \(String(cString: strerror(error.errno)))")
        plugin.core.fileMonitor.couldNotRead(path, error)
      }
    }
  }

  /// Ends the watches of a file that is gone.
  func stopWatching() {}

  /// The bytes.
  ///
  /// - Throws: `PluginExecutionError` where there are none.
  func requireData() throws -> [UInt8] {
    guard let data else { throw PluginExecutionError(loadError ?? "Failed to read file \(path)") }
    return data
  }
}

/// A file that makes the contents of an entry.
class CfgGenerator: CfgFile {
  /// True if `contents` never waits: the entry is bound at once then.
  var isImmediate: Bool { true }

  /// What the file holds, without waiting.
  func immediateContents() throws -> FileContents { fatalError("\(type(of: self)) has no contents of its own") }

  /// The same for a client's entry; nil if only `contents`, which may wait, can tell.
  func readyContents(_ entry: Element, _ metadata: ClientMetadata) throws -> FileContents? {
    isImmediate ? try immediateContents() : nil
  }

  /// What the file gives an entry for a client.
  func contents(_ entry: Element, _ metadata: ClientMetadata) async throws -> FileContents { try immediateContents() }
}

/// A file that changes contents that another one made.
class CfgFilter: CfgFile {
  /// - Returns: the changed bytes.
  func modify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    fatalError("\(type(of: self)) changes nothing")
  }
}

/// A file that sets attributes of an entry: owner, group, mode ...
class CfgInfo: CfgFile {
  /// True where nothing has to be rendered first.
  var isImmediate: Bool { true }

  /// The document that it reads; nil if that is not XML.
  var structureFile: StructFile? { nil }

  /// Renders the file if it is a template; called before `bindInfo`.
  func prepare(_ metadata: ClientMetadata) async throws {}

  /// Sets the attributes for a client.
  func bindInfo(_ entry: Element, _ metadata: ClientMetadata) throws {
    fatalError("\(type(of: self)) sets nothing")
  }
}

/// A file that checks contents before they are sent.
protocol CfgVerifier: CfgFile {
  /// - Throws: `CfgVerificationError` if they must not be sent.
  func verify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws
}

/// Contents were refused by a verifier.
struct CfgVerificationError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

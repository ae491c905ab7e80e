import EventLoop
import Glibc
import XMLRPC

/// The bytes of a Cfg file, held once for all clients, and what is made of them for an answer, made at the first use.
final class CfgContents {
  /// As the file has them, or as it decrypts.
  let bytes: [UInt8]
  private let encoding: TextEncoding
  private var decoded: Result<SharedText, CfgTextError>?
  private var encoded: SharedText?

  init(_ bytes: [UInt8], encoding: TextEncoding) {
    self.bytes = bytes
    self.encoding = encoding
  }

  /// The contents as text.
  ///
  /// - Throws: `CfgTextError` where they are no text of the encoding, or hold what XML cannot carry.
  func text() throws(CfgTextError) -> SharedText {
    if let decoded { return try decoded.get() }
    let result = Result { () throws(CfgTextError) in try decode() }
    decoded = result
    return try result.get()
  }

  /// The contents in Base64, on one line.
  func base64() -> SharedText {
    if let encoded { return encoded }
    let made = SharedText(utf8: Base64.encode(bytes))
    encoded = made
    return made
  }

  private func decode() throws(CfgTextError) -> SharedText {
    let utf8: [UInt8]
    do throws(TextEncodingError) {
      utf8 = try encoding.decode(bytes)
    } catch {
      throw .encoding("\(error)")
    }
    switch XMLCharacters.firstFlaw(in: utf8) {
    case nil: return SharedText(utf8: utf8)
    case .malformed(let offset): throw .encoding("byte \(offset) is not UTF-8")
    case .forbidden(let offset): throw .character("byte \(offset) is a character that XML cannot carry")
    }
  }
}

/// Contents that cannot be sent as text.
enum CfgTextError: Error {
  /// Not of `[components] encoding`.
  case encoding(String)
  /// Text with a character that XML cannot carry.
  case character(String)
}

/// What every file of a Cfg folder has: its path, whom it is for, its bytes.
class CfgFile {
  /// Absolute path.
  let path: String
  /// The clients that it is for.
  let specificity: Specificity
  unowned let plugin: CfgPlugin
  /// The bytes when it was last readable.
  private(set) var data: [UInt8]?
  /// Why the newest version of the file is not usable; then the entry fails.
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

  /// The file is gone: what it watches is not wanted any more.
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
  /// True where `contents` waits for nobody: the entry is then bound at once.
  var isImmediate: Bool { true }

  /// What the file holds, without waiting.
  func immediateContents() throws -> CfgContents { fatalError("\(type(of: self)) has no contents of its own") }

  /// The same for a client's entry; nil where `contents` has to be asked, which may wait.
  func readyContents(_ entry: Element, _ metadata: ClientMetadata) throws -> CfgContents? {
    isImmediate ? try immediateContents() : nil
  }

  /// What the file gives an entry for a client.
  func contents(_ entry: Element, _ metadata: ClientMetadata) async throws -> CfgContents { try immediateContents() }
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

  /// Renders what is a template: before `bindInfo`.
  func prepare(_ metadata: ClientMetadata) async throws {}

  /// Sets the attributes for a client.
  func bindInfo(_ entry: Element, _ metadata: ClientMetadata) throws {
    fatalError("\(type(of: self)) sets nothing")
  }
}

/// A file that checks contents before they are sent.
protocol CfgVerifier: CfgFile {
  /// - Throws: `CfgVerificationError` where they are not to be sent.
  func verify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws
}

/// Contents were refused by a verifier.
struct CfgVerificationError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

package import Formats
package import Repository
import XMLRPC

/// The contents of a file, shared by all clients.
///
/// The bytes are held until an answer needs them as text or in Base64. From then on only that form is held, and the bytes
/// are made from it where they are needed.
package final class FileContents {
  private let encoding: TextEncoding
  /// Nil where another form says the same.
  private var held: [UInt8]?
  private var decoded: Result<SharedText, FileTextError>?
  private var encoded: SharedText?

  package init(_ bytes: [UInt8], encoding: TextEncoding) {
    held = bytes
    isEmpty = bytes.isEmpty
    self.encoding = encoding
  }

  /// Plain memory: it does not matter on which thread it is given back.
  nonisolated deinit {}

  package let isEmpty: Bool

  /// As the file has them, or as it decrypts.
  package var bytes: [UInt8] {
    if let held { return held }
    if case .success(let text) = decoded, encoding == .utf8 { return text.utf8 }
    guard let encoded, let bytes = Base64.decodeStrict(encoded.utf8[...]) else {
      fatalError("contents without any of their forms")
    }
    return bytes
  }

  /// The contents as text.
  ///
  /// - Throws: `FileTextError` if they are invalid in the encoding, or contain characters that XML cannot carry.
  package func text() throws(FileTextError) -> SharedText {
    if let decoded { return try decoded.get() }
    let result = Result { () throws(FileTextError) in try decode() }
    decoded = result
    let text = try result.get()
    if encoding == .utf8 { held = nil }
    return text
  }

  /// The contents in Base64, on one line.
  package func base64() -> SharedText {
    if let encoded { return encoded }
    let made = SharedText(utf8: Base64.encode(bytes))
    encoded = made
    held = nil
    return made
  }

  private func decode() throws(FileTextError) -> SharedText {
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
package enum FileTextError: Error {
  /// Invalid in `[components] encoding`.
  case encoding(String)
  /// Text with a character that XML cannot carry.
  case character(String)
}

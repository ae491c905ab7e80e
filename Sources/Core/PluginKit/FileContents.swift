package import Formats
package import Repository
import XMLRPC

/// The bytes of a file for clients, shared by all clients, and their encodings for answers, made at first use.
package final class FileContents {
  /// The file's bytes, decrypted if needed.
  package let bytes: [UInt8]
  private let encoding: TextEncoding
  private var decoded: Result<SharedText, FileTextError>?
  private var encoded: SharedText?

  package init(_ bytes: [UInt8], encoding: TextEncoding) {
    self.bytes = bytes
    self.encoding = encoding
  }

  /// The contents as text.
  ///
  /// - Throws: `FileTextError` if they are invalid in the encoding, or contain characters that XML cannot carry.
  package func text() throws(FileTextError) -> SharedText {
    if let decoded { return try decoded.get() }
    let result = Result { () throws(FileTextError) in try decode() }
    decoded = result
    return try result.get()
  }

  /// The contents in Base64, on one line.
  package func base64() -> SharedText {
    if let encoded { return encoded }
    let made = SharedText(utf8: Base64.encode(bytes))
    encoded = made
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

import XMLRPC

/// Text shared by entries of many clients (a Cfg file's contents): stored once, escaped once.
///
/// The bytes are valid UTF-8 of characters that XML 1.0 allows; the creator has checked that. Once the text has been escaped
/// for an answer, only that form is held.
public final class SharedText {
  private enum Form {
    case text([UInt8])
    case wire([UInt8])
  }

  private var form: Form

  public init(utf8: [UInt8]) { form = .text(utf8) }

  public convenience init(_ string: String) { self.init(utf8: Array(string.utf8)) }

  /// Plain memory: it does not matter on which thread it is given back.
  nonisolated deinit {}

  /// The text as UTF-8. A copy, where it has been escaped.
  public var utf8: [UInt8] {
    switch form {
    case .text(let text): text
    case .wire(let escaped): XMLEscape.nestedText(escaped)
    }
  }

  /// The text as it stands in an answer: escaped for XML, then for the XML-RPC string around the document. Made at the
  /// first use.
  public var wire: [UInt8] {
    switch form {
    case .wire(let escaped): return escaped
    case .text(let text):
      var escaped = XMLEscape.escaped(text, as: .nestedText, encoding: .ascii)
      // Nothing was to be escaped: who else holds the text shares it.
      if escaped.count == text.count { escaped = text }
      form = .wire(escaped)
      return escaped
    }
  }

  /// The text as a string: a copy, for plugins that inspect it.
  public var string: String { String(decoding: utf8, as: UTF8.self) }
}

import XMLRPC

/// Text shared by entries of many clients (a Cfg file's contents): stored once, escaped once.
///
/// The bytes are valid UTF-8 of characters that XML 1.0 allows; the creator has checked that.
public final class SharedText {
  /// The text as UTF-8.
  public let utf8: [UInt8]

  /// The text escaped for XML, then for the XML-RPC string around the document. Made at first use.
  public private(set) lazy var wire: [UInt8] = XMLEscape.escaped(utf8, as: .nestedText, encoding: .ascii)

  public init(utf8: [UInt8]) { self.utf8 = utf8 }

  public convenience init(_ string: String) { self.init(utf8: Array(string.utf8)) }

  /// The text as a string: a copy, for plugins that inspect it.
  public var string: String { String(decoding: utf8, as: UTF8.self) }
}

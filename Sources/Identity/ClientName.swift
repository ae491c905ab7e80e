import XMLRPC

/// The name of a client.
///
/// Made in one place: here, where a client authenticates, where name service or a certificate names it, where clients.xml
/// or the store of probe data is read, where a tool or a call names a client. What has this type can be part of a file's
/// name, a log line, an argument of a program, a key of a cache. Compared by its bytes.
public nonisolated struct ClientName: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Most bytes of a name: DNS has no longer ones, file names neither.
  public static let limitBytes = 255

  private let name: Name

  /// The name as text, with exactly the bytes that it was made from.
  public var text: String { name.text }
  public var description: String { name.text }

  /// A name that a client or a name server may give: ASCII letters, digits, `.`, `-`, `_` and `:`, 1 to 255 bytes, which
  /// does not begin with `-`, does not begin or end with `.`, does not contain `..`, and does not end like a file of Cfg.
  ///
  /// A final dot is no part of a name: to name service, ssh and TLS `db.example.com.` is the host `db.example.com`.
  ///
  /// - Throws: why it is none.
  public init(_ text: String) throws(ClientNameError) {
    try Self.checkLength(text)
    for byte in text.utf8 where !Self.isPlain(byte) { throw .byte(byte) }
    if text.utf8.first == UInt8(ascii: "-") { throw .leadingHyphen }
    try Self.checkDots(text)
    if text.utf8.first == UInt8(ascii: ".") || text.utf8.last == UInt8(ascii: ".") { throw .outerDot }
    for ending in Self.fileEndings where text.utf8.count > ending.utf8.count && text.lowercased().hasSuffix(ending) {
      throw .ending(ending)
    }
    name = Name(text)
  }

  /// Endings of Cfg's files. `motd.H_victim.crypt`, made for a client `victim.crypt`, would be read as the client victim's.
  private static let fileEndings = [".crypt", ".genshi", ".cheetah", ".jinja2", ".cat", ".diff"]

  /// A name that the repository has, which an administrator may have written: any UTF-8 of 1 to 255 bytes without `/`,
  /// control characters, blanks and what cannot be seen, which does not contain `..`, nor is `.`.
  ///
  /// - Throws: why it is none.
  public init(recorded text: String) throws(ClientNameError) {
    try Self.checkLength(text)
    var isASCII = true
    for byte in text.utf8 {
      if byte <= 0x20 || byte == 0x7F || byte == UInt8(ascii: "/") { throw .byte(byte) }
      if byte >= 0x80 { isASCII = false }
    }
    if !isASCII {
      for scalar in text.unicodeScalars where scalar.isInvisible { throw .character(scalar) }
    }
    try Self.checkDots(text)
    name = Name(text)
  }

  /// The name in lower case, as clients.xml is read.
  public var lowercased: ClientName {
    if text.utf8.allSatisfy({ !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) && $0 < 0x80 }) { return self }
    return ClientName(unchecked: text.lowercased())
  }

  /// True where a text has the same bytes.
  public func isSame(as text: String) -> Bool { name.isSame(as: text) }

  public static func < (one: ClientName, other: ClientName) -> Bool { one.name < other.name }

  /// A name that was checked before it was stored, or a change of one that keeps to the rules.
  package init(unchecked text: String) { name = Name(text) }

  private static func checkLength(_ text: String) throws(ClientNameError) {
    if text.utf8.isEmpty { throw .empty }
    if text.utf8.count > limitBytes { throw .length(text.utf8.count) }
  }

  private static func checkDots(_ text: String) throws(ClientNameError) {
    var last: UInt8 = 0
    for byte in text.utf8 {
      if byte == UInt8(ascii: "."), last == byte { throw .dots }
      last = byte
    }
    if text.utf8.count == 1, last == UInt8(ascii: ".") { throw .dots }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

/// Why a text is no name of a client.
public nonisolated enum ClientNameError: Error, Equatable, Sendable, CustomStringConvertible {
  case empty
  /// So many bytes.
  case length(Int)
  /// A byte that no name has.
  case byte(UInt8)
  /// A blank or control character beyond ASCII.
  case character(Unicode.Scalar)
  case leadingHyphen
  case dots
  /// One that the name begins or ends with.
  case outerDot
  /// That of a file of Cfg.
  case ending(String)

  public var description: String {
    switch self {
    case .empty: "it is empty"
    case .length(let count): "it has \(count) bytes, more than \(ClientName.limitBytes)"
    case .byte(let byte) where byte > 0x20 && byte < 0x7F: "it has a \(String(UnicodeScalar(byte)))"
    case .byte(let byte): "it has the byte \(byte < 16 ? "0" : "")\(String(byte, radix: 16))"
    case .character(let scalar): "it has the character U+\(String(scalar.value, radix: 16, uppercase: true))"
    case .leadingHyphen: "it begins with -"
    case .dots: "it is a dot, or has two in a row"
    case .outerDot: "it begins or ends with a dot"
    case .ending(let ending): "it ends in \(ending), like a file of Cfg"
    }
  }
}

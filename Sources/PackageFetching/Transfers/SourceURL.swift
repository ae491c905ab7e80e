import EventLoop
import XMLRPC

/// The URL of a file on a mirror, as bytes; without the user and password that sources.xml may give in it.
package nonisolated struct SourceURL: Hashable, Sendable, CustomStringConvertible {
  /// What libcurl gets: no user, no password; blanks and bytes that no URL has are escaped.
  package let bytes: [UInt8]
  /// Taken literally, as Bcfg2 does: `%41` is three characters.
  package let user: [UInt8]?
  package let password: [UInt8]?

  /// - Parameter text: `http://user:password@host/path`; user and password are optional. A user alone, which Bcfg2 does not
  ///   know, often is a token.
  package init(_ text: [UInt8]) {
    var text = text[...]
    var user: [UInt8]?
    var password: [UInt8]?
    if let start = Self.afterScheme(text) {
      let end = text[start...].firstIndex(of: UInt8(ascii: "/")) ?? text.endIndex
      if let at = text[start..<end].lastIndex(of: UInt8(ascii: "@")) {
        let colon = text[start..<at].firstIndex(of: UInt8(ascii: ":"))
        user = Array(text[start..<(colon ?? at)])
        password = colon.map { Array(text[($0 + 1)..<at]) }
        text = text[..<start] + text[(at + 1)...]
      }
    }
    self.user = user
    self.password = password
    bytes = Self.escaped(text)
  }

  package init(_ text: String) { self.init(Array(text.utf8)) }

  private init(bytes: [UInt8], user: [UInt8]?, password: [UInt8]?) {
    self.bytes = bytes
    self.user = user
    self.password = password
  }

  /// This URL with a path behind it, such as `main/binary-amd64/Packages.xz` behind that of a release.
  package func appending(_ path: [UInt8]) -> SourceURL {
    SourceURL(bytes: bytes + Self.escaped(path[...]), user: user, password: password)
  }

  package func appending(_ path: String) -> SourceURL { appending(Array(path.utf8)) }

  /// The scheme in lower case, empty without one.
  package var scheme: String {
    guard let start = Self.afterScheme(bytes[...]) else { return "" }
    return String(decoding: bytes[..<(start - 3)], as: UTF8.self).lowercased()
  }

  /// The URL for messages. No password, and no user.
  package var description: String { String(decoding: bytes, as: UTF8.self) }

  /// The name of the file that keeps what this URL had: no slash, at most 200 bytes, different for different URLs.
  ///
  /// The user and the password do not matter: file names can be read by everyone.
  package var fileName: String {
    // A slash becomes an underscore, which by itself is escaped.
    let other: Set<UInt8> = [UInt8(ascii: "+"), UInt8(ascii: ":"), UInt8(ascii: "/")]
    var name = Hexadecimal.percentEncoded(bytes) { byte in
      byte != UInt8(ascii: "_") && (Hexadecimal.isUnreserved(byte) || other.contains(byte))
    }
    for index in name.indices where name[index] == UInt8(ascii: "/") { name[index] = UInt8(ascii: "_") }
    if name.count > 200 {
      name = Array(name.prefix(120)) + Array(("-" + Digest.hexadecimal(of: bytes, .sha256)).utf8)
    }
    return String(decoding: name, as: UTF8.self)
  }

  private static func afterScheme(_ text: ArraySlice<UInt8>) -> Int? {
    guard let colon = text.firstIndex(of: UInt8(ascii: ":")), colon > text.startIndex,
      text[colon...].starts(with: "://".utf8)
    else { return nil }
    return colon + 3
  }

  private static func escaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
    Hexadecimal.percentEncoded(text) { $0 > 0x20 && $0 < 0x7f }
  }
}

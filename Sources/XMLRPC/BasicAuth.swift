/// User and password of an Authorization header (RFC 7617), read as Bcfg2's server reads them.
public struct BasicAuth: Sendable, Equatable {
  public let user: [UInt8]
  public let password: [UInt8]

  /// Reads `Basic` and a base64 token.
  ///
  /// The credentials are split at their colon only if there is exactly one: with none or several the whole is the
  /// user and the password is empty, as `authenticate` does in Bcfg2/bcfg2: src/lib/Bcfg2/Server/SSLServer.py. A
  /// password with a colon therefore never matches there, and does not here.
  ///
  /// - Parameter value: the header's value; `HTTPLimits.headerBytes` bounds it.
  /// - Returns: nil for another scheme or a token that is not base64: to the client the same as wrong credentials.
  public static func parse(_ value: String) -> BasicAuth? {
    let words = Array(value.utf8).split(whereSeparator: ASCII.isBlank)
    guard words.count == 2, ASCII.equalIgnoringCase(String(decoding: words[0], as: UTF8.self), "Basic"),
      let credentials = Base64.decodeStrict(words[1])
    else { return nil }
    let parts = credentials.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard parts.count == 2 else { return BasicAuth(user: credentials, password: []) }
    return BasicAuth(user: Array(parts[0]), password: Array(parts[1]))
  }

  /// The user as text; octets that are not UTF-8 become U+FFFD and match no name.
  public var userText: String { String(decoding: user, as: UTF8.self) }

  /// The password as text; compare `password` instead, in constant time.
  public var passwordText: String { String(decoding: password, as: UTF8.self) }
}

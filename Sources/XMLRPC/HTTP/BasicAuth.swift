/// User and password of an Authorization header (RFC 7617), read as Bcfg2's server reads them.
public struct BasicAuth: Sendable, Equatable {
  public var user: [UInt8] { Array(credentials[..<userEnd]) }
  public var password: [UInt8] { Array(credentials[passwordStart...]) }
  private let credentials: [UInt8]
  private let userEnd: Int
  private let passwordStart: Int

  /// - Parameter colon: the only colon of the credentials; nil where there is none, or several.
  private init(_ credentials: [UInt8], colon: Int?) {
    self.credentials = credentials
    userEnd = colon ?? credentials.count
    passwordStart = colon.map { $0 + 1 } ?? credentials.count
  }

  /// Reads `Basic` and a base64 token.
  ///
  /// The credentials are split at their colon only if there is exactly one: with none or several the whole is the
  /// user and the password is empty, as `authenticate` does in Bcfg2/bcfg2: src/lib/Bcfg2/Server/SSLServer.py. A
  /// password with a colon therefore never matches there, and does not here.
  ///
  /// - Parameter value: the header's value; `HTTPLimits.headerBytes` bounds it.
  /// - Returns: nil for another scheme or a token that is not base64: to the client the same as wrong credentials.
  public static func parse(_ value: String) -> BasicAuth? { parse(Array(value.utf8)[...]) }

  /// As for text.
  public static func parse(_ value: ArraySlice<UInt8>) -> BasicAuth? {
    let value = ASCII.trimmed(value, where: ASCII.isBlank)
    guard let blank = value.firstIndex(where: ASCII.isBlank) else { return nil }
    let scheme = value[..<blank]
    let token = value[blank...].drop(while: ASCII.isBlank)
    guard scheme.count == 5, scheme.elementsEqual("basic".utf8, by: { ASCII.lowercased($0) == $1 }),
      let credentials = Base64.decodeStrict(token)
    else { return nil }
    let colon = credentials.firstIndex(of: UInt8(ascii: ":"))
    guard let colon, !credentials[(colon + 1)...].contains(UInt8(ascii: ":")) else {
      return BasicAuth(credentials, colon: nil)
    }
    return BasicAuth(credentials, colon: colon)
  }

  /// Equal where user and password are: a colon before an empty password says nothing.
  public static func == (left: BasicAuth, right: BasicAuth) -> Bool {
    left.credentials[..<left.userEnd] == right.credentials[..<right.userEnd]
      && left.credentials[left.passwordStart...] == right.credentials[right.passwordStart...]
  }

  /// The user as text; octets that are not UTF-8 become U+FFFD and match no name.
  public var userText: String { String(decoding: credentials[..<userEnd], as: UTF8.self) }

  /// The password as text; compare in constant time.
  public var passwordText: String { String(decoding: credentials[passwordStart...], as: UTF8.self) }
}

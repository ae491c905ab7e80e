import COpenSSL

/// Tokens that only pages of this process have, against forms of other sites.
struct FormTokens: Sendable {
  private let key: [UInt8]

  init() { key = Self.random(32) }

  /// A name for a browser: 128 random bits.
  static func identifier() -> String { hex(random(16)) }

  /// The token of a browser and a user.
  func token(browser: String, user: String) -> String { FormTokens.hex(digest(Array("\(browser)\u{0}\(user)".utf8))) }

  func isValid(_ token: String, browser: String, user: String) -> Bool {
    FormTokens.areEqual(Array(token.utf8), Array(self.token(browser: browser, user: user).utf8))
  }

  /// HMAC-SHA256 with the key of this process.
  func digest(_ bytes: [UInt8]) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    let made = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &result, &count)
    precondition(made != nil && count == 32, "OpenSSL has no HMAC-SHA256")
    return result
  }

  /// Compares in a time that does not depend on where two texts differ.
  static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }

  private static func random(_ count: Int) -> [UInt8] {
    var generator = SystemRandomNumberGenerator()
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

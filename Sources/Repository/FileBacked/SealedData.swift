import CLinux
import COpenSSL
import Synchronization
import XMLRPC

/// Authenticated encryption of data of the repository: AES-256-GCM, with a key that scrypt makes of a passphrase.
///
/// The format is one line: `bcfg2-aead:1:` and Base64 of the salt (16 bytes), scrypt's cost (one byte: the logarithm of
/// N; r is 8, p is 1), the nonce (12 bytes), the ciphertext and the tag (16 bytes). The tag covers all that stands before
/// the ciphertext, too. Python's Bcfg2 does not know it.
package nonisolated enum SealedData {
  package static let mark = "bcfg2-aead:1:"
  package static let saltBytes = 16
  /// 32 MB of memory and some 60 ms for a key.
  package static let standardCost: UInt8 = 15
  /// Costs that are read. The largest takes 128 MB. More than `standardCost` only with a passphrase that was named: a
  /// file says its cost before anybody knows whose it is.
  package static let costs: ClosedRange<UInt8> = 10...17

  private static let nonceBytes = 12
  private static let tagBytes = 16
  private static let keyBytes = 32
  private static let headBytes = saltBytes + 1 + nonceBytes
  private static let blockSize: UInt64 = 8

  /// Whether bytes begin as sealed data do, after blanks: they may be damaged, or a text about sealed data.
  package static func hasMark(_ data: [UInt8]) -> Bool {
    data.drop { $0 <= 0x20 }.starts(with: mark.utf8)
  }

  /// Whether bytes have the whole form of sealed data.
  package static func isSealed(_ data: [UInt8]) -> Bool { parts(data) != nil }

  /// The cost that sealed data ask for; nil for what is none.
  package static func cost(of data: [UInt8]) -> UInt8? { parts(data)?[saltBytes] }

  /// What stands behind the mark: salt, cost, nonce, ciphertext and tag.
  private static func parts(_ data: [UInt8]) -> [UInt8]? {
    guard hasMark(data) else { return nil }
    let digits = data.drop { $0 <= 0x20 }.dropFirst(mark.utf8.count)
    guard digits.allSatisfy({ $0 <= 0x20 || isDigit($0) }), let raw = Base64.decode(Array(digits)),
      raw.count >= headBytes + tagBytes
    else { return nil }
    return raw
  }

  /// Of Base64, with its padding.
  private static func isDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="):
      true
    default: false
    }
  }

  /// Encrypts data into one line with a line feed.
  ///
  /// - Parameters:
  ///   - salt: 16 bytes. Data of one passphrase and one salt share a key; each has a nonce of its own.
  ///   - cost: one of `costs`.
  package static func seal(
    _ plain: [UInt8], with passphrase: String, salt: [UInt8], cost: UInt8 = standardCost
  ) throws(EncryptionError) -> [UInt8] {
    precondition(salt.count == saltBytes && costs.contains(cost), "the format has room for 16 bytes of salt")
    let head = salt + [cost] + (try random(nonceBytes))
    let sealed = try apply(encrypting: true, plain, key: key(passphrase, salt, cost), head: head, tag: [])
    return Array(mark.utf8) + Base64.encode(head + sealed) + [UInt8(ascii: "\n")]
  }

  /// Decrypts data.
  ///
  /// - Throws: also for data that were changed after they were encrypted.
  package static func open(_ data: [UInt8], with passphrase: String) throws(EncryptionError) -> [UInt8] {
    guard let raw = parts(data) else {
      throw EncryptionError("Failed to decrypt: not Base64 of sealed data")
    }
    let cost = raw[saltBytes]
    guard costs.contains(cost) else {
      throw EncryptionError("Failed to decrypt: scrypt's cost \(cost) is not 10 to 17")
    }
    return try apply(
      encrypting: false, Array(raw[headBytes..<(raw.count - tagBytes)]),
      key: key(passphrase, Array(raw[..<saltBytes]), cost), head: Array(raw[..<headBytes]),
      tag: Array(raw.suffix(tagBytes)))
  }

  /// Random bytes.
  package static func random(_ count: Int) throws(EncryptionError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard clinux_getrandom(&bytes, count) == count else { throw EncryptionError("no random bytes for encryption") }
    return bytes
  }

  // MARK: Keys

  private struct KeySource: Hashable {
    let passphrase: String
    let salt: [UInt8]
    let cost: UInt8
  }

  /// Keys that were made: files of one salt need one key.
  private static let keys = Mutex<[KeySource: [UInt8]]>([:])
  private static let keyLimit = 64

  private static func key(_ passphrase: String, _ salt: [UInt8], _ cost: UInt8) throws(EncryptionError) -> [UInt8] {
    let source = KeySource(passphrase: passphrase, salt: salt, cost: cost)
    if let key = keys.withLock({ $0[source] }) { return key }
    var key = [UInt8](repeating: 0, count: keyBytes)
    let word = Array(passphrase.utf8)
    let isMade = word.withUnsafeBytes { word in
      EVP_PBE_scrypt(
        word.baseAddress?.assumingMemoryBound(to: CChar.self), word.count, salt, salt.count, 1 << UInt64(cost),
        blockSize, 1, 256 << 20, &key, key.count)
    }
    guard isMade == 1 else {
      ERR_clear_error()
      throw EncryptionError("OpenSSL's scrypt makes no key of cost \(cost)")
    }
    keys.withLock { keys in
      if keys.count >= keyLimit { keys.removeAll() }
      keys[source] = key
    }
    return key
  }

  // MARK: The cipher

  /// - Returns: the ciphertext with its tag, or the plain text.
  private static func apply(
    encrypting: Bool, _ input: [UInt8], key: [UInt8], head: [UInt8], tag: [UInt8]
  ) throws(EncryptionError) -> [UInt8] {
    let verb = encrypting ? "encrypt" : "decrypt"
    guard input.count <= Int(Int32.max) - tagBytes else { throw EncryptionError("Failed to \(verb): more than 2 GB") }
    ERR_clear_error()
    guard let context = EVP_CIPHER_CTX_new() else { throw EncryptionError("Failed to \(verb): no memory") }
    defer {
      EVP_CIPHER_CTX_free(context)
      // A wrong passphrase is an expected outcome: the next TLS call must not find its error.
      ERR_clear_error()
    }
    let covered = Array(mark.utf8) + head
    var part: Int32 = 0
    var tag = tag
    guard
      EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, key, Array(head.suffix(nonceBytes)), encrypting ? 1 : 0) == 1,
      EVP_CipherUpdate(context, nil, &part, covered, Int32(covered.count)) == 1,
      encrypting || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tagBytes), &tag) == 1
    else { throw EncryptionError("Failed to \(verb): OpenSSL refuses AES-256-GCM") }
    var isDone = false
    var output = [UInt8](unsafeUninitializedCapacity: input.count + tagBytes) { buffer, count in
      var rest: Int32 = 0
      part = 0
      isDone =
        EVP_CipherUpdate(context, buffer.baseAddress, &part, input, Int32(input.count)) == 1
        && EVP_CipherFinal_ex(context, buffer.baseAddress! + Int(part), &rest) == 1
      count = isDone ? Int(part + rest) : 0
    }
    guard isDone else { throw EncryptionError("Failed to \(verb)") }
    if encrypting {
      tag = [UInt8](repeating: 0, count: tagBytes)
      guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(tagBytes), &tag) == 1 else {
        throw EncryptionError("Failed to encrypt: no tag")
      }
      output += tag
    }
    return output
  }
}

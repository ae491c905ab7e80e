import COpenSSL
import XMLRPC

/// Encrypts and decrypts data of the repository: `.crypt` files of Cfg, `encrypted=` elements of XML files.
///
/// The format is Base64 of `Salted__`, eight bytes of salt and the ciphertext, as `openssl enc` wrote it until 1.1: key
/// and initialization vector are MD5 digests of passphrase and salt. Source: Bcfg2/bcfg2:
/// src/lib/Bcfg2/Server/Encryption.py. The other format is that of `SealedData`; both are read.
public nonisolated struct Encryption: Sendable, Equatable {
  /// Passphrases by name.
  public let passphrases: [String: String]
  /// The cipher, in OpenSSL's words: `aes-256-cbc`.
  public let cipher: String
  /// Logs failed decryption as a debug message instead of an error.
  public let isLax: Bool
  /// How `encrypt` writes.
  public let format: Format
  /// The salt of sealed data that `encrypt` makes; nil: each has its own.
  public let salt: [UInt8]?

  /// A form of encrypted data.
  public enum Format: Sendable {
    case salted
    /// `SealedData`.
    case sealed
  }

  private static let mark = Array("Salted__".utf8)
  private static let saltBytes = 8

  /// - Parameter algorithm: in any usual spelling: `AES-256-CBC`, `aes_256_cbc`.
  /// - Parameter salt: a text of which the salt of sealed data is made.
  public init(
    passphrases: [String: String], algorithm: String = "aes_256_cbc", isLax: Bool = false, format: Format = .salted,
    salt: String? = nil
  ) {
    self.passphrases = passphrases
    self.format = format
    self.salt = salt.map { Self.saltBytes(of: $0) }
    self.cipher = String(algorithm.lowercased().map { $0 == "_" ? "-" : $0 })
    self.isLax = isLax
  }

  /// The same, with other passphrases, or another form.
  public func with(passphrases: [String: String], format: Format) -> Encryption {
    Encryption(self, passphrases: passphrases, format: format, salt: salt)
  }

  /// The same, with one salt for all sealed data: one key has to be made of a passphrase.
  public func withOneSalt() throws(EncryptionError) -> Encryption {
    let salt = if let salt { salt } else { try SealedData.random(SealedData.saltBytes) }
    return Encryption(self, passphrases: passphrases, format: format, salt: salt)
  }

  private init(_ other: Encryption, passphrases: [String: String], format: Format, salt: [UInt8]?) {
    self.passphrases = passphrases
    cipher = other.cipher
    isLax = other.isLax
    self.format = format
    self.salt = salt
  }

  /// The salt that a text stands for: it need not be secret, and differs from site to site.
  private static func saltBytes(of text: String) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    let input = Array(text.utf8)
    SHA256(input, input.count, &digest)
    return Array(digest[..<SealedData.saltBytes])
  }

  /// Whether bytes look encrypted: sealed data, or Base64 of something that begins with `Salted__`.
  public static func isEncrypted(_ data: [UInt8]) -> Bool {
    if SealedData.isSealed(data) { return true }
    // The mark spans the first eleven digits, with blanks allowed between them.
    return Base64.decode(Array(data.prefix(64).filter { $0 > 0x20 }.prefix(12)))?.starts(with: mark) ?? false
  }

  /// Decrypts with one passphrase.
  public func decrypt(_ data: [UInt8], with passphrase: String) throws(EncryptionError) -> [UInt8] {
    if SealedData.hasMark(data) { return try SealedData.open(data, with: passphrase) }
    guard let raw = Base64.decode(data), raw.count >= Self.mark.count + Self.saltBytes else {
      throw EncryptionError("Failed to decrypt: not Base64 of salted data")
    }
    let salt = Array(raw[8..<16])
    return try apply(encrypting: false, Array(raw[16...]), passphrase, salt)
  }

  /// The passphrase of a name: the exact one, else one that differs only in case, since bcfg2.conf folds names.
  public func passphrase(named name: String) throws(EncryptionError) -> String {
    let folded = name.lowercased()
    guard let passphrase = passphrases[name] ?? passphrases.first(where: { $0.key.lowercased() == folded })?.value
    else {
      throw EncryptionError("No passphrase named '\(name)'")
    }
    return passphrase
  }

  /// Decrypts with the named passphrase.
  public func decrypt(_ data: [UInt8], named name: String) throws(EncryptionError) -> [UInt8] {
    try decrypt(data, with: try passphrase(named: name))
  }

  /// Decrypts with any passphrase that fits, tried in the order of their names.
  ///
  /// One wrong passphrase in 256 seems to fit, because only the padding can be checked: a result that is UTF-8 wins.
  /// Sealed data has one that fits; it is not tried where its key costs more than those that `encrypt` makes.
  public func decryptWithAny(_ data: [UInt8]) throws(EncryptionError) -> [UInt8] {
    let isSealed = SealedData.hasMark(data)
    if let cost = SealedData.cost(of: data), cost > SealedData.standardCost, passphrases.count > 1 {
      throw EncryptionError(
        "Failed to decrypt: scrypt's cost \(cost) is more than \(SealedData.standardCost): name the passphrase")
    }
    var first: [UInt8]?
    for (_, passphrase) in passphrases.sorted(by: { $0.key < $1.key }) {
      let plain: [UInt8]
      do {
        plain = try decrypt(data, with: passphrase)
      } catch {
        continue
      }
      if isSealed || String(validating: plain, as: UTF8.self) != nil { return plain }
      if first == nil { first = plain }
    }
    guard let first else { throw EncryptionError("Failed to decrypt") }
    return first
  }

  /// Encrypts data into one line with a line feed, in the form of `format`.
  /// - Parameter salt: eight bytes, for the salted form; random ones if nil.
  public func encrypt(
    _ plain: [UInt8], with passphrase: String, salt: [UInt8]? = nil
  ) throws(EncryptionError) -> [UInt8] {
    if format == .sealed {
      let salt = if let salt = self.salt { salt } else { try SealedData.random(SealedData.saltBytes) }
      return try SealedData.seal(plain, with: passphrase, salt: salt)
    }
    let salt = if let salt { salt } else { try SealedData.random(Self.saltBytes) }
    precondition(salt.count == Self.saltBytes, "the format has room for eight bytes of salt")
    let raw = try apply(encrypting: true, plain, passphrase, salt)
    return Base64.encode(Self.mark + salt + raw) + [UInt8(ascii: "\n")]
  }

  private func apply(
    encrypting: Bool, _ input: [UInt8], _ passphrase: String, _ salt: [UInt8]
  ) throws(EncryptionError) -> [UInt8] {
    let verb = encrypting ? "encrypt" : "decrypt"
    guard input.count <= Int(Int32.max) - Int(EVP_MAX_BLOCK_LENGTH) else {
      throw EncryptionError("Failed to \(verb): more than 2 GB")
    }
    ERR_clear_error()
    guard let algorithm = EVP_get_cipherbyname(cipher), let context = EVP_CIPHER_CTX_new() else {
      throw EncryptionError("Failed to \(verb): unknown cipher \(cipher)")
    }
    defer { EVP_CIPHER_CTX_free(context) }
    let first = try digest([], passphrase, salt)
    let second = try digest(first, passphrase, salt)
    let vector = try digest(second, passphrase, salt)
    // Pads with zeros for ciphers with a key longer than the two digests.
    let key = first + second + [UInt8](repeating: 0, count: Int(EVP_MAX_KEY_LENGTH) - first.count - second.count)
    guard EVP_CipherInit_ex(context, algorithm, nil, key, vector, encrypting ? 1 : 0) == 1 else {
      throw EncryptionError("Failed to \(verb): OpenSSL refuses cipher \(cipher)")
    }
    var isDone = false
    let output = [UInt8](unsafeUninitializedCapacity: input.count + Int(EVP_MAX_BLOCK_LENGTH)) { buffer, count in
      var part: Int32 = 0
      var rest: Int32 = 0
      guard EVP_CipherUpdate(context, buffer.baseAddress, &part, input, Int32(input.count)) == 1,
        EVP_CipherFinal_ex(context, buffer.baseAddress! + Int(part), &rest) == 1
      else {
        count = 0
        return
      }
      count = Int(part + rest)
      isDone = true
    }
    // A wrong passphrase is an expected outcome: clear OpenSSL's error queue, or the next TLS call would find the
    // error.
    ERR_clear_error()
    guard isDone else { throw EncryptionError("Failed to \(verb)") }
    return output
  }

  private func digest(
    _ previous: [UInt8], _ passphrase: String, _ salt: [UInt8]
  ) throws(EncryptionError) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    let input = previous + Array(passphrase.utf8) + salt
    guard EVP_Digest(input, input.count, &digest, &length, EVP_md5(), nil) == 1 else {
      ERR_clear_error()
      throw EncryptionError("OpenSSL refuses MD5, which the format of encrypted files needs")
    }
    return Array(digest[..<Int(length)])
  }
}

/// Decryption or encryption failed. The message never contains the data.
public nonisolated struct EncryptionError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

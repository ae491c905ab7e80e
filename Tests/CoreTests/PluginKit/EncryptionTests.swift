import CoreSupport
import EventLoop
import Logging
import Repository
import Support
import Testing
import XMLRPC

@testable import Core

/// `printf 'secret\n' | openssl enc -aes-256-cbc -md md5 -salt -S 0102030405060708 -pass pass:sesame -a`, with the salt
/// in front as OpenSSL 1.0 wrote it.
private let known = "U2FsdGVkX18BAgMEBQYHCE0MuB8/11vsc0Hk+YvzAXM=\n"

@Test func encryptedFormatIsThatOfOpenSSLWithMD5() throws {
  let encryption = Encryption(passphrases: ["a": "sesame"])
  let salt: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
  #expect(
    String(decoding: try encryption.encrypt(Array("secret\n".utf8), with: "sesame", salt: salt), as: UTF8.self) == known
  )
  #expect(try encryption.decrypt(Array(known.utf8), with: "sesame") == Array("secret\n".utf8))
  #expect(Encryption.isEncrypted(Array(known.utf8)) && Encryption.isEncrypted(Array("U2Fsd\nGVkX18BAgM=".utf8)))
  #expect(!Encryption.isEncrypted(Array("plain text".utf8)) && !Encryption.isEncrypted([]))
}

@Test func everyCipherThatOpenSSLOffersWorksBothWays() throws {
  for algorithm in ["aes_256_cbc", "AES-128-CBC", "aes-192-ctr", "des_ede3_cbc"] {
    let encryption = Encryption(passphrases: [:], algorithm: algorithm)
    for length in [0, 1, 15, 16, 17, 4096] {
      let plain = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      let crypted = try encryption.encrypt(plain, with: "pass")
      #expect(try encryption.decrypt(crypted, with: "pass") == plain, "\(algorithm) \(length)")
    }
  }
}

@Test func whatCannotBeDecryptedSaysWhy() throws {
  let encryption = Encryption(passphrases: ["one": "wrong", "Two": "sesame"])
  let data = Array(known.utf8)
  #expect(try encryption.decryptWithAny(data) == Array("secret\n".utf8))
  #expect(try encryption.decrypt(data, named: "two") == Array("secret\n".utf8))
  let failures: [(String, () throws(EncryptionError) -> [UInt8])] = [
    ("No passphrase named 'three'", { () throws(EncryptionError) in try encryption.decrypt(data, named: "three") }),
    ("Failed to decrypt", { () throws(EncryptionError) in try encryption.decrypt(data, named: "one") }),
    (
      "Failed to decrypt: not Base64 of salted data",
      { () throws(EncryptionError) in try encryption.decrypt(Array("cGxhaW4=".utf8), named: "two") }
    ),
    (
      "Failed to decrypt: unknown cipher no-such-cipher",
      { () throws(EncryptionError) in
        try Encryption(passphrases: [:], algorithm: "no_such_cipher").decrypt(data, with: "x")
      }
    ),
  ]
  for (message, attempt) in failures {
    do throws(EncryptionError) {
      _ = try attempt()
      Issue.record("\(message): did not fail")
    } catch {
      #expect(error.description == message)
    }
  }
}

@Test func encryptedElementsOfXMLFilesAreDecrypted() throws {
  let monitor = try #require(FileMonitorFactory.make("inotify", on: try Reactor()))
  let table: [(root: String, name: String, isLax: Bool, text: String?)] = [
    ("<P>", "mine", false, "secret\n"), ("<P>", "absent", false, nil), ("<P>", "absent", true, known),
    ("<P lax_decryption='true'>", "absent", false, known), ("<P lax_decryption='false'>", "absent", true, nil),
  ]
  for (root, name, isLax, text) in table {
    let directory = TemporaryDirectory()
    let path = directory.write("\(root)<Group name='g'><E encrypted='\(name)'>\(known)</E></Group></P>", to: "p.xml")
    let file = StructFile(path: path, monitor: monitor, logger: Logger(label: "test"))
    file.encryption = Encryption(passphrases: ["mine": "sesame"], isLax: isLax)
    file.watch()
    #expect(file.match(clientMetadata(groups: ["g"])).first?.text == text, "\(root) \(name) \(isLax)")
  }
}

/// Made by Python's hashlib.scrypt and OpenSSL's AES-256-GCM: N 1024, r 8, p 1, the salt 00 to 0f, the nonce `d` to `o`.
private let sealed =
  "bcfg2-aead:1:AAECAwQFBgcICQoLDA0ODwpkZWZnaGlqa2xtbm+xfq3RXvapWnG7CdMF+pNmGUBhxZXy0w==\n"

@Test func sealedDataIsDecryptedWhateverIsWritten() throws {
  let data = Array(sealed.utf8)
  #expect(Encryption.isEncrypted(data) && Encryption.isEncrypted(Array("\n  ".utf8) + data))
  for format in [Encryption.Format.salted, .sealed] {
    let encryption = Encryption(passphrases: ["a": "wrong", "b": "sesame"], format: format)
    #expect(try encryption.decrypt(data, with: "sesame") == Array("secret\n".utf8))
    #expect(try encryption.decryptWithAny(data) == Array("secret\n".utf8))
    #expect(try encryption.decrypt(Array(known.utf8), with: "sesame") == Array("secret\n".utf8))
  }
}

@Test func sealedDataThatWereChangedAreRefused() throws {
  let encryption = Encryption(passphrases: ["a": "sesame"])
  for index in sealed.utf8.indices {
    var data = Array(sealed.utf8)
    let offset = sealed.utf8.distance(from: sealed.utf8.startIndex, to: index)
    // The two digits before the padding have bits that mean nothing; blanks at the end do not count.
    guard offset < data.count - 4 else { continue }
    data[offset] = data[offset] == UInt8(ascii: "B") ? UInt8(ascii: "C") : UInt8(ascii: "B")
    #expect(throws: EncryptionError.self) { _ = try encryption.decrypt(data, named: "a") }
  }
  #expect(throws: EncryptionError.self) { _ = try encryption.decrypt(Array(sealed.utf8.dropLast(20)), named: "a") }
  #expect(throws: EncryptionError.self) { _ = try encryption.decrypt(Array("bcfg2-aead:1:".utf8), named: "a") }
}

@Test func sealedDataOfASiteShareASaltAndNoNonce() throws {
  let encryption = Encryption(passphrases: ["a": "sesame"], format: .sealed, salt: "example.com")
  let first = try encryption.encrypt(Array("x".utf8), with: "sesame")
  let second = try encryption.encrypt(Array("x".utf8), with: "sesame")
  // 13 characters of mark, then 16 bytes of salt in 21 whole digits.
  #expect(first.prefix(34) == second.prefix(34) && first != second)
  let own = Encryption(passphrases: ["a": "sesame"], format: .sealed)
  #expect(try own.encrypt([1], with: "sesame").prefix(34) != own.encrypt([1], with: "sesame").prefix(34))
  #expect(try own.decrypt(second, named: "a") == Array("x".utf8))
}

@Test func textThatOnlyBeginsAsSealedDataIsNotEncrypted() throws {
  let whole = sealed.dropFirst("bcfg2-aead:1:".count)
  for text in ["bcfg2-aead:1:", "bcfg2-aead:1: is the mark", "bcfg2-aead:1:AAEC", sealed + "and more!", "x" + whole] {
    #expect(!Encryption.isEncrypted(Array(text.utf8)), "\(text)")
  }
  #expect(Encryption.isEncrypted(Array(sealed.utf8)))
}

@Test func dearKeysAreMadeOnlyOfANamedPassphrase() throws {
  let salt = [UInt8](repeating: 1, count: SealedData.saltBytes)
  let dear = try SealedData.seal([1], with: "sesame", salt: salt, cost: SealedData.standardCost + 1)
  let encryption = Encryption(passphrases: ["a": "sesame", "b": "wrong"])
  #expect(try encryption.decrypt(dear, named: "a") == [1])
  #expect(try Encryption(passphrases: ["a": "sesame"]).decryptWithAny(dear) == [1])
  #expect(throws: EncryptionError.self) { _ = try encryption.decryptWithAny(dear) }
}

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

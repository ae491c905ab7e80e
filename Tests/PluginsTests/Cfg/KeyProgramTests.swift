import CoreSupport
import EventLoop
import Glibc
import Support
import Testing

@testable import Core

struct KeyProgramTests {
  @Test func thePassphraseOfAKeyPairIsOnNoCommandLine() async throws {
    // A program in place of ssh-keygen that records what other users can see of it.
    let folder = TemporaryDirectory()
    folder.write(
      """
      #!/bin/sh
      tr '\\0' ' ' < /proc/$$/cmdline >> \(folder.file("seen"))
      env >> \(folder.file("seen"))
      exec /usr/bin/ssh-keygen "$@"

      """, to: "bin/ssh-keygen", mode: 0o755)
    let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
    setenv("PATH", "\(folder.file("bin")):\(path)", 1)
    defer { setenv("PATH", path, 1) }
    try await LoopDriver.withLoop { loop in
      let fixture = try RepositoryFixture(
        cfg: [
          "id/privkey.xml":
            "<PrivateKey><Params type='ed25519'/><Passphrase>open sesame</Passphrase></PrivateKey>",
          "bad/privkey.xml": "<PrivateKey><Params type='ed25519'/><Passphrase>a\nb</Passphrase></PrivateKey>",
        ], on: loop)
      let key = await fixture.contents("/id")
      #expect(key.hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----"))
      let seen = try folder.text("seen")
      #expect(seen.contains("ssh-keygen -q -f ") && !seen.contains("sesame"))
      for (passphrase, isRight) in [("open sesame", true), ("", false), ("open", false)] {
        let file = folder.write(key, to: "key", mode: 0o600)
        let output = try await ChildProcess.run(
          ["/usr/bin/ssh-keygen", "-y", "-P", passphrase, "-f", file], timeout: .seconds(120),
          outputLimitBytes: 1 << 16, on: loop)
        #expect(output.status.isSuccess == isRight)
      }
      #expect(await fixture.contents("/bad").contains("has control characters"))
    }
  }

  @Test(arguments: [
    (
      "Could not read CA private key from ca.key\n40A7:error:11800074:PKCS12 routines:PKCS12_pbe_crypt_ex:pkcs12 "
        + "cipherfinal error:../crypto/pkcs12/p12_decr.c:86:maybe wrong password",
      "the passphrase of the key is wrong (Could not read CA private key from ca.key)"
    ),
    (
      "Using configuration from ca.cnf\nCA certificate and CA private key do not match\n40D7:error:05800074:x509 "
        + "certificate routines:X509_check_private_key:key values mismatch:../crypto/x509/x509_cmp.c:405:",
      "the key does not match the certificate (CA certificate and CA private key do not match)"
    ),
    ("anything else\nmore", "anything else\nmore"),
  ])
  func opensslIsToldInOneSentence(_ row: (text: String, sentence: String)) {
    #expect(OpenSSLOutput.summary(row.text) == row.sentence)
  }
}

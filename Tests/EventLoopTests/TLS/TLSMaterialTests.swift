import COpenSSL
import Support
import Testing

@testable import EventLoop

/// What a context lends a library with TLS of its own.
@Suite struct TLSMaterialTests {
  let certificates = TestCertificates()
  let authority: TestIdentity
  let context: TLSContext

  init() throws {
    authority = certificates.makeIdentity(["authority"], isAuthority: true)
    let middle = certificates.makeIdentity(["middle"], isAuthority: true, signedBy: authority)
    var files = certificates.write(certificates.makeIdentity(["server"], signedBy: middle), as: "server")
    // The authority between is found among those that are trusted.
    let both = certificates.write(authority, as: "authority").certificate
    let other = certificates.write(middle, as: "middle").certificate
    files.authority = "\(certificates.folder)/both.crt"
    let text = try [both, other].flatMap { try AtomicFile.readFile($0, limitBytes: 1 << 16) }
    try AtomicFile.writeOver(files.authority!, text)
    context = try TLSContext(files: files, floor: .tls12)
  }

  private func encoded(_ identity: TestIdentity) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Int(i2d_X509(identity.certificate, nil))) { buffer, count in
      var place = buffer.baseAddress
      count = Int(i2d_X509(identity.certificate, &place))
    }
  }

  @Test func certificateChainAndKeyAreLent() {
    let (names, holdsKey) = context.withIdentity { certificates, key in
      let names = certificates.map { TLSContext.commonName(ofCertificate: $0) }
      let isKey = key.withUnsafeBufferPointer { buffer in
        var start = buffer.baseAddress
        let parsed = d2i_AutoPrivateKey(nil, &start, buffer.count)
        defer { EVP_PKEY_free(parsed) }
        return parsed != nil
      }
      return (names, isKey)
    }
    #expect(names == ["server", "middle"] && holdsKey)
  }

  @Test func certificatesOfClientsAreJudgedByTheRulesInUse() throws {
    let client = certificates.makeIdentity(["first", "client"], signedBy: authority)
    #expect(context.clientCertificateFault(chain: encoded(client)) == nil)
    #expect(TLSContext.commonName(ofCertificate: encoded(client)) == "client")
    // What is behind the client's own makes the way to the authority.
    let between = certificates.makeIdentity(["between"], isAuthority: true, signedBy: authority)
    let far = certificates.makeIdentity(["far"], signedBy: between)
    #expect(context.clientCertificateFault(chain: encoded(far)) == "unable to get local issuer certificate")
    #expect(context.clientCertificateFault(chain: encoded(far) + encoded(between)) == nil)
    #expect(
      context.clientCertificateFault(chain: encoded(certificates.makeIdentity(["stranger"])))
        == "self-signed certificate")
    for bytes in [[], [0x30], encoded(client) + [1, 2, 3], Array(encoded(client).dropLast())] as [[UInt8]] {
      #expect(context.clientCertificateFault(chain: bytes) != nil)
    }
    #expect(TLSContext.commonName(ofCertificate: [0x30]) == nil)
  }

  @Test func aReloadIsTold() throws {
    var count = 0
    context.onReload = { count += 1 }
    let generation = context.generation
    try context.reload()
    #expect(count == 1 && context.generation == generation + 1)
    #expect(throws: TLSContextError.self) {
      try context.reload(
        files: TLSContext.Files(certificate: "/nonexistent", key: "/nonexistent"), floor: .tls12, givesTickets: true)
    }
    #expect(count == 1)
  }
}

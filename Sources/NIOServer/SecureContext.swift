#if NIO
  import EventLoop
  import NIOCore
  import NIOSSL

  /// NIO's TLS with the certificate, key and rules of the loop's context, as they were when it was made.
  ///
  /// About clients' certificates the loop's context decides, with its authorities and revocation lists.
  struct SecureContext: Sendable {
    private let context: NIOSSLContext
    private let asksForCertificate: Bool

    /// - Throws: what BoringSSL cannot use, with the file.
    @MainActor init(_ source: TLSContext) throws(TLSContextError) {
      asksForCertificate = source.requestsClientCertificate
      let asks = asksForCertificate
      let floor = source.floor
      context = try source.withIdentity { (certificates, key) throws(TLSContextError) in
        let chain: [NIOSSLCertificateSource]
        do {
          chain = try certificates.map { .certificate(try NIOSSLCertificate(bytes: $0, format: .der)) }
        } catch {
          throw .badCertificate(path: source.files.certificate, reason: "BoringSSL cannot read it")
        }
        guard let key = try? NIOSSLPrivateKey(bytes: key, format: .der) else {
          throw .badKey(path: source.files.key, reason: "BoringSSL does not know keys of this kind")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
          certificateChain: chain, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = floor == .tls12 ? .tlsv12 : .tlsv1
        configuration.applicationProtocols = ["http/1.1"]
        configuration.certificateVerification = asks ? .optionalVerification : .none
        // None of its own: without this it would read all that the system trusts.
        configuration.trustRoots = .certificates([])
        configuration.verifySignatureAlgorithms = Self.signatures + (floor == .tls12 ? [] : [.rsaPkcs1Sha1])
        do {
          return try NIOSSLContext(configuration: configuration)
        } catch {
          throw .badCertificate(
            path: source.files.certificate, reason: "BoringSSL cannot use it: \(TLSReason.failure(error))")
        }
      }
    }

    /// Signatures of clients that are accepted: OpenSSL's usual ones, as far as BoringSSL has them.
    private static let signatures: [SignatureAlgorithm] = [
      .ecdsaSecp256R1Sha256, .ed25519, .rsaPssRsaeSha256, .rsaPkcs1Sha256, .ecdsaSecp384R1Sha384, .rsaPssRsaeSha384,
      .rsaPkcs1Sha384, .ecdsaSecp521R1Sha512, .rsaPssRsaeSha512, .rsaPkcs1Sha512,
    ]

    /// The handler for one connection.
    ///
    /// - Parameter ask: called on NIO's thread with the certificates of a client that sends some.
    func makeHandler(ask: @escaping (Link.Question) -> Void) -> NIOSSLServerHandler {
      guard asksForCertificate else { return NIOSSLServerHandler(context: context) }
      return NIOSSLServerHandler(
        context: context,
        customVerificationCallback: { certificates, promise in
          var chain: [UInt8] = []
          for certificate in certificates { chain += (try? certificate.toDERBytes()) ?? [] }
          ask(Link.Question(chain: chain, answer: promise))
        })
    }
  }
#endif

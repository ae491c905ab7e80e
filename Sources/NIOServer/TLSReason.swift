#if NIO
  import EventLoop
  import Glibc
  import NIOCore
  import NIOSSL

  /// What errors of NIO and BoringSSL mean, in the words of the other cores.
  enum TLSReason {
    /// Whether the peer has left within the handshake.
    static func isEnd(_ error: any Error) -> Bool {
      guard case .handshakeFailed(.sslError(let stack)) = error as? NIOSSLError else { return false }
      return stack == [.eofDuringHandshake] || stack == [.eofDuringAdditionalCertficiateChainValidation]
    }

    static func failure(_ error: any Error) -> TransportFailure {
      switch error {
      case let error as IOError: return .system(error.errnoCode)
      case NIOSSLError.handshakeFailed(let error):
        let found = failure(of: error)
        return found == unreadableAlert ? .refusedByPeer("perhaps it does not accept the server's certificate") : found
      case NIOSSLError.shutdownFailed(let error): return failure(of: error)
      case let error as BoringSSLError: return failure(of: error)
      case is ChannelError: return .system(EPIPE)
      default: return .tls("\(error)")
      }
    }

    /// Under TLS 1.3 OpenSSL's clients send the alert that ends a handshake in clear, which BoringSSL takes for a short record.
    private static let unreadableAlert = failure(names: ["BAD_PACKET_LENGTH"])

    private static func failure(of error: BoringSSLError) -> TransportFailure {
      switch error {
      case .sslError(let stack), .unknownError(let stack): failure(names: stack.compactMap { name(in: $0.description) })
      case .zeroReturn, .syscallError: .system(ECONNRESET)
      default: .tls("\(error)")
      }
    }

    /// `NO_SHARED_CIPHER` of `Error: 268435640 error:100000b8:SSL routines:OPENSSL_internal:NO_SHARED_CIPHER at FILE:LINE`.
    static func name(in description: String) -> String? {
      let parts = description.split(separator: ":")
      guard let place = parts.firstIndex(of: "OPENSSL_internal"), place + 1 < parts.count else { return nil }
      return String(parts[place + 1].prefix { $0 != " " })
    }

    /// - Parameter names: BoringSSL's reasons, the cause first.
    static func failure(names: [String]) -> TransportFailure {
      for name in names {
        switch name {
        case "HTTP_REQUEST", "HTTPS_PROXY_REQUEST": return .plainHTTP
        case "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL": return .notTLS
        // The loop has said why.
        case "CERTIFICATE_VERIFY_FAILED": return .certificateRefused("refused")
        default: break
        }
        if let sentence = sentences[name] {
          return name.contains("_ALERT_") ? .refusedByPeer(sentence) : .tls(sentence)
        }
        if name.contains("_ALERT_") { return .refusedByPeer(plain(name)) }
      }
      return .tls(names.first.map(plain) ?? "BoringSSL gives no reason")
    }

    private static func plain(_ name: String) -> String { String(name.lowercased().map { $0 == "_" ? " " : $0 }) }

    private static let sentences = [
      "NO_SHARED_CIPHER": "the peer and the server have no cipher in common",
      "UNSUPPORTED_PROTOCOL": "the peer offers only protocols that are switched off here",
      "NO_COMMON_SIGNATURE_ALGORITHMS": "the peer takes no signature that the server's key can make",
      "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust the authority of the server's certificate",
      "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept the server's certificate",
      "SSLV3_ALERT_BAD_CERTIFICATE": "the peer finds the server's certificate damaged",
      "SSLV3_ALERT_CERTIFICATE_EXPIRED": "for the peer the server's certificate has expired",
      "TLSV1_ALERT_PROTOCOL_VERSION": "the peer does not speak the protocols that are spoken here",
    ]
  }
#endif

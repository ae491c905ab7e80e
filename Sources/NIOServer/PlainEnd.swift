#if NIO
  import EventLoop
  import NIOCore
  import NIOSSL
  import NIOTLS

  /// The handler behind TLS: gives what was decrypted to the loop, and tells how the handshake and the connection end.
  final class PlainEnd: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let link: Link
    private let tls: NIOSSLServerHandler
    private(set) var context: ChannelHandlerContext?

    init(_ link: Link, _ tls: NIOSSLServerHandler) {
      self.link = link
      self.tls = tls
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { link.received(unwrapInboundIn(data)) }

    func channelReadComplete(context: ChannelHandlerContext) { if link.mayRead() { context.read() } }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      switch event {
      case TLSUserEvent.handshakeCompleted(let negotiated): tellFacts(negotiated)
      case ChannelEvent.inputClosed: link.tell { $0.isInputEnded = true }
      default: break
      }
    }

    private func tellFacts(_ applicationProtocol: String?) {
      let version =
        switch tls.tlsVersion {
        case .tlsv1: "TLSv1"
        case .tlsv11: "TLSv1.1"
        case .tlsv12: "TLSv1.2"
        case .tlsv13: "TLSv1.3"
        case nil: ""
        }
      let certificate = tls.peerCertificate.flatMap { try? $0.toDERBytes() } ?? []
      link.tell {
        $0.facts = Link.Facts(
          protocolText: version, applicationProtocol: applicationProtocol, certificate: certificate)
      }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      // The peer's end without a farewell: HTTP says where a request ends.
      if error as? NIOSSLError == .uncleanShutdown { return }
      if TLSReason.isEnd(error) { return link.tell { $0.isInputEnded = true } }
      link.fail(TLSReason.failure(error))
    }

    func channelInactive(context: ChannelHandlerContext) {}
  }
#endif

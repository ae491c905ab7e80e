#if NIO
  import EventLoop
  import Glibc
  import NIOCore
  import NIOSSL

  /// The handler next to the socket: what comes before TLS, when the socket is read, and the loop's orders.
  ///
  /// NIO reads by order alone: `read` passes through here, also those of the TLS handler, and waits while the loop is asked
  /// about a certificate. Otherwise a peer could send on without a bound meanwhile.
  final class SocketEnd: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let link: Link
    private let mailbox: Mailbox
    /// Until the loop has admitted the connection.
    private var gate: AcceptGate?
    private var context: ChannelHandlerContext?
    /// Behind TLS; nil before.
    private var plainEnd: PlainEnd?
    private var isInputEnded = false
    private var isAsking = false
    private var isReadHeld = false
    /// Writes that the socket has not taken whole.
    private var writes = 0
    private var endsOutput = false
    private var closes = false
    private var hasLeft = false
    /// How long output that counts as written may take after the loop has ended the connection.
    static let closeTime = Duration.seconds(5)

    init(_ link: Link, mailbox: Mailbox, gate: AcceptGate?) {
      self.link = link
      self.mailbox = mailbox
      self.gate = gate
      gate?.wait()
      mailbox.begin()
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    private func leave() {
      passGate()
      context = nil
      plainEnd = nil
      link.socketEnd.value = nil
      if hasLeft { return }
      hasLeft = true
      mailbox.end()
    }

    private func passGate() {
      gate?.release()
      gate = nil
    }

    // MARK: - Events of the socket

    func channelActive(context: ChannelHandlerContext) {
      // A peer that has gone by now has no address, and is nobody's loss.
      guard let address = context.remoteAddress.flatMap(Self.address) else {
        context.close(promise: nil)
        return
      }
      mailbox.add(link, from: address)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if plainEnd != nil {
        context.fireChannelRead(data)
      } else {
        link.received(unwrapInboundIn(data))
      }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
      if plainEnd != nil {
        context.fireChannelReadComplete()
      } else if link.mayRead() {
        context.read()
      }
    }

    func read(context: ChannelHandlerContext) {
      if isAsking { isReadHeld = true } else { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      if event as? ChannelEvent == .inputClosed {
        isInputEnded = true
        if plainEnd == nil { link.tell { $0.isInputEnded = true } }
      }
      context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      if plainEnd != nil {
        context.fireErrorCaught(error)
      } else {
        link.fail(TLSReason.failure(error))
      }
    }

    func channelInactive(context: ChannelHandlerContext) {
      // The TLS handler has its say first.
      context.fireChannelInactive()
      link.tell { state in
        state.isInputEnded = true
        state.isGone = true
      }
      leave()
    }

    // MARK: - Orders of the loop

    func carryOut() {
      // The loop's first order says that it has the connection.
      passGate()
      let orders = link.takeOrders()
      guard let context else { return }
      if orders.dropsOutput {
        // Not through the TLS handler, which would wait for the peer's end.
        context.close(promise: nil)
        return
      }
      if let limit = orders.unsentBytes { boundUnsent(to: limit, context) }
      if let handshake = orders.handshake { secure(handshake, orders.first, context) }
      if orders.clearOutput.readableBytes > 0 { write(orders.clearOutput, counts: false, context) }
      if orders.output.readableBytes > 0 { write(orders.output, counts: true, context) }
      if orders.endsOutput { endsOutput = true }
      if orders.closes { closes = true }
      finish()
      guard let context = self.context else { return }
      if closes {
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(Self.closeTime)) { [weak self] in
          self?.context?.close(promise: nil)
        }
      } else if orders.resumesReading {
        (plainEnd?.context ?? context).read()
      }
    }

    /// Ends the stream, or the connection, where that is wanted and all is written.
    private func finish() {
      guard writes == 0 else { return }
      if endsOutput { endOutput() }
      if closes { context?.close(promise: nil) }
    }

    /// Begins TLS with what came before.
    private func secure(_ secure: SecureContext, _ first: ByteBuffer, _ context: ChannelHandlerContext) {
      let tls = secure.makeHandler { [link, weak self] question in
        self?.isAsking = true
        question.answer.futureResult.assumeIsolated().whenComplete { _ in self?.goOnReading() }
        link.ask(question)
      }
      let end = PlainEnd(link, tls)
      plainEnd = end
      do {
        let pipeline = context.pipeline.syncOperations
        try pipeline.addHandler(end, position: .after(self))
        try pipeline.addHandler(tls, position: .after(self))
      } catch {
        link.fail(TLSReason.failure(error))
        context.close(promise: nil)
        return
      }
      if first.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(first)) }
      context.fireChannelReadComplete()
      if isInputEnded { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
    }

    private func goOnReading() {
      isAsking = false
      guard isReadHeld else { return }
      isReadHeld = false
      context?.read()
    }

    private func write(_ bytes: ByteBuffer, counts: Bool, _ context: ChannelHandlerContext) {
      let count = bytes.readableBytes
      writes += 1
      let promise = context.eventLoop.makePromise(of: Void.self)
      promise.futureResult.assumeIsolated().whenComplete { [self] result in
        writes -= 1
        if case .failure(let error) = result { link.fail(TLSReason.failure(error)) }
        if counts { link.wrote(count) }
        finish()
      }
      if let plain = plainEnd?.context {
        plain.writeAndFlush(NIOAny(bytes), promise: promise)
      } else {
        context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
      }
    }

    /// Tells the peer that nothing follows. Not before all is written: the TLS handler ends a connection at once that the peer
    /// has half-closed.
    private func endOutput() {
      endsOutput = false
      (plainEnd?.context ?? context)?.close(mode: .output, promise: nil)
    }

    private func boundUnsent(to limitBytes: Int, _ context: ChannelHandlerContext) {
      let option = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT))
      // A peer that has gone has no socket to set it on, which the next read reports.
      try? context.channel.syncOptions?.setOption(option, value: .init(limitBytes))
    }

    private static func address(_ address: NIOCore.SocketAddress) -> PeerAddress? {
      address.withSockAddr { (pointer, size) -> PeerAddress? in
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { place in
          let count = min(size, place.count)
          place.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: count))
        }
        return PeerAddress(storage, length: socklen_t(size))
      }
    }
  }
#endif

#if NIO
  import EventLoop
  import Glibc
  import NIOCore

  /// The handler of a listening socket: accepts no more while many connections wait for the loop, and says when descriptors or
  /// memory run out, and when NIO gives the socket up.
  final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    /// Connections that may wait for the loop. Further ones wait in the kernel's queue.
    static let waitingLimit = 128

    private let mailbox: Mailbox
    private let address: String
    private var context: ChannelHandlerContext?
    private var waiting = 0
    private var isReadHeld = false
    private var lastError: (any Error)?

    init(_ mailbox: Mailbox, address: String) {
      self.mailbox = mailbox
      self.address = address
    }

    /// Waits a second where descriptors or memory have run out, and goes on at once after an error of one connection.
    static func makeBackoff() -> AcceptBackoffHandler {
      AcceptBackoffHandler { isExhaustion($0) ? .seconds(1) : nil }
    }

    private static func isExhaustion(_ error: IOError) -> Bool {
      [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func read(context: ChannelHandlerContext) {
      if waiting < Self.waitingLimit { context.read() } else { isReadHeld = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      lastError = error
      guard let error = error as? IOError, Self.isExhaustion(error) else { return }
      mailbox.add(SystemError(call: "accept4", errno: error.errnoCode, detail: address))
    }

    func channelInactive(context: ChannelHandlerContext) {
      let reason = lastError.map { "\(TLSReason.failure($0))" } ?? "closed"
      mailbox.addLostListener("\(address): \(reason)")
      context.fireChannelInactive()
    }

    /// Counts a connection that waits for the loop.
    func wait() { waiting += 1 }

    /// A connection that waited was admitted, or has ended.
    func release() {
      waiting -= 1
      guard isReadHeld, waiting <= Self.waitingLimit / 2 else { return }
      isReadHeld = false
      context?.read()
    }
  }
#endif

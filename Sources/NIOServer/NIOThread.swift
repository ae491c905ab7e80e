#if NIO
  import EventLoop
  import Glibc
  import NIOConcurrencyHelpers
  import NIOCore
  import NIOPosix

  /// NIO's thread with the listening sockets that it has.
  final class NIOThread: Sendable {
    /// What the kernel may keep of a peer's bytes; it doubles the number. NIO reads all of them, whatever waits for the loop,
    /// when the peer ends its stream.
    private static let receiveBufferBytes: ChannelOptions.Types.SocketOption.Value = 128 * 1024
    /// Bytes that one read takes from the socket.
    private static let readBytes = 16 * 1024
    private static let readsPerTurn: UInt = 4
    static let acceptsPerTurn: UInt = 32

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let mailbox: Mailbox
    /// Listening sockets.
    private let channels = NIOLockedValueBox<[any Channel]>([])

    var eventLoop: any EventLoop { group.next() }

    init(_ mailbox: Mailbox) { self.mailbox = mailbox }

    /// Takes a listening socket over and accepts on it.
    ///
    /// - Parameter backlog: the length of the kernel's queue, in place of NIO's own.
    func accept(on descriptor: CInt, address: String, backlog: CInt) async throws {
      let channel = try await bootstrap(address).withBoundSocket(descriptor).map { channel -> any Channel in
        // Here, as long as the number is sure to be the socket's.
        if channel.isActive { _ = Glibc.listen(descriptor, backlog) }
        return channel
      }.get()
      channels.withLockedValue { $0.append(channel) }
    }

    private func bootstrap(_ address: String) -> ServerBootstrap {
      let mailbox = mailbox
      let gate = NIOLoopBoundBox<AcceptGate?>.makeEmptyBox(valueType: AcceptGate.self, eventLoop: group.next())
      return ServerBootstrap(group: group)
        .serverChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let fresh = AcceptGate(mailbox, address: address)
            gate.value = fresh
            try channel.pipeline.syncOperations.addHandlers(AcceptGate.makeBackoff(), fresh)
          }
        }
        .serverChannelOption(.maxMessagesPerRead, value: Self.acceptsPerTurn)
        .childChannelOption(.autoRead, value: false)
        .childChannelOption(.allowRemoteHalfClosure, value: true)
        .childChannelOption(.maxMessagesPerRead, value: Self.readsPerTurn)
        .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.readBytes))
        .childChannelOption(.socketOption(.so_rcvbuf), value: Self.receiveBufferBytes)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let link = Link(on: channel.eventLoop, mailbox: mailbox)
            let end = SocketEnd(link, mailbox: mailbox, gate: gate.value)
            link.socketEnd.value = end
            try channel.pipeline.syncOperations.addHandler(end)
          }
        }
    }

    /// Closes the listening sockets, and tells the loop when that is done.
    func close() {
      let closed = channels.withLockedValue { channels in
        defer { channels = [] }
        return channels.map { $0.close() }
      }
      EventLoopFuture.andAllComplete(closed, on: eventLoop).whenComplete { [mailbox, eventLoop] _ in
        // NIO begins each connection that it has accepted by a task of its own: those are before this one.
        eventLoop.execute { mailbox.add(.stoppedAccepting) }
      }
    }

    /// Tells the loop when this thread has had a turn.
    func askForTurn() { eventLoop.execute { [mailbox] in mailbox.add(.hadTurn) } }

    /// Ends the thread, without waiting for it.
    func end() {
      let group = group
      group.shutdownGracefully { _ in _ = group }
    }
  }
#endif

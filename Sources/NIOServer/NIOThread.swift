#if NIO
  import EventLoop
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
    private static let acceptsPerTurn: UInt = 32

    private struct State {
      var channels: [any Channel] = []
      var isClosed = false
    }

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let mailbox: Mailbox
    private let state = NIOLockedValueBox(State())

    init(_ mailbox: Mailbox) { self.mailbox = mailbox }

    /// Takes a listening socket over and accepts on it.
    func accept(on descriptor: CInt, address: String) async throws {
      let channel = try await bootstrap(address).withBoundSocket(descriptor).get()
      let isLate = state.withLockedValue { state in
        if !state.isClosed { state.channels.append(channel) }
        return state.isClosed
      }
      if isLate { channel.close(promise: nil) }
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

    /// Closes the listening sockets.
    func close() {
      let channels = state.withLockedValue { state in
        defer { state.channels = [] }
        state.isClosed = true
        return state.channels
      }
      for channel in channels { channel.close(promise: nil) }
    }

    /// Ends the thread, without waiting for it.
    func end() {
      let group = group
      group.shutdownGracefully { _ in _ = group }
    }
  }
#endif

#if NIO
  import EventLoop
  import Logging
  import NIOCore
  import NIOEmbedded
  import Support
  import Testing

  @testable import NIOServer

  /// A link whose other thread the test plays, moment by moment.
  @Suite struct NIOLinkTests {
    private struct Ends {
      let link: Link
      let transport: LinkTransport
      let security: ConnectionSecurity
      let wakeup: Wakeup

      @MainActor init(on loop: Reactor) throws {
        let certificates = TestCertificates()
        let files = certificates.write(certificates.makeIdentity(["server"]), as: "server")
        security = try ConnectionSecurity(
          try TLSContext(files: files, floor: .tls12), logger: Logger(label: "test"))
        wakeup = try Wakeup(on: loop) {}
        link = Link(on: EmbeddedEventLoop(), mailbox: Mailbox(wakeup))
        transport = LinkTransport(link, on: loop, security: security)
        transport.watch {}
      }

      @MainActor func end() {
        transport.end()
        wakeup.close()
      }

      /// Bytes that wait for the loop.
      var waitingBytes: Int { link.withState { $0.input.readableBytes } }

      @MainActor func read(_ byteCount: Int) -> TransferOutcome {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        return bytes.withUnsafeMutableBytes { transport.read(into: $0) }
      }
    }

    /// NIO reads on until it carries out the order to begin TLS. What it reads until then is no plaintext: who adds to a
    /// client's first message would else speak in the client's name.
    @Test func bytesThatComeWhileTLSBeginsBelongToTLS() async throws {
      try await LoopDriver.withLoop { loop in
        let ends = try Ends(on: loop)
        let hello: [UInt8] = [0x16, 3, 1, 2, 0]
        let rest = Array("POST / HTTP/1.1\r\n".utf8)
        ends.link.received(ByteBuffer(bytes: hello))
        #expect(ends.transport.handshake() == .wantRead)
        ends.link.received(ByteBuffer(bytes: rest))
        let orders = ends.link.takeOrders()
        #expect(orders.handshake != nil)
        #expect(ends.waitingBytes == 0)
        #expect(Array(orders.first.readableBytesView) == hello + rest)
        ends.end()
      }
    }

    @Test func inputThatIsNeverReadWholeKeepsItsBound() async throws {
      try await LoopDriver.withLoop { loop in
        let ends = try Ends(on: loop)
        let piece = ByteBuffer(bytes: [UInt8](repeating: 7, count: 16 * 1024))
        ends.link.received(piece)
        for _ in 0..<200 {
          ends.link.received(piece)
          #expect(ends.read(piece.readableBytes) == .bytes(piece.readableBytes))
        }
        #expect(ends.waitingBytes == piece.readableBytes)
        #expect(ends.link.withState { $0.input.storageCapacity } <= 4 * Link.inputLimitBytes)
        ends.end()
      }
    }
  }
#endif

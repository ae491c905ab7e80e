#if NIO
  import EventLoop
  import Glibc
  import Networking
  import ServerSettings
  import Support
  import Testing
  import XMLRPC

  @testable import NIOServer

  /// Bounds, deadlines and the end of connections that come from NIO.
  @Suite(.serialized) struct NIOLimitTests {
    /// Whether the server ends the connection.
    private func isEnded(_ client: TestClient, _ server: NIOFixture) async -> Bool {
      await server.wait {
        _ = client.receive()
        return client.hasEnded
      }
    }

    @Test func connectionsOverTheBoundAreToldSoAndThenClosed() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture([.connections: 2, .refusedConnections: 1], on: loop)
        let served = [try await server.connect(), try await server.connect()]
        let refused = try await server.connect()
        // One more is closed when it comes.
        let dropped = try TestClient(port: server.port)
        #expect(await server.wait { !dropped.handshake() && dropped.failure != nil })
        let answer = try await refused.exchange(NIOFixture.request([1]), on: loop)
        #expect(answer?.status == 503 && answer?.head.contains("Retry-After: 30") == true)
        for client in served { #expect(try await client.exchange(NIOFixture.request([2]), on: loop)?.body == [2]) }
        #expect(server.table.counters.dropped == 1)
        for client in served + [refused] { client.close() }
        #expect(await server.wait { server.table.count == 0 })
        let again = try await server.connect()
        #expect(try await again.exchange(NIOFixture.request([3]), on: loop)?.body == [3])
        again.close()
        #expect(await server.end())
      }
    }

    @Test func silentPeersAreClosed() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture([.handshakeSeconds: 1, .headerSeconds: 1, .keepAliveSeconds: 1], on: loop)
        let silent = try TestClient(port: server.port)
        let handshaken = try await server.connect()
        let slow = try await server.connect()
        #expect(slow.send(Array("POST / HTTP/1.1\r\nHost".utf8)))
        let idle = try await server.connect()
        #expect(try await idle.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        #expect(try await slow.exchange([], on: loop)?.status == 408)
        #expect(await isEnded(handshaken, server))
        #expect(await isEnded(idle, server))
        #expect(await server.wait { server.table.counters.reached[.handshakeSeconds] == 1 })
        #expect(server.table.counters.reached[.headerSeconds] == 2)
        #expect(server.table.counters.reached[.keepAliveSeconds] == 1)
        for client in [silent, handshaken, slow, idle] { client.close() }
        #expect(await server.end())
      }
    }

    /// Half a handshake is as good as none.
    @Test func anUnfinishedHandshakeIsClosed() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture([.handshakeSeconds: 1], on: loop)
        let descriptor = try connectOnLoopback(to: server.port)
        defer { close(descriptor) }
        // A record of the handshake's type whose end does not come.
        let bytes: [UInt8] = [0x16, 3, 1, 2, 0, 1, 0]
        #expect(send(descriptor, bytes, bytes.count, 0) == bytes.count)
        var buffer = [UInt8](repeating: 0, count: 64)
        #expect(
          await server.wait {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count == 0 || count < 0 && errno != EAGAIN
          })
        #expect(server.table.counters.reached[.handshakeSeconds] == 1)
        #expect(await server.end())
      }
    }

    /// NIO reads no more of a connection than the loop has room for.
    @Test func bytesThatNobodyTakesStayInTheKernel() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let client = try await server.connect()
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        // The answer to the first of these waits for good: nothing behind it is read.
        let large = [UInt8](repeating: 7, count: 8_000_000)
        server.handler.respond = { _ in .xml(ByteSegments(large)) }
        #expect(client.send(NIOFixture.request([2])))
        #expect(await server.wait { server.handler.requests.count == 2 })
        let body = [UInt8](repeating: 9, count: 16_000)
        var sent = 0
        // Goes on until the socket takes no more, for a while.
        var refusals = 0
        #expect(
          await server.wait {
            if client.send(body) { sent += body.count } else { refusals += 1 }
            return refusals > 2000
          })
        #expect(sent < 6_000_000, "\(sent) bytes were taken")
        client.close()
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
      }
    }

    @Test func aDrainEndsIdleConnectionsAndFinishesAnswers() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let large = [UInt8](repeating: 7, count: 8_000_000)
        let idle = try await server.connect()
        #expect(try await idle.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        server.handler.respond = { _ in .xml(ByteSegments(large)) }
        let busy = try await server.connect()
        #expect(busy.send(NIOFixture.request([1])))
        #expect(await server.wait { server.handler.requests.count == 2 })
        var isDone = false
        server.beginEnd { isDone = true }
        #expect(await isEnded(idle, server))
        #expect(!isDone)
        #expect(try await busy.exchange([], on: loop)?.body == large)
        for client in [idle, busy] { client.close() }
        #expect(await server.wait { isDone })
        // Nobody listens any more.
        #expect(throws: (any Error).self) { try connectOnLoopback(to: server.port) }
      }
    }

    @Test func connectionsWaitInTheKernelUntilItServes() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(isServing: false, on: loop)
        let clients = try (0..<5).map { _ in try TestClient(port: server.port) }
        for client in clients { client.handshake() }
        for _ in 0..<20 { await loop.nextIteration() }
        #expect(server.table.count == 0)
        try await server.library.serve()
        for client in clients {
          #expect(try await client.handshake(on: loop))
          #expect(try await client.exchange(NIOFixture.request([4]), on: loop)?.body == [4])
          client.close()
        }
        #expect(await server.end())
      }
    }

    /// One that never served closes its sockets, too.
    @Test func anEndBeforeServingClosesTheSockets() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(isServing: false, on: loop)
        #expect(await server.end())
        #expect(throws: (any Error).self) { try connectOnLoopback(to: server.port) }
      }
    }
  }
#endif

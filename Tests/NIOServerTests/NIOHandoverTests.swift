#if NIO
  import Dispatch
  import EventLoop
  import Glibc
  import Networking
  import ServerSettings
  import Support
  import Testing
  import XMLRPC

  @testable import NIOServer

  /// What the loop's thread and NIO's have for each other: bounds, and what becomes of it when one of them goes on without the
  /// other.
  @Suite(.serialized) struct NIOHandoverTests {
    // MARK: - Bounds

    @Test func connectionsThatTheLoopDoesNotTakeStayInTheKernel() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let peers = try (0..<300).map { _ in try connectOnLoopback(to: server.port) }
        _ = try server.arrivals(atLeast: AcceptGate.waitingLimit)
        let waiting = try server.arrivals(atLeast: 0).count
        #expect(waiting < AcceptGate.waitingLimit + Int(NIOThread.acceptsPerTurn))
        // The others come as soon as the loop takes some.
        #expect(await server.wait { server.table.count == peers.count })
        for peer in peers { close(peer) }
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
      }
    }

    @Test func bytesThatTheLoopDoesNotTakeAreFew() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let client = try TestClient(port: server.port)
        let link = try server.lastArrival()
        #expect(try await client.handshake(on: loop))
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        // Until the socket takes no more.
        let bytes = [UInt8](repeating: 9, count: 16_000)
        var refusals = 0
        while refusals < 3 || link.heldBytes < Link.inputLimitBytes {
          let isTaken = client.send(bytes)
          refusals = isTaken ? 0 : refusals + 1
          if !isTaken { try server.letNIOWork() }
        }
        // What one turn reads comes on top.
        let held = link.heldBytes
        #expect(held < Link.inputLimitBytes + 5 * 16 * 1024, "\(held)")
        client.close()
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
      }
    }

    @Test func bytesBeforeTLSAreFewToo() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let peer = try connectOnLoopback(to: server.port)
        let link = try server.lastArrival()
        // The order to read, and nothing more of the loop: it ends where these bytes are looked at.
        let bytes: [UInt8] = Array("POS".utf8)
        #expect(send(peer, bytes, bytes.count, 0) == bytes.count)
        #expect(await server.wait { link.heldBytes == bytes.count })
        let more = [UInt8](repeating: 0x54, count: 16_000)
        var refusals = 0
        while refusals < 3 || link.heldBytes < Link.inputLimitBytes {
          let isTaken = send(peer, more, more.count, Int32(MSG_DONTWAIT)) > 0
          refusals = isTaken ? 0 : refusals + 1
          if !isTaken { try server.letNIOWork() }
        }
        let held = link.heldBytes
        #expect(held < Link.inputLimitBytes + 5 * 16 * 1024, "\(held)")
        close(peer)
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
      }
    }

    // MARK: - Connections that go

    /// - Parameter isReset: the peer has gone without an end.
    @Test(arguments: [false, true]) func aConnectionGoesWhileItsAnswerIsBuilt(isReset: Bool) async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture([.requests: 1], on: loop)
        server.handler.holds = true
        server.handler.respond = { _ in .xml(ByteSegments([UInt8](repeating: 7, count: 1_000_000))) }
        let client = try await server.connect()
        #expect(client.send(NIOFixture.request([1])))
        #expect(await server.wait { server.handler.heldCount == 1 })
        if isReset {
          var atOnce = linger(l_onoff: 1, l_linger: 0)
          setsockopt(client.descriptor, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
        }
        client.close()
        try server.letNIOWork()
        for _ in 0..<4 { await loop.nextIteration() }
        #expect(server.table.stateCounts["dispatching"] == 1)
        server.handler.goOn()
        #expect(await server.wait { server.table.count == 0 })
        #expect(server.table.counters.peersGone == 1)
        // Its place among the requests is free.
        server.handler.holds = false
        server.handler.respond = { .xml(ByteSegments($0.body)) }
        let other = try await server.connect()
        #expect(try await other.exchange(NIOFixture.request([2]), on: loop)?.body == [2])
        other.close()
        #expect(await server.end())
      }
    }

    /// It may have been looked at by nobody yet.
    @Test func aConnectionGoesBeforeTheLoopHasIt() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        for _ in 0..<3 { close(try connectOnLoopback(to: server.port)) }
        try server.letNIOWork()
        let client = try await server.connect()
        #expect(try await client.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
        client.close()
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
      }
    }

    // MARK: - The end

    @Test func anAnswerThatIsBuiltAtTheEndIsSent() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        server.handler.holds = true
        let client = try await server.connect()
        #expect(client.send(NIOFixture.request([1])))
        #expect(await server.wait { server.handler.heldCount == 1 })
        var isDone = false
        server.beginEnd { isDone = true }
        #expect(await server.wait { server.table.isDraining })
        server.handler.goOn()
        #expect(try await client.exchange([], on: loop)?.body == [1])
        client.close()
        #expect(await server.wait { isDone })
      }
    }

    @Test func anAnswerThatTakesTooLongIsGivenUpAtTheEnd() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture([.drainSeconds: 0], on: loop)
        server.handler.holds = true
        let client = try await server.connect()
        #expect(client.send(NIOFixture.request([1])))
        #expect(await server.wait { server.handler.heldCount == 1 })
        #expect(await server.end())
        #expect(try await client.exchange([], on: loop) == nil)
        // It comes all the same, and nobody wants it.
        server.handler.goOn()
        for _ in 0..<4 { await loop.nextIteration() }
        client.close()
      }
    }

    /// What counts as written is not in the kernel yet when the last connection has ended.
    @Test func whatCountsAsWrittenIsSentBeforeTheEnd() async throws {
      try await LoopDriver.withLoop { loop in
        let socket = try NIOFixture.makeListeningSocket()
        // Accepted sockets have it from this one.
        var size: CInt = 4096
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
        let server = try await NIOFixture(socket: socket, on: loop)
        let body = [UInt8](repeating: 7, count: Link.outputRestBytes - 1000)
        server.handler.respond = { _ in .xml(ByteSegments(body)) }
        let descriptor = try connectOnLoopback(to: server.port, receiveBufferBytes: 4096)
        let client = TestClient(pair: (-1, descriptor))
        #expect(try await client.handshake(on: loop))
        // A peer that ends its stream is not waited for.
        #expect(client.send(NIOFixture.request([1])))
        client.sendCloseNotify()
        #expect(shutdown(client.descriptor, CInt(SHUT_WR)) == 0)
        #expect(await server.wait { server.table.counters.responses == 1 && server.table.count == 0 })
        var isDone = false
        server.beginEnd { isDone = true }
        for _ in 0..<8 {
          await loop.nextIteration()
          try? server.letNIOWork()
        }
        #expect(!isDone)
        #expect(try await client.exchange([], on: loop)?.body == body)
        client.close()
        #expect(await server.wait { isDone })
      }
    }

    /// As at a second SIGTERM.
    @Test func anEndAtOnceWaitsForNobody() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let client = try await server.connect()
        server.handler.holds = true
        #expect(client.send(NIOFixture.request([1])))
        #expect(await server.wait { server.handler.heldCount == 1 })
        let silent = try connectOnLoopback(to: server.port)
        #expect(try server.arrivals(atLeast: 1).count == 1)
        server.beginEnd { Issue.record("told of an end that it did not wait for") }
        server.library.end()
        #expect(try await client.exchange([], on: loop) == nil)
        // Its connections end with the process; here with the table, which was not told to drain any more.
        var isDrained = false
        server.table.drain { isDrained = true }
        server.handler.goOn()
        #expect(await server.wait { isDrained })
        client.close()
        close(silent)
      }
    }

    /// In whatever order NIO takes sockets over and the end comes.
    @Test func anEndWhileItBeginsToServeClosesTheSockets() async throws {
      try await LoopDriver.withLoop { loop in
        for turns in 0..<8 {
          let server = try await NIOFixture(isServing: false, on: loop)
          let serving = Task { try await server.library.serve() }
          for _ in 0..<turns { await loop.nextIteration() }
          #expect(await server.end())
          _ = try await serving.value
          #expect(throws: (any Error).self) { try connectOnLoopback(to: server.port) }
        }
      }
    }

    // MARK: - Signs of life

    @Test func lifeIsProvedByATurnOfNIOsThread() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(isServing: false, on: loop)
        var proofs: [Int] = []
        // Before it serves there is only the loop.
        server.library.proveLife { proofs.append(0) }
        #expect(proofs == [0])
        try await server.library.serve()
        server.library.proveLife { proofs.append(1) }
        #expect(await server.wait { proofs == [0, 1] })
        let end = DispatchSemaphore(value: 0)
        try server.holdNIO(end)
        for number in 2...4 { server.library.proveLife { proofs.append(number) } }
        for _ in 0..<8 { await loop.nextIteration() }
        #expect(proofs == [0, 1])
        end.signal()
        // Of several questions the last counts.
        #expect(await server.wait { proofs.count > 2 })
        #expect(proofs == [0, 1, 4])
        #expect(await server.end())
        server.library.proveLife { proofs.append(5) }
        #expect(proofs == [0, 1, 4, 5])
      }
    }
  }
#endif

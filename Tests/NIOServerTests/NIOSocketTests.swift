#if NIO
  import EventLoop
  import Glibc
  import Networking
  import Support
  import Testing

  @testable import NIOServer

  /// Listening sockets that somebody else keeps, such as the service manager: one server after the other serves them.
  @Suite(.serialized) struct NIOSocketTests {
    @Test func aRestartDropsNoConnection() async throws {
      try await LoopDriver.withLoop { loop in
        let kept = try NIOFixture.makeListeningSocket()
        defer { close(kept) }
        // It waits for a server that there is not yet.
        let port = try SocketAddress.local(of: kept).port
        var waiting = try TestClient(port: port)
        for round in 0..<3 {
          let server = try await NIOFixture(socket: dup(kept), on: loop)
          #expect(server.port == port)
          #expect(try await waiting.handshake(on: loop))
          #expect(try await waiting.exchange(NIOFixture.request([1]), on: loop)?.body == [1])
          // One that NIO has accepted, and one that has shaken hands; the loop knows of the second alone.
          let shaken = try await server.connect()
          let accepted = try TestClient(port: port)
          #expect(try server.arrivals(atLeast: 1).count == 1)
          var isDone = false
          server.beginEnd(finishesNew: true) { isDone = true }
          #expect(await server.wait { server.table.isDraining })
          // From here on the kernel keeps who comes.
          waiting = try TestClient(port: port)
          for client in [shaken, accepted] {
            #expect(try await client.handshake(on: loop), "round \(round)")
            #expect(try await client.exchange(NIOFixture.request([2]), on: loop)?.body == [2], "round \(round)")
            client.close()
          }
          #expect(await server.wait { isDone })
          #expect(server.table.counters.accepted == 3)
        }
        waiting.close()
      }
    }

    /// The kernel's queue is as long as the builtin core's, whatever NIO has made of it.
    @Test func manyWaitWhileNobodyServes() async throws {
      try await LoopDriver.withLoop { loop in
        let kept = try NIOFixture.makeListeningSocket()
        defer { close(kept) }
        let first = try await NIOFixture(socket: dup(kept), on: loop)
        #expect(await first.end())
        let port = first.port
        // More than the 128 of NIO. A connection that finds the queue full would wait for a second.
        let peers = try (0..<200).map { _ in try connectOnLoopback(to: port) }
        let second = try await NIOFixture(socket: dup(kept), on: loop)
        #expect(await second.wait { second.table.count == peers.count })
        for peer in peers { close(peer) }
        #expect(await second.end())
      }
    }
  }
#endif

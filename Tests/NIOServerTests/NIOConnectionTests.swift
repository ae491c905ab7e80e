#if NIO
  import EventLoop
  import Glibc
  import Networking
  import ServerSettings
  import Support
  import Testing
  import XMLRPC

  @testable import NIOServer

  /// The whole way of a request over NIO: accepted, decrypted and answered on its thread, understood on the loop's.
  @Suite(.serialized) struct NIOConnectionTests {
    @Test func requestsAreAnsweredAndPipelinedOnesInOrder() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let client = try await server.connect()
        for body in ["one", "two"] {
          #expect(try await client.exchange(NIOFixture.request(Array(body.utf8)), on: loop)?.text == body)
        }
        let three = (1...3).flatMap { NIOFixture.request(Array("call \($0)".utf8)) }
        #expect(client.send(three))
        var text = ""
        #expect(
          await server.wait {
            text += String(decoding: client.receive(), as: UTF8.self)
            return text.hasSuffix("call 3")
          })
        #expect(text.ranges(of: "200 OK").count == 3)
        #expect(
          server.handler.requests.map { String(decoding: $0.body, as: UTF8.self) }.suffix(3) == [
            "call 1", "call 2", "call 3",
          ])
        #expect(server.table.counters.accepted == 1 && server.table.counters.handshakes == 1)
        #expect(server.handler.peers.first?.protocolText == "TLSv1.3")
        client.sendCloseNotify()
        client.close()
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
      }
    }

    @Test func aRequestByteByByteIsReadWhole() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let client = try await server.connect()
        for byte in NIOFixture.request(Array("slow".utf8)) { #expect(client.send([byte])) }
        #expect(try await client.exchange([], on: loop)?.text == "slow")
        client.close()
        #expect(await server.end())
      }
    }

    @Test func largeBodiesAndAnswersArriveWhole() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let client = try await server.connect()
        let body = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 / 251) }
        for _ in 0..<2 {
          let answer = try await client.exchange(NIOFixture.request(body), on: loop)
          #expect(answer?.status == 200 && answer?.body == body)
        }
        client.close()
        #expect(await server.end())
      }
    }

    /// What the server holds of an answer is bounded, and so is what the kernel has.
    @Test func aPeerThatStopsReadingHoldsTheAnswerBack() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let large = [UInt8](repeating: 7, count: 16_000_000)
        server.handler.respond = { _ in .xml(ByteSegments(large)) }
        let client = try await server.connect()
        #expect(client.send(NIOFixture.request([1])))
        #expect(await server.wait { server.table.counters.bytesWritten > 0 })
        // The other one is served meanwhile, many times, until no more is written to the first.
        let other = try await server.connect()
        server.handler.respond = { .xml(ByteSegments($0.body)) }
        var last = 0
        repeat {
          last = server.table.counters.bytesWritten
          for _ in 0..<50 { #expect(try await other.exchange(NIOFixture.request([2]), on: loop)?.body == [2]) }
        } while server.table.counters.bytesWritten - last > 50 * 1000
        #expect(server.table.counters.bytesWritten < 8_000_000)
        #expect(server.table.stateCounts["writingResponse"] == 1)
        // Who reads on gets the rest.
        var count = 0
        #expect(
          await server.wait {
            count += client.receive().count
            return count > large.count
          })
        for client in [client, other] { client.close() }
        #expect(await server.end())
      }
    }

    /// A peer that has ended its stream gets its answer.
    @Test func aHalfClosedConnectionIsAnswered() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        let large = [UInt8](repeating: 7, count: 3_000_000)
        server.handler.respond = { _ in .xml(ByteSegments(large)) }
        let client = try await server.connect()
        #expect(client.send(NIOFixture.request([1])))
        client.sendCloseNotify()
        #expect(shutdown(client.descriptor, CInt(SHUT_WR)) == 0)
        let answer = try await client.exchange([], on: loop)
        #expect(answer?.body == large)
        client.close()
        #expect(await server.end())
      }
    }

    @Test func plainHTTPIsToldAboutTLS() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture(on: loop)
        var options = TestClient.Options()
        options.isPlain = true
        for request in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\n\r\n"] {
          let client = try TestClient(port: server.port, options)
          let answer = try await client.exchange(Array(request.utf8), on: loop)
          #expect(answer?.status == 400 && answer?.text == "This port speaks HTTPS.\n")
          client.close()
        }
        #expect(server.table.counters.plainHTTP == 2)
        // Other protocols get no answer.
        let foreign = try TestClient(port: server.port, options)
        #expect(foreign.send(Array("SSH-2.0-x\r\n".utf8)))
        #expect(
          await server.wait {
            _ = foreign.receive()
            return foreign.hasEnded
          })
        #expect(server.table.counters.failedHandshakes == 1)
        #expect(server.log.lines.contains { $0.contains("TLS handshake failed: the first bytes are not TLS") })
        #expect(await server.end())
      }
    }

    @Test func aRefusedRequestEndsTheConnectionBeforeItsBody() async throws {
      try await LoopDriver.withLoop { loop in
        let server = try await NIOFixture([.bodyBytes: 2000], on: loop)
        server.handler.refusal = .error(status: 401)
        let refused = try await server.connect()
        #expect(refused.send(Array("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".utf8)))
        #expect(try await refused.exchange([], on: loop)?.status == 401)
        server.handler.refusal = nil
        let large = try await server.connect()
        #expect(
          try await large.exchange(NIOFixture.request([UInt8](repeating: 1, count: 3000)), on: loop)?.status == 413)
        let other = try await server.connect()
        #expect(try await other.exchange(NIOFixture.request([], method: "GET"), on: loop)?.status == 501)
        #expect(server.handler.requests.isEmpty)
        #expect(server.table.counters.refused == [401: 1, 413: 1, 501: 1])
        #expect(server.log.lines.contains { $0.contains("limit body_bytes = 2000 bytes reached") })
        #expect(await server.end())
      }
    }

    @Test func manyConnectionsNeedOneThread() async throws {
      try await LoopDriver.withLoop { loop in
        // Those of other tests end by themselves.
        while Self.threadCount > 0 { await loop.nextIteration() }
        let server = try await NIOFixture(on: loop)
        var clients: [TestClient] = []
        for _ in 0..<40 { clients.append(try await server.connect()) }
        for client in clients {
          #expect(try await client.exchange(NIOFixture.request([3]), on: loop)?.body == [3])
        }
        #expect(server.table.count == 40)
        #expect(Self.threadCount == 1)
        for client in clients { client.close() }
        #expect(await server.wait { server.table.count == 0 })
        #expect(await server.end())
        #expect(await server.wait { Self.threadCount == 0 })
      }
    }

    /// Threads of this process that are NIO's.
    private static var threadCount: Int {
      guard let folder = opendir("/proc/self/task") else { return 0 }
      defer { closedir(folder) }
      var count = 0
      while let entry = readdir(folder) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) {
          String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard let file = fopen("/proc/self/task/\(name)/comm", "r") else { continue }
        defer { fclose(file) }
        var line = [UInt8](repeating: 0, count: 64)
        let bytes = fread(&line, 1, line.count, file)
        if line[..<bytes].starts(with: Array("NIO-ELT".utf8)) { count += 1 }
      }
      return count
    }
  }
#endif

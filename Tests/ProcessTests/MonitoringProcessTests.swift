import EventLoop
import Glibc
import Support
import Testing

/// /metrics, /healthz and /readyz of the server's process.
@Suite(.serialized) struct MonitoringProcessTests {
  private static let anyPort = ["metrics": ["listen = 127.0.0.1:0"]]

  /// The port that the log names last.
  private func monitoringPort(_ server: ServerFixture) async throws -> UInt16 {
    #expect(try await server.waitForLog("metrics available at http://"))
    let matches = server.logText.matches(of: /metrics available at http:\/\/127\.0\.0\.1:(\d+)\/metrics/)
    return try #require(matches.last.flatMap { UInt16($0.1) })
  }

  private func ask(
    _ path: String, _ accept: String = "*/*", at port: UInt16, on loop: Reactor
  ) async throws -> TestResponse? {
    var options = TestClient.Options()
    options.isPlain = true
    let client = try TestClient(port: port, options)
    defer { client.close() }
    let request = "GET \(path) HTTP/1.1\r\nHost: x\r\nAccept: \(accept)\r\n\r\n"
    return try await client.exchange(Array(request.utf8), on: loop)
  }

  private func readMetrics(at port: UInt16, on loop: Reactor) async throws -> OpenMetricsReader {
    let answer = try #require(try await ask("/metrics", at: port, on: loop))
    #expect(answer.status == 200)
    #expect(answer.head.contains("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"))
    return try OpenMetricsReader(answer.text)
  }

  @Test func knownRequestsAreCounted() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: Self.anyPort, on: loop)
      try await server.start()
      let port = try await monitoringPort(server)
      let before = try await readMetrics(at: port, on: loop)
      #expect(before.sum("bcfg2_requests_total") == 0 && before.sum("bcfg2_ready") == 1)
      #expect(before.sum("bcfg2_request_duration_seconds_count") == nil)
      for _ in 0..<3 { #expect(try await server.call("GetConfig").status == 200) }
      #expect(try await server.call("GetConfig", password: "wrong").status == 401)
      _ = try await server.call("Nothing")
      _ = try await server.call("Probes.toggle_debug")
      let after = try await readMetrics(at: port, on: loop)
      let ok = ["method": "GetConfig", "outcome": "ok"]
      #expect(after.sum("bcfg2_requests_total", ok) == 3)
      #expect(after.sum("bcfg2_request_duration_seconds_count", ok) == 3)
      #expect(after.sum("bcfg2_request_duration_seconds_sum", ok) ?? 0 > 0)
      let built = try #require(after.sum("bcfg2_configurations_built_total"))
      #expect(built >= 1 && after.sum("bcfg2_kept_answers_used_total", ["answer": "configuration"]) == 3 - built)
      #expect(after.sum("bcfg2_requests_total", ["method": "other", "outcome": "fault"]) == 1)
      #expect(after.sum("bcfg2_requests_total", ["method": "plugin"]) == 1)
      #expect(after.sum("bcfg2_http_refusals_total", ["status": "401"]) == 1)
      #expect(after.sum("bcfg2_authentication_failures_total") == 1)
      #expect(after.sum("bcfg2_tls_handshakes_total", ["outcome": "done"]) == 6)
      #expect(after.sum("bcfg2_connections_accepted_total") == 6)
      #expect(after.sum("bcfg2_certificate_expiry_timestamp_seconds", ["certificate": "server"]) ?? 0 > 1.7e9)
      #expect(after.sum("bcfg2_certificate_expiry_timestamp_seconds", ["certificate": "authority"]) ?? 0 > 1.7e9)
      #expect(after.sum("bcfg2_files_monitored") ?? 0 > 3 && after.sum("bcfg2_file_watches") ?? 0 > 3)
      #expect(after.sum("bcfg2_loop_busy_duration_seconds_count", ["process": "server"]) ?? 0 > 10)
      let (heap, resident) = (after.sum("process_heap_bytes") ?? 0, after.sum("process_resident_memory_bytes") ?? 0)
      #expect(Project.isSanitized ? heap == 0 : heap > 1e5 && heap < resident)
      #expect(resident > 1e6 && after.sum("process_threads") == 1)
      #expect(after.sum("bcfg2_monitoring_requests_total", ["status": "200"]) == 1)
      // Names of clients are no labels, and nothing tells the password.
      let text = try #require(try await ask("/metrics", at: port, on: loop)).text
      #expect(!text.contains("secret"))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func pagesTellTheState() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: Self.anyPort, on: loop)
      try await server.start()
      let port = try await monitoringPort(server)
      #expect(try await ask("/healthz", at: port, on: loop)?.text == "ok\n")
      let ready = try await ask("/readyz", at: port, on: loop)
      #expect(ready?.status == 200 && ready?.text == "ready\n")
      #expect(try await ask("/", at: port, on: loop)?.status == 404)
      let plain = try #require(try await ask("/metrics", "text/plain", at: port, on: loop))
      #expect(plain.head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"))
      _ = try OpenMetricsReader(plain.text, isOpenMetrics: false)
      // Without its repository the server is alive, and not ready.
      let repository = server.folder.file("repo")
      #expect(rename(repository, repository + ".away") == 0)
      var away: TestResponse?
      let deadline = MonotonicTime.now() + .seconds(60)
      while away?.status != 503, MonotonicTime.now() < deadline {
        away = try await ask("/readyz", at: port, on: loop)
      }
      #expect(away?.status == 503 && away?.text.contains("the repository is missing") == true)
      #expect(try await ask("/healthz", at: port, on: loop)?.status == 200)
      let metrics = try await readMetrics(at: port, on: loop)
      #expect(metrics.sum("bcfg2_ready") == 0 && metrics.sum("bcfg2_repository_troubles") ?? 0 > 0)
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func aServerThatFinishesItsAnswersIsNotReady() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["metrics": ["listen = 127.0.0.1:0"], "server": ["drain_timeout = 60"]], on: loop)
      try await server.start()
      let port = try await monitoringPort(server)
      // A connection whose request is half sent keeps the server until it ends.
      let client = try TestClient(port: server.port)
      #expect(try await client.handshake(on: loop))
      _ = client.send(Array("POST /RPC2 HTTP/1.1\r\nHost: x\r\n".utf8))
      while try await readMetrics(at: port, on: loop).sum("bcfg2_connections", ["state": "readingRequest"]) != 1 {
        await loop.nextIteration()
      }
      server.signal(SIGTERM)
      #expect(try await server.waitForLog("serve_forever() [stop]"))
      let answer = try await ask("/readyz", at: port, on: loop)
      #expect(answer?.status == 503 && answer?.text == "the server stops\n")
      client.close()
      #expect(await server.waitForExit() == .exited(0))
    }
  }

  @Test func aUNIXSocketIsServedAndItsOldFileReplaced() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      let path = server.folder.file("metrics.sock")
      let configuration = try AtomicFile.readFile(server.folder.file("bcfg2.conf"), limitBytes: 1 << 16)
      let section = Array("[metrics]\nlisten = \(path)\n".utf8)
      try AtomicFile.writeOver(server.folder.file("bcfg2.conf"), configuration + section)
      try await server.start()
      #expect(try await server.waitForLog("metrics available at unix:\(path)"))
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode == S_IFSOCK | 0o660)
      #expect(try await askSocket(path, on: loop).contains("\r\n\r\nready\n"))
      server.signal(SIGKILL)
      _ = await server.waitForExit()
      #expect(lstat(path, &status) == 0)
      try await server.start()
      #expect(try await askSocket(path, on: loop).contains("\r\n\r\nready\n"))
      #expect(await server.stop() == .exited(0))
      #expect(lstat(path, &status) != 0)
    }
  }

  /// Asks for /readyz by curl, which speaks HTTP over a UNIX socket.
  private func askSocket(_ path: String, on loop: Reactor) async throws -> String {
    let result = try await ChildProcess.run(
      ["/usr/bin/curl", "-si", "--unix-socket", path, "http://localhost/readyz"], input: [], timeout: .seconds(60),
      outputLimitBytes: 1 << 16, on: loop)
    return String(decoding: result.standardOutput, as: UTF8.self)
  }

  @Test func aTakenPortCostsTheMetricsAlone() async throws {
    try await LoopDriver.withLoop { loop in
      let holder = try Listener.bind(to: try #require(SocketAddress(host: "127.0.0.1", port: 0)))
      let taken = try SocketAddress.local(of: holder.rawValue).port
      let server = try await ServerFixture(settings: ["metrics": ["listen = 127.0.0.1:\(taken)"]], on: loop)
      try await server.start()
      #expect(server.logText.contains("The metrics cannot be served at 127.0.0.1:\(taken); trying again: bind"))
      #expect(server.logText.contains("another program has the port"))
      #expect(try await server.call("GetConfig").status == 200)
      // SIGHUP tries again at once, here at another address.
      let path = server.folder.file("bcfg2.conf")
      let text = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 16), as: UTF8.self)
      try AtomicFile.writeOver(path, Array(text.replacing("127.0.0.1:\(taken)", with: "127.0.0.1:0").utf8))
      server.signal(SIGHUP)
      let port = try await monitoringPort(server)
      #expect(try await ask("/readyz", at: port, on: loop)?.status == 200)
      // Without the option nothing listens any more.
      try AtomicFile.writeOver(path, Array(text.replacing("listen = 127.0.0.1:\(taken)\n", with: "").utf8))
      server.signal(SIGHUP)
      let deadline = MonotonicTime.now() + .seconds(60)
      while (try? connectOnLoopback(to: port)).map({ close($0) }) != nil, MonotonicTime.now() < deadline {
        await loop.nextIteration()
      }
      #expect(throws: SystemError.self) { try connectOnLoopback(to: port) }
      #expect(await server.stop() == .exited(0))
      _ = consume holder
    }
  }

  @Test func aWrongValueKeepsTheServerFromStarting() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["metrics": ["listen = 0.0.0.0:9644"]], on: loop)
      await #expect(throws: FixtureError.self) { try await server.start() }
      #expect(server.logText.contains("[metrics] listen: wrong value '0.0.0.0:9644'"), "\(server.logText)")
      _ = await server.waitForExit()
    }
  }

  @Test func manySilentAndHostilePeersDelayNobody() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: Self.anyPort, on: loop)
      try await server.start()
      let port = try await monitoringPort(server)
      var options = TestClient.Options()
      options.isPlain = true
      let silent = try (0..<100).map { _ in try TestClient(port: port, options) }
      // One asks without end and reads nothing.
      let greedy = try TestClient(port: port, options)
      let request = Array("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
      for _ in 0..<2000 where !greedy.send(request) { break }
      for _ in 0..<5 { #expect(try await server.call("GetConfig").status == 200) }
      let metrics = try await readMetrics(at: port, on: loop)
      #expect(metrics.sum("bcfg2_requests_total", ["method": "GetConfig", "outcome": "ok"]) ?? 0 <= 5)
      #expect(metrics.sum("process_open_fds") ?? 1000 < 100)
      for client in silent + [greedy] { client.close() }
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func childrenAreAddedUp() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: [
          "metrics": ["listen = 127.0.0.1:0"], "server": ["backend = multiprocessing", "children = 2"],
          "caching": ["configurations = 0"],
        ], on: loop)
      try await server.start()
      let port = try await monitoringPort(server)
      var ready = try await ask("/readyz", at: port, on: loop)
      while ready?.status == 503, ready?.text.contains("no child process is ready") == true {
        ready = try await ask("/readyz", at: port, on: loop)
      }
      #expect(ready?.status == 200)
      for _ in 0..<4 { #expect(try await server.call("GetConfig").status == 200) }
      let before = try await readMetrics(at: port, on: loop)
      #expect(before.sum("bcfg2_configurations_built_total") == 4)
      #expect(before.sum("bcfg2_requests_total", ["method": "GetConfig", "outcome": "ok"]) == 4)
      #expect(before.sum("bcfg2_children", ["state": "running"]) == 2)
      #expect(before.sum("bcfg2_loop_busy_duration_seconds_count", ["process": "children"]) ?? 0 > 0)
      #expect(before.sum("bcfg2_children_resident_memory_bytes") ?? 0 > 1e6)
      // What a child has counted stays when it ends.
      let children = try childProcesses(of: try #require(server.process).processID)
      let killed = try #require(children.first)
      kill(killed, SIGKILL)
      #expect(try await server.waitForLog("(PID \(killed)) ended, signal 9"))
      var after = before
      while after.sum("bcfg2_child_restarts_total") != 1 || after.sum("bcfg2_children", ["state": "ready"]) != 2 {
        after = try await readMetrics(at: port, on: loop)
      }
      #expect(after.sum("bcfg2_configurations_built_total") == 4)
      #expect(await server.stop() == .exited(0))
    }
  }

  /// Child processes that build configurations, by the name that they give themselves.
  private func childProcesses(of parent: pid_t) throws -> [pid_t] {
    let text = try AtomicFile.readFile("/proc/\(parent)/task/\(parent)/children", limitBytes: 1 << 16)
    return String(decoding: text, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }.filter { child in
      let name = (try? AtomicFile.readFile("/proc/\(child)/comm", limitBytes: 64)) ?? []
      return String(decoding: name, as: UTF8.self).hasPrefix("bcfg2-child")
    }
  }

  @Test(.enabled(if: access("/usr/bin/promtool", X_OK) == 0, "promtool is not installed (Debian's package prometheus)"))
  func prometheusAcceptsTheOutput() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: Self.anyPort, on: loop)
      try await server.start()
      let port = try await monitoringPort(server)
      #expect(try await server.call("GetConfig").status == 200)
      let text = try #require(try await ask("/metrics", "text/plain", at: port, on: loop)).body
      let result = try await ChildProcess.run(
        ["/usr/bin/promtool", "check", "metrics"], input: text, timeout: .seconds(60), outputLimitBytes: 1 << 16,
        on: loop
      )
      #expect(
        result.status.isSuccess && result.standardError.isEmpty,
        "\(String(decoding: result.standardOutput + result.standardError, as: UTF8.self))")
      // What the examples speak of is in the output.
      let read = try OpenMetricsReader(String(decoding: text, as: UTF8.self), isOpenMetrics: false)
      for file in ["rules.yml", "dashboard.json"] {
        let page = try Project.text("examples/monitoring/\(file)")
        let used = Set(page.matches(of: /\b(?:bcfg2|process)_[a-z0-9_]+/).map { String($0.output) })
        #expect(used.subtracting(read.seriesNames).isEmpty)
      }
      #expect(await server.stop() == .exited(0))
    }
  }
}

public import EventLoop
import Glibc

/// A real server process on loopback, with a repository of the conformance cases, a certificate and a bcfg2.conf.
public final class ServerFixture {
  /// Where everything of this server is.
  public let folder = TemporaryDirectory()
  public let port: UInt16
  public let loop: Reactor
  public private(set) var process: ChildProcess?
  /// What the server wrote on standard error since the last start.
  public private(set) var log: [UInt8] = []
  private var output: FileDescriptor?

  /// Values of `[server] backend` whose connections differ; that on SwiftNIO in a build that has it.
  public nonisolated static var connectionBackends: [String] {
    #if NIO
      ["builtin", "nio"]
    #else
      ["builtin"]
    #endif
  }
  /// All of this build.
  public nonisolated static var backends: [String] { connectionBackends + ["multiprocessing"] }

  /// - Parameters:
  ///   - case: the conformance case whose repository is used.
  ///   - settings: lines of bcfg2.conf by section, added to the usual ones.
  public init(case name: String = "first-run", settings: [String: [String]] = [:], on loop: Reactor) async throws {
    self.loop = loop
    port = try Self.freePort()
    try await Self.run(
      ["/bin/cp", "-R", "\(Project.root)/Tests/Conformance/cases/\(name)/repo", folder.file("repo")], on: loop)
    try await Self.run(
      [
        "/usr/bin/openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days",
        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
        folder.file("key"), "-out", folder.file("crt"),
      ], on: loop)
    var sections = [
      "server": ["repository = \(folder.file("repo"))", "plugins = Bundler,Cfg,Metadata,Probes,Rules"],
      "communication": [
        "password = secret", "certificate = \(folder.file("crt"))", "key = \(folder.file("key"))",
        "ca = \(folder.file("crt"))", "protocol = xmlrpc/ssl",
      ],
      "components": ["bcfg2 = https://127.0.0.1:\(port)"],
    ]
    for (section, lines) in settings { sections[section, default: []] += lines }
    let text = sections.sorted { $0.key < $1.key }.map { "[\($0.key)]\n\($0.value.joined(separator: "\n"))\n" }.joined()
    folder.write(text, to: "bcfg2.conf", mode: 0o600)
  }

  /// Starts the server and waits until it serves.
  ///
  /// - Parameters:
  ///   - environment: variables that it has besides those of the tests.
  ///   - listeners: sockets for clients, passed as by a service manager; the caller keeps them.
  public func start(
    _ options: [String] = [], environment: [String: String] = [:], listeners: [CInt] = []
  ) async throws {
    var command = [Project.server, "-C", folder.file("bcfg2.conf")] + options
    var environment = environment
    if !listeners.isEmpty {
      // The shell becomes the server, and has its number.
      command = ["/bin/sh", "-c", "export LISTEN_PID=$$; exec \"$@\"", "sh"] + command
      environment["LISTEN_FDS"] = "\(listeners.count)"
    }
    var configuration = ChildProcess.Configuration(command)
    for (index, listener) in listeners.enumerated() { configuration.descriptors[3 + CInt(index)] = listener }
    if !environment.isEmpty { configuration.environment = Environment.own.merging(environment) { $1 } }
    configuration.standardError = .pipe
    log = []
    let child = try ChildProcess(configuration, on: loop)
    process = child
    output = child.detachPipe(2)
    guard try await waitForLog("serving bcfg2-server at") else {
      throw FixtureError(description: "the server did not start: \(logText)")
    }
  }

  /// The log so far as text.
  public var logText: String { String(decoding: log, as: UTF8.self) }

  /// Waits until the log holds a text; false where the server ended before, or after two minutes.
  public func waitForLog(_ text: String) async throws -> Bool {
    let deadline = MonotonicTime.now() + .seconds(120)
    while !readLog(), !logText.contains(text) {
      if MonotonicTime.now() > deadline || process?.status != nil { return logText.contains(text) }
      try await loop.sleep(for: .milliseconds(5))
    }
    return logText.contains(text)
  }

  /// Sends a signal to the server.
  public func signal(_ signal: Int32) { process?.kill(signal) }

  /// Waits for the server's end.
  public func waitForExit() async -> ChildProcess.ExitStatus? {
    let status = await process?.waitForExit()
    _ = readLog()
    process = nil
    return status
  }

  /// Ends the server with SIGTERM and waits for it.
  @discardableResult
  public func stop() async -> ChildProcess.ExitStatus? {
    signal(SIGTERM)
    return await waitForExit()
  }

  /// What a call answers: HTTP status and body; 0 where there is no answer.
  public func call(
    _ method: String, _ parameters: String = "", user: String = "root", password: String = "secret"
  ) async throws -> (status: Int, body: String) {
    var options = TestClient.Options()
    options.authority = folder.file("crt")
    guard let client = try? TestClient(port: port, options), try await client.handshake(on: loop),
      let answer = try await client.call(method, parameters, user: user, password: password, on: loop)
    else { return (0, "") }
    client.sendCloseNotify()
    client.close()
    return (answer.status, answer.text)
  }

  /// Reads what the server has written. Returns true at the end of its output.
  private func readLog() -> Bool {
    guard let raw = output?.rawValue else { return true }
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      var wait = pollfd(fd: raw, events: Int16(POLLIN), revents: 0)
      guard poll(&wait, 1, 0) > 0 else { return false }
      let count = read(raw, &buffer, buffer.count)
      if count <= 0 { return count == 0 }
      log += buffer[..<count]
    }
  }

  private static func run(_ arguments: [String], on loop: Reactor) async throws {
    let result = try await ChildProcess.run(
      arguments, input: [], timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
    guard result.status.isSuccess else {
      throw FixtureError(
        description: "\(arguments.joined(separator: " ")): \(String(decoding: result.standardError, as: UTF8.self))")
    }
  }

  /// A port below those that the kernel gives to connections, which could take it before the server does.
  private static func freePort() throws(SystemError) -> UInt16 {
    while true {
      let port = UInt16.random(in: 16000..<32000)
      guard let address = SocketAddress(host: "127.0.0.1", port: port) else {
        preconditionFailure("127.0.0.1 is an address")
      }
      do throws(SystemError) {
        _ = try Listener.bind(to: address)
        return port
      } catch  where error.errno == EADDRINUSE {
        continue
      }
    }
  }
}

/// Why a fixture could not be had.
public struct FixtureError: Error, CustomStringConvertible {
  public let description: String

  public init(description: String) { self.description = description }
}

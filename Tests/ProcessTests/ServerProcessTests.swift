import EventLoop
import Glibc
import Support
import Testing

/// The server as its administrator starts and stops it. One at a time: each test runs processes of its own.
@Suite(.serialized) struct ServerProcessTests {
  /// Runs the server with options until it ends by itself.
  private func run(_ options: [String]) async throws -> (status: ChildProcess.ExitStatus, out: String, error: String) {
    try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        [Project.server] + options, input: [], timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
      return (
        result.status, String(decoding: result.standardOutput, as: UTF8.self),
        String(decoding: result.standardError, as: UTF8.self)
      )
    }
  }

  @Test func helpAndVersionArePrinted() async throws {
    let help = try await run(["--help"])
    #expect(help.status == .exited(0) && help.out.contains("--config=FILE"))
    let version = try await run(["--version"])
    #expect(version.status == .exited(0) && !version.out.isEmpty)
  }

  @Test func anUnknownOptionIsAUsageError() async throws {
    let result = try await run(["--no-such-option"])
    #expect(result.status == .exited(2))
    #expect(result.error.contains("no-such-option"))
  }

  @Test func aMissingConfigurationFileIsNamed() async throws {
    let result = try await run(["-C", "/nonexistent/bcfg2.conf"])
    #expect(result.status == .exited(1))
    #expect(result.error.contains("/nonexistent/bcfg2.conf"))
  }

  @Test func aWrongValueNamesFileLineOptionAndWhatIsAllowed() async throws {
    let folder = TemporaryDirectory()
    let path = folder.write("[server]\nrepository = /nonexistent\nlisten_all = perhaps\n", to: "bcfg2.conf")
    let result = try await run(["-C", path])
    #expect(result.status == .exited(1))
    #expect(result.error.contains("\(path):3"))
    #expect(result.error.contains("listen_all") && result.error.contains("perhaps"))
  }

  /// SwiftNIO has one of its own besides.
  @Test(arguments: ServerFixture.connectionBackends)
  func aClientIsServedByOneThreadAndSIGTERMEndsWithStatus0(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["server": ["backend = \(backend)"]], on: loop)
      try await server.start()
      let answer = try await server.call("GetConfig")
      #expect(answer.status == 200)
      #expect(answer.body.contains("&lt;Configuration"))
      let process = try #require(server.process)
      #expect(taskCount(of: process.processID) == (backend == "nio" ? 2 : 1))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test(arguments: [SIGTERM, SIGINT], ServerFixture.connectionBackends)
  func aSignalDuringAnAnswerLetsItFinish(signal: Int32, backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        case: "cfg-large", settings: ["server": ["backend = \(backend)"]], on: loop)
      try await server.start()
      let whole = try await server.call("GetConfig")
      #expect(whole.status == 200)
      // Whether the signal comes before, in or after the answer: it is whole or there is none.
      async let answer = server.call("GetConfig")
      await loop.nextIteration()
      server.signal(signal)
      let second = try await answer
      #expect(second.status == 0 || second.body == whole.body)
      #expect(await server.waitForExit() == .exited(0))
    }
  }

  /// Renderers have a folder of their own where the repository lies in /tmp.
  @Test(
    .enabled(if: Confinement.canConfineWrites && getenv("TMPDIR") == nil, "renderers have no folders"),
    arguments: [SIGTERM, SIGINT])
  func foldersOfRenderersGoWithTheServer(signal: Int32) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      let temporary = TemporaryDirectory(named: "tmp", in: server.folder)
      server.folder.write("for ${metadata.hostname}\n", to: "repo/Cfg/etc/nonexist/nonexist.genshi")
      try await server.start(environment: ["TMPDIR": temporary.path])
      let answer = try await server.call("GetConfig")
      #expect(answer.status == 200 && answer.body.contains("for one.example.com"))
      // The renderer is there, and so is its folder.
      #expect(!temporary.names().isEmpty)
      server.signal(signal)
      #expect(await server.waitForExit() == .exited(0))
      #expect(temporary.names() == [])
    }
  }

  @Test func aHangupReadsBcfg2ConfAndRepositoryAgain() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start()
      #expect(try await server.call("GetConfig").status == 200)
      let path = server.folder.file("bcfg2.conf")
      let text = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
      let lines = text.split(separator: "\n").map { $0 == "password = secret" ? "password = other" : String($0) }
      server.folder.write(lines.joined(separator: "\n") + "\n", to: "bcfg2.conf", mode: 0o600)
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
      #expect(try await server.call("GetConfig").status == 401)
      #expect(try await server.call("GetConfig", password: "other").status == 200)
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func aDaemonReportsItsStartHoldsItsPidFileAndRemovesIt() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      let pidFile = server.folder.file("run/bcfg2-server.pid")
      let log = server.folder.file("log")
      let command = [Project.server, "-C", server.folder.file("bcfg2.conf"), "-D", pidFile, "-o", log, "-d"]
      func start() async throws -> ChildProcess.Output {
        try await ChildProcess.run(command, input: [], timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
      }
      let started = try await start()
      #expect(started.status == .exited(0), "\(String(decoding: started.standardError, as: UTF8.self))")
      // The command ends when the daemon serves.
      #expect(try await server.call("GetConfig").status == 200)
      let line = String(decoding: try AtomicFile.readFile(pidFile, limitBytes: 64), as: UTF8.self)
      let daemon = try #require(pid_t(line.dropLast()))
      let second = try await start()
      #expect(second.status == .exited(1))
      #expect(String(decoding: second.standardError, as: UTF8.self).contains(pidFile))
      #expect(kill(daemon, SIGTERM) == 0)
      let deadline = MonotonicTime.now() + .seconds(120)
      while access(pidFile, F_OK) == 0, MonotonicTime.now() < deadline { try await loop.sleep(for: .milliseconds(5)) }
      #expect(access(pidFile, F_OK) != 0)
      let text = String(decoding: try AtomicFile.readFile(log, limitBytes: 1 << 24), as: UTF8.self)
      for line in [
        "bcfg2-server daemonized", "Core: debug = True", "Loading plugin Metadata", "serve_forever() [start]",
        "Dropped privileges to \(getuid()):\(getgid()).", "Generated config for one.example.com in ",
        "Failed to daemonize bcfg2-server: Failed to acquire lock on \(pidFile)", "Got signal 15, stopping",
        "serve_forever() [stop]", "BuiltinCore: All plugins shut down",
      ] {
        #expect(text.contains(line), "\(line)")
      }
    }
  }

  @Test func withoutBlockingTheServerServesAllTheSame() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start(["--no-fam-blocking"])
      let deadline = MonotonicTime.now() + .seconds(120)
      var answer = try await server.call("GetConfig")
      while !answer.body.contains("&lt;Configuration"), MonotonicTime.now() < deadline {
        // Until Metadata was read there is nothing but this, and 401 where clients.xml has the address.
        #expect(answer.status == 401 || answer.body.contains("Metadata has not been read yet"), "\(answer)")
        answer = try await server.call("GetConfig")
      }
      #expect(answer.body.contains("&lt;Configuration"))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func aPortInUseFailsTheStartWithStatus1() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start()
      let result = try await ChildProcess.run(
        [Project.server, "-C", server.folder.file("bcfg2.conf")], input: [], timeout: .seconds(120),
        outputLimitBytes: 1 << 20, on: loop)
      #expect(result.status == .exited(1))
      #expect(String(decoding: result.standardError, as: UTF8.self).contains("Server startup failed"))
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test func whatWasAnsweredSurvivesKill() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(on: loop)
      try await server.start()
      for version in ["1.3.4", "1.4.0", "1.3.0", "1.4.1"] {
        let answer = try await server.call("DeclareVersion", "<param><value>\(version)</value></param>")
        #expect(answer.status == 200 && answer.body.contains("<boolean>1</boolean>"), "\(answer)")
        server.signal(SIGKILL)
        #expect(await server.waitForExit() == .signaled(SIGKILL))
        let clients = try AtomicFile.readFile(server.folder.file("repo/Metadata/clients.xml"), limitBytes: 1 << 20)
        #expect(String(decoding: clients, as: UTF8.self).contains("version=\"\(version)\""))
        try await server.start()
      }
      #expect(await server.stop() == .exited(0))
    }
  }

  @Test(arguments: ["client", "file"])
  func aStartOnAnUnreadableStoreWritesNothingOverIt(layout: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["probes": ["layout = \(layout)"]], on: loop)
      let path = server.folder.file("repo/Probes/probed.xml")
      func report(_ value: String) async throws {
        let data = "<probe-data><probe-data name='p' source='Probes'>\(value)</probe-data></probe-data>"
        let text = data.replacing("<", with: "&lt;")
        let answer = try await server.call("RecvProbeData", "<param><value>\(text)</value></param>")
        #expect(answer.status == 200 && answer.body.contains("<boolean>1</boolean>"), "\(answer)")
      }
      func text(_ path: String) throws -> String {
        String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
      }
      try await server.start()
      try await report("first")
      server.signal(SIGKILL)
      #expect(await server.waitForExit() == .signaled(SIGKILL))
      let whole = try text(path)
      #expect(whole.contains("value=\"first\""))
      let broken = String(whole.dropLast(20))
      server.folder.write(broken, to: "repo/Probes/probed.xml")
      try await server.start()
      #expect(server.logText.contains("cannot be read, and was moved to"))
      try await report("second")
      #expect(await server.stop() == .exited(0))
      #expect(try text(path + ".broken") == broken)
      #expect(try text(path).contains("value=\"second\""))
      // No temporary file is left behind.
      #expect(server.folder.names(in: "repo/Probes").contains { $0.hasPrefix(".#") } == false)
    }
  }

  private func taskCount(of process: pid_t) -> Int {
    guard let directory = opendir("/proc/\(process)/task") else { return 0 }
    defer { closedir(directory) }
    var count = -2  // . and ..
    while readdir(directory) != nil { count += 1 }
    return count
  }
}

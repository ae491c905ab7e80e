import EventLoop
import Glibc
import Support
import Testing

/// What an administrator sees of failed starts, stops and hangups. One at a time: each test runs processes of its own.
@Suite(.serialized) struct OperationsProcessTests {
  /// What is wrong with a start.
  nonisolated enum Fault: String, CaseIterable, Sendable {
    case portInUse, portInUseMultiprocessing, noSuchHost, otherKey, noKey, keyIsFIFO, certificateIsFIFO,
      authorityIsDevice
    case certificateIsKey, noRepository, noMetadata, noMetadataMultiprocessing, noLogFolder, logIsFIFO
    case configurationIsFIFO, badPassword
  }

  private func run(_ server: ServerFixture, _ options: [String] = []) async throws -> (Int32, String) {
    let result = try await ChildProcess.run(
      [Project.server, "-C", server.folder.file("bcfg2.conf")] + options, timeout: .seconds(120),
      outputLimitBytes: 1 << 20, on: server.loop)
    #expect(result.standardOutput.isEmpty)
    return (result.status.code, String(decoding: result.standardError, as: UTF8.self))
  }

  /// Changes lines of bcfg2.conf.
  private func edit(_ server: ServerFixture, _ changes: [String: String]) throws {
    let path = server.folder.file("bcfg2.conf")
    let text = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
    let lines = text.split(separator: "\n").map { line in
      changes.first { line.hasPrefix("\($0.key) =") }.map { "\($0.key) = \($0.value)" } ?? String(line)
    }
    try AtomicFile.writeOver(path, Array((lines.joined(separator: "\n") + "\n").utf8))
  }

  @Test(arguments: Fault.allCases) func aStartThatFailsPrintsItsOwnLineAlone(_ fault: Fault) async throws {
    try await LoopDriver.withLoop { loop in
      let backend = fault.rawValue.hasSuffix("Multiprocessing") ? ["backend = multiprocessing", "children = 2"] : []
      let server = try await ServerFixture(settings: ["server": backend, "logging": ["syslog = false"]], on: loop)
      let folder = server.folder
      let fifo = folder.file("fifo")
      try #require(mkfifo(fifo, 0o600) == 0)
      let lines: [String]
      var options: [String] = []
      var port: FileDescriptor?
      switch fault {
      case .portInUse, .portInUseMultiprocessing:
        port = try Listener.bind(to: try #require(SocketAddress(host: "127.0.0.1", port: server.port)))
        lines = [
          "Server startup failed: bind 127.0.0.1:\(server.port): Address already in use: another program has the port, "
            + "perhaps another bcfg2-server (ss -ltnp shows it)"
        ]
      case .noSuchHost:
        try edit(server, ["bcfg2": "https://256.0.0.1:6789"])
        let path = folder.file("bcfg2.conf")
        let number = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 20), as: UTF8.self)
          .split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.hasPrefix("bcfg2 =") }
        lines = [
          "Server startup failed: \(path):\(try #require(number) + 1): [components] bcfg2 = https://256.0.0.1:6789: "
            + "getaddrinfo 256.0.0.1: Name or service not known"
        ]
      case .otherKey:
        let certificates = TestCertificates()
        let files = certificates.write(certificates.makeIdentity(["other"]), as: "other")
        try AtomicFile.writeOver(folder.file("key"), AtomicFile.readFile(files.key, limitBytes: 1 << 16))
        lines = [
          "Server startup failed: key \(folder.file("key")) does not match certificate \(folder.file("crt"))"
        ]
      case .noKey:
        unlink(folder.file("key"))
        lines = ["Server startup failed: Keyfile \(folder.file("key")) does not exist or is not readable"]
      case .keyIsFIFO:
        try edit(server, ["key": fifo])
        lines = ["Server startup failed: key \(fifo) cannot be used: a FIFO, not a regular file"]
      case .certificateIsFIFO:
        try edit(server, ["certificate": fifo])
        lines = ["Server startup failed: certificate \(fifo) cannot be used: a FIFO, not a regular file"]
      case .authorityIsDevice:
        try edit(server, ["ca": "/dev/zero"])
        lines = ["Server startup failed: CA /dev/zero cannot be used: a character device, not a regular file"]
      case .certificateIsKey:
        try edit(server, ["certificate": folder.file("key")])
        lines = [
          "Server startup failed: certificate \(folder.file("key")) cannot be used: "
            + "it holds a private key and no certificate"
        ]
      case .noMetadata, .noMetadataMultiprocessing:
        try edit(server, ["plugins": "Bundler"])
        lines = ["No Metadata plugin loaded; failed to instantiate Core", "Server startup failed: No Metadata Plugin"]
      case .noRepository:
        try edit(server, ["repository": folder.file("none")])
        lines = ["Server startup failed: repository \(folder.file("none")) does not exist or is not a folder"]
      case .noLogFolder:
        options = ["-o", folder.file("none/log")]
        lines = ["bcfg2-server: Server startup failed: open \(folder.file("none/log")): No such file or directory"]
      case .logIsFIFO:
        options = ["-o", fifo]
        lines = ["bcfg2-server: Server startup failed: open \(fifo): a FIFO that nobody reads"]
      case .configurationIsFIFO:
        unlink(folder.file("bcfg2.conf"))
        try #require(mkfifo(folder.file("bcfg2.conf"), 0o600) == 0)
        lines = ["bcfg2-server: Could not read \(folder.file("bcfg2.conf")): a FIFO, not a regular file"]
      case .badPassword:
        let path = folder.file("bcfg2.conf")
        let bytes = try AtomicFile.readFile(path, limitBytes: 1 << 20)
        let at = try #require(bytes.firstRange(of: Array("= secret".utf8)))
        try AtomicFile.writeOver(path, bytes[..<at.lowerBound] + [0x3D, 0xE9] + bytes[at.upperBound...])
        let line = bytes[..<at.lowerBound].count { $0 == 0x0A } + 1
        lines = ["bcfg2-server: \(path):\(line): [communication] password: the value is not UTF-8 text"]
      }
      let (status, text) = try await run(server, options)
      #expect(status == 1)
      // The certificate of the fixture lives for two days, which the server tells of. Until it finds no Metadata, it reads.
      let said = text.split(separator: "\n").map(String.init).filter { line in
        !line.contains(" expires in ") && !line.hasPrefix("Handled ") && !line.hasPrefix("Bundler: ")
      }
      #expect(said == lines, "\(text)")
      _ = port.take()?.close()
    }
  }

  @Test(arguments: ServerFixture.backends) func aStopPrintsItsOwnLinesAlone(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["backend = \(backend)", "children = 2"], "logging": ["syslog = false"]], on: loop)
      try await server.start()
      // A helper of the name service, and a child process that is still at work.
      #expect(try await server.call("GetConfig").status == 200)
      let names = ["builtin": "BuiltinCore", "multiprocessing": "MultiprocessingCore", "nio": "NIOCore"]
      let name = try #require(names[backend])
      #expect(await server.stop() == .exited(0))
      let said = server.logText.split(separator: "\n").map(String.init).drop { $0 != "Got signal 15, stopping" }
      #expect(
        Array(said) == [
          "Got signal 15, stopping", "serve_forever() [stop]", "server_close()", "\(name): Shutting down core...",
          "\(name): FAM shut down", "\(name): All plugins shut down",
        ], "\(said)")
    }
  }

  @Test func aDaemonThatCannotStartSaysSoOnce() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["logging": ["syslog = false"]], on: loop)
      let link = server.folder.file("link")
      try #require(symlink("x", link) == 0)
      for (path, line) in [
        (link, "bcfg2-server: Server startup failed: open \(link): a symbolic link, which a pid file must not be\n"),
        ("/proc/none/pid", "bcfg2-server: mkdir /proc/none: No such file or directory\n"),
        (
          server.folder.path,
          "bcfg2-server: Server startup failed: open \(server.folder.path): a folder; -D wants the path of a file in it\n"
        ),
      ] {
        let (status, text) = try await run(server, ["-D", path])
        #expect(status == 1 && text == line)
      }
    }
  }

  @Test(arguments: ServerFixture.connectionBackends)
  func aHangupTakesOtherCertificatesAndTellsWhatWaitsForARestart(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(settings: ["server": ["backend = \(backend)"]], on: loop)
      try await server.start()
      let certificates = TestCertificates()
      let files = certificates.write(certificates.makeIdentity(["renewed"]), as: "renewed")
      try edit(
        server,
        ["key": files.key, "certificate": files.certificate, "plugins": "Metadata,Bundler", "password": "other"])
      server.signal(SIGHUP)
      #expect(
        try await server.waitForLog("[server] plugins changes at the next start only: plugins are loaded at the start"))
      #expect(try await server.waitForLog("certificate \(files.certificate) (CN renewed) expires in "))
      let subject = try await ChildProcess.run(
        ["/bin/sh", "-c", "openssl s_client -connect 127.0.0.1:\(server.port) </dev/null 2>&1 | grep subject="],
        timeout: .seconds(120), outputLimitBytes: 1 << 16, on: loop)
      #expect(String(decoding: subject.standardOutput, as: UTF8.self).contains("renewed"))
      // An unusable new value leaves the old one in use, and is reported in one sentence.
      let fifo = server.folder.file("fifo")
      try #require(mkfifo(fifo, 0o600) == 0)
      try edit(server, ["key": fifo])
      server.signal(SIGHUP)
      let refusal = "The certificates stay as they are: key \(fifo) cannot be used: a FIFO, not a regular file"
      #expect(try await server.waitForLog(refusal))
      #expect(await server.stop() == .exited(0))
      #expect(!server.logText.contains("still watched"))
    }
  }

  @Test func processesOfOneCoreTellOfAFileOnce() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["backend = multiprocessing", "children = 2"], "logging": ["syslog = false"]], on: loop)
      let path = server.folder.write("<Bundle>", to: "repo/Bundler/broken.xml")
      server.folder.write("<Bundle name='old'/>", to: "repo/Bundler/old.xml")
      try await server.start()
      for _ in 0..<4 { #expect(try await server.call("GetConfig").status == 200) }
      #expect(await server.stop() == .exited(0))
      let lines = server.logText.split(separator: "\n")
      #expect(lines.filter { $0.contains("\(path):") }.count == 1, "\(lines)")
      #expect(lines.filter { $0.contains("/old.xml: Explicitly specifying") }.count == 1, "\(lines)")
    }
  }

  /// Files that root read or created at the start cause no error at a hangup.
  @Test(.enabled(if: geteuid() == 0, "only root can give up being root"), arguments: ServerFixture.connectionBackends)
  func aHangupWithoutPrivilegesOpensTheLogAndKeepsTheKey(backend: String) async throws {
    try await LoopDriver.withLoop { loop in
      let nobody: uid_t = 65534
      let server = try await ServerFixture(
        settings: [
          "server": ["backend = \(backend)", "user = \(nobody)", "group = \(nobody)"],
          "logging": ["path = none", "verbose = true"],
        ],
        on: loop)
      chmod(server.folder.path, 0o755)
      let logs = server.folder.file("logs")
      try #require(mkdir(logs, 0o755) == 0)
      try edit(server, ["path": logs + "/log"])
      let owned = try await ChildProcess.run(
        ["/bin/chown", "-R", "\(nobody)", server.folder.file("repo"), logs], timeout: .seconds(30),
        outputLimitBytes: 1 << 16, on: loop)
      #expect(owned.status == .exited(0))
      try await server.start()
      var status = stat()
      #expect(stat(logs + "/log", &status) == 0 && status.st_uid == nobody && status.st_gid == nobody)
      try #require(rename(logs + "/log", logs + "/old") == 0)
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("The certificates stay as they are: their files have not changed"))
      #expect(await server.stop() == .exited(0))
      let text = String(decoding: try AtomicFile.readFile(logs + "/log", limitBytes: 1 << 20), as: UTF8.self)
      #expect(text.contains("All plugins shut down"))
      #expect(!server.logText.contains("could not be opened again") && !server.logText.contains("SIGHUP will not be"))
    }
  }

  @Test func aHangupTakesAnotherLogFile() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["logging": ["path = none", "verbose = false"]], on: loop)
      try edit(server, ["path": server.folder.file("log1")])
      try await server.start()
      try edit(server, ["path": server.folder.file("log2"), "verbose": "true"])
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
      #expect(try await server.call("GetConfig").status == 200)
      #expect(await server.stop() == .exited(0))
      let text = try server.folder.text("log2")
      #expect(text.contains("Generated config for"))
    }
  }
}

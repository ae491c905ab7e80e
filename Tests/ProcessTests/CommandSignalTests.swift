import EventLoop
import Glibc
import Support
import Testing

/// Commands that a signal ends in the middle of their work leave no processes, and nothing half made.
///
/// The programs that they start are scripts here, which write the numbers of their processes to a FIFO and stay.
@Suite(.serialized, .timeLimit(.minutes(2))) struct CommandSignalTests {
  private nonisolated static let signals = [SIGINT, SIGTERM, SIGHUP]

  /// A script in a program's place, for the command lines with a word.
  private func hang(_ program: String, at word: String, _ site: CommandSite, before: String = "") throws {
    site.folder.write(
      """
      #!/bin/sh
      PATH=/usr/local/bin:/usr/bin:/bin
      case "$*" in *\(word)*) \(before)
      echo $$ $PPID > \(site.folder.file("numbers")); exec tail -f /dev/null;; esac
      exec \(program) "$@"

      """, to: "bin/\(program)", mode: 0o755)
  }

  /// Starts a command, waits until so many programs hang, sends the signal, and waits for the end.
  private func end(
    _ command: [String], by signal: Int32, whenHanging count: Int = 1, _ site: CommandSite
  ) async throws {
    let fifo = site.folder.file("numbers")
    try #require(mkfifo(fifo, 0o666) == 0)
    mkdir(site.folder.file("tmp"), 0o777)
    try await LoopDriver.withLoop { loop in
      // Also open for writing, so that it has no end.
      let numbers = try FileDescriptor.open(fifo, O_RDWR | O_NONBLOCK)
      var configuration = ChildProcess.Configuration(command)
      configuration.environment = [
        "PATH": "\(site.folder.file("bin")):/usr/local/bin:/usr/bin:/bin", "TMPDIR": site.folder.file("tmp"),
        "HOME": site.folder.path,
      ]
      configuration.standardOutput = .null
      configuration.standardError = .null
      // posix_spawnp looks for programs in the command's own PATH, as it looks for the command's here.
      let child = try ChildProcess(configuration, on: loop)
      let lines = await Self.lines(count, of: numbers.rawValue, on: loop)
      child.kill(signal)
      #expect(await child.waitForExit() == .signaled(signal))
      for number in Set(lines.flatMap { $0.split(separator: " ") }.compactMap { pid_t($0) }) {
        #expect(kill(number, 0) == -1 && errno == ESRCH, "\(number) is there, of \(lines)")
      }
      #expect(site.folder.names(in: "tmp").isEmpty)
    }
  }

  private static func lines(_ count: Int, of descriptor: Int32, on loop: Reactor) async -> [String] {
    var bytes: [UInt8] = []
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      var watcher: Watcher?
      watcher = try? loop.register(descriptor, interest: .read) { _ in
        var chunk = [UInt8](repeating: 0, count: 4096)
        let read = read(descriptor, &chunk, chunk.count)
        if read > 0 { bytes += chunk[..<read] }
        guard bytes.count(where: { $0 == UInt8(ascii: "\n") }) >= count else { return }
        watcher?.cancel()
        continuation.resume()
      }
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  @Test(arguments: signals) func diffEndsGit(_ signal: Int32) async throws {
    let site = CommandSite()
    try await site.commitAll()
    try hang("git", at: "checkout-index", site)
    try await end(site.command("bcfg2-info", ["diff", "HEAD", "HEAD"]), by: signal, site)
  }

  /// Each of the processes for a part asks a classifier of Puppet for its first client.
  @Test(arguments: [
    ("bcfg2-info", ["buildall", "out"], 1), ("bcfg2-info", ["diff", "HEAD", "HEAD"], 1),
    ("bcfg2-test", ["--children", "1"], 2),
  ])
  func processesForPartsAreEnded(_ program: String, _ arguments: [String], _ count: Int) async throws {
    let site = CommandSite(plugins: "Bundler,Cfg,Metadata,PuppetENC")
    site.folder.write(
      "#!/bin/sh\necho $$ $PPID > \(site.folder.file("numbers"))\nexec tail -f /dev/null\n", to: "repo/PuppetENC/enc",
      mode: 0o755)
    try await site.commitAll()
    let arguments = arguments.map { $0 == "out" ? site.folder.file("out") : $0 }
    try await end(site.command(program, arguments), by: SIGTERM, whenHanging: count, site)
  }

  @Test func backupLeavesNoPartOfAnArchive() async throws {
    let site = CommandSite()
    try hang("tar", at: "--create", site)
    try await end(site.command("bcfg2-admin", ["backup"]), by: SIGTERM, site)
    #expect(site.folder.names(in: "repo") == ["Bundler", "Cfg", "Metadata"])
  }

  @Test func initLeavesNoPartOfAKey() async throws {
    let site = CommandSite()
    let (key, certificate) = (site.folder.file("tls/key"), site.folder.file("tls/crt"))
    try hang(
      "openssl", at: "req", site,
      before: "for folder in \(site.folder.file("tls"))/.[!.]*; do echo > $folder/new; done;")
    let command = [
      CommandSite.path("bcfg2-admin"), "-C", site.folder.file("other.conf"), "init", "--batch", "--hostname", "h", "-Q",
      site.folder.file("other"), "--ssl-key", key, "--ssl-cert", certificate,
    ]
    try await end(command, by: SIGTERM, site)
    #expect(site.folder.names(in: "tls").isEmpty)
  }

  /// nohup(1) has SIGHUP ignored, and shells SIGINT for what runs in the background.
  @Test func ignoredSignalsStayIgnored() async throws {
    let site = CommandSite()
    try hang("tar", at: "--create", site)
    let command = site.command("bcfg2-admin", ["backup"]).map { "'\($0)'" }.joined(separator: " ")
    try await end(["sh", "-c", "trap '' HUP INT; kill -HUP $$; exec \(command)"], by: SIGTERM, site)
    let fifo = site.folder.file("numbers")
    unlink(fifo)
    try #require(mkfifo(fifo, 0o600) == 0)
    try await LoopDriver.withLoop { loop in
      let numbers = try FileDescriptor.open(fifo, O_RDWR | O_NONBLOCK)
      // The signals are there before the command looks for them.
      site.folder.write(
        "#!/bin/sh\nkill -HUP $PPID\nkill -INT $PPID\necho > \(fifo)\nexec cat /dev/null\n", to: "bin/tar", mode: 0o755)
      var configuration = ChildProcess.Configuration(["sh", "-c", "trap '' HUP INT; exec \(command)"])
      configuration.environment = ["PATH": "\(site.folder.file("bin")):/usr/bin:/bin"]
      let child = try ChildProcess(configuration, on: loop)
      _ = await Self.lines(1, of: numbers.rawValue, on: loop)
      #expect(await child.waitForExit() == .exited(0))
    }
  }
}

import EventLoop
import Glibc
import Support
import Testing

/// Commands whose standard output is a terminal.
@Suite(.serialized) struct CommandTerminalTests {
  /// What a command writes to a terminal.
  private func shown(_ command: [String], _ environment: [String: String] = [:]) async throws -> String {
    let master = try FileDescriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
    // Glibc's module lacks unlockpt(3) and ptsname(3): TIOCSPTLCK and TIOCGPTN of ioctl_tty(2).
    var (lock, number): (CInt, CUnsignedInt) = (0, 0)
    #expect(ioctl(master.rawValue, 0x4004_5431, &lock) == 0 && ioctl(master.rawValue, 0x8004_5430, &number) == 0)
    let path = "/dev/pts/\(number)"
    let raw = master.rawValue
    return try await LoopDriver.withLoop { loop in
      let terminal = try FileDescriptor.open(path, O_RDWR | O_NOCTTY)
      var configuration = ChildProcess.Configuration(command)
      configuration.standardOutput = .descriptor(terminal.rawValue)
      configuration.standardError = .null
      configuration.environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "xterm"].merging(environment) { $1 }
      let child = try ChildProcess(configuration, on: loop)
      #expect(await child.waitForExit() == .exited(0))
      try master.setNonblocking()
      // A few lines, which the terminal holds.
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = max(0, read(raw, &bytes, bytes.count))
      return String(decoding: bytes[..<count], as: UTF8.self)
    }
  }

  @Test func colourIsForTerminalsAndIsNotWantedByAll() async throws {
    let site = CommandSite()
    try await site.commitAll()
    site.folder.write("new\n", to: "repo/Cfg/etc/motd/motd")
    let diff = site.command("bcfg2-info", ["diff", "--worktree"])
    let coloured = try await shown(diff)
    #expect(
      coloured.contains("\u{1B}[31m-hello\u{1B}[0m") && coloured.contains("\u{1B}[32m+new\u{1B}[0m"), "\(coloured)")
    // An empty NO_COLOR counts as none.
    #expect(try await shown(diff, ["NO_COLOR": ""]) == coloured)
    let plain = try await shown(diff, ["NO_COLOR": "1"])
    #expect(plain.contains("      -hello\r\n") && !plain.contains("\u{1B}"), "\(plain)")
    let piped = try await site.run("bcfg2-info", ["diff", "--worktree"])
    #expect(piped.out == plain.replacing("\r\n", with: "\n"))
  }
}

import Glibc

/// The program and start time of a process, from /proc. Its number alone may name another process after its end.
nonisolated struct ProcessImage {
  enum Inspection {
    /// There is no such process, or it is a zombie, which serves nobody.
    case gone
    /// Its program is not readable.
    case hidden
    case running(ProcessImage)
  }

  /// The kernel reports the boot time in whole seconds, and clocks are adjusted.
  static let slackSeconds: Int64 = 2

  /// Words of the command line.
  let arguments: [String]
  /// Seconds since 1970.
  let started: Int64

  /// Whether it runs `bcfg2-server`, directly or by an interpreter: the name of its program, or of the script before
  /// all its options.
  var isServer: Bool {
    guard let program = arguments.first.map(Self.name) else { return false }
    if program == Self.program { return true }
    guard program.hasPrefix("python") else { return false }
    return arguments.dropFirst().first { !$0.hasPrefix("-") }.map(Self.name) == Self.program
  }

  private static let program = "bcfg2-server"

  private static func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

  static func inspect(_ process: pid_t) -> Inspection {
    let line: [UInt8]
    switch read("/proc/\(process)/cmdline") {
    case .success(let bytes): line = bytes
    case .failure(let failure): return failure.code == ENOENT || failure.code == ESRCH ? .gone : .hidden
    }
    // Nothing of a zombie is readable.
    if line.isEmpty { return .gone }
    guard case .success(let status) = read("/proc/\(process)/stat"), let started = startTime(status) else {
      return .hidden
    }
    let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    return .running(ProcessImage(arguments: words, started: started))
  }

  /// Start time of a process, from the text of its /proc/PID/stat; nil for other texts.
  static func startTime(_ status: [UInt8]) -> Int64? {
    // The program's name is in parentheses and may contain anything; field 22 counts from the number before it.
    guard let end = status.lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = status[(end + 1)...].split(separator: UInt8(ascii: " "))
    let ticks = sysconf(Int32(_SC_CLK_TCK))
    guard fields.count > 19, ticks > 0, let start = Int64(String(decoding: fields[19], as: UTF8.self)),
      case .success(let kernel) = read("/proc/stat")
    else { return nil }
    let mark = Array("btime ".utf8)
    guard let boot = kernel.split(separator: 0x0A).first(where: { $0.starts(with: mark) }),
      let bootTime = Int64(String(decoding: boot.dropFirst(mark.count), as: UTF8.self))
    else { return nil }
    return bootTime + start / Int64(ticks)
  }

  private struct Failure: Error { let code: Int32 }

  /// The first 256 KiB of a file of /proc.
  private static func read(_ path: String) -> Result<[UInt8], Failure> {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return .failure(Failure(code: errno)) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count < 256 << 10 {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      if count < 0 { return .failure(Failure(code: errno)) }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return .success(bytes)
  }
}

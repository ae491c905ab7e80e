import EventLoop
import Glibc

/// Lines of earlier shells, in a file that only its user reads. Only lines are added while a shell runs, so that several shells keep
/// theirs in one file; the oldest go when the next shell begins.
@MainActor
final class ShellHistory {
  /// Most lines that are kept, and that one shell adds.
  static let lineLimit = 1000
  /// Longer lines are not kept.
  static let lineLimitBytes = 4096
  private static let limitBytes = 64 << 20

  /// The oldest first.
  let lines: [String]
  private let file: FileDescriptor
  private var added = 0

  /// Where it is; nil without a home folder.
  static var standardPath: String? {
    guard let home = getenv("HOME").map({ String(cString: $0) }), home.hasPrefix("/") else { return nil }
    return "\(home)/.bcfg2-info_history"
  }

  /// - Throws: `SystemError`, `FileWriteError` if the file cannot be read and written; ELOOP for a link, EMLINK for a file that
  ///   has another name, too, EINVAL for what is none.
  init(_ path: String) throws {
    let raw = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
    if raw < 0 { throw SystemError(call: "open", errno: errno, detail: path) }
    let opened = FileDescriptor(owning: raw)
    var status = stat()
    guard fstat(raw, &status) == 0 else { throw SystemError(call: "fstat", errno: errno, detail: path) }
    try RegularFile.require(mode: status.st_mode, path)
    // Otherwise it would be another file that gets this mode, and these lines.
    guard status.st_nlink == 1 else { throw SystemError(call: "open", errno: EMLINK, detail: path) }
    if fchmod(raw, 0o600) != 0 { throw SystemError(call: "fchmod", errno: errno, detail: path) }
    let bytes = try RegularFile.read(opened, path, limitBytes: Self.limitBytes)
    let all = bytes.split(separator: UInt8(ascii: "\n")).filter { $0.count <= Self.lineLimitBytes }
    let kept = all.suffix(Self.lineLimit)
    lines = kept.map { String(decoding: $0, as: UTF8.self) }
    guard all.count > kept.count else {
      file = opened
      return
    }
    let version = try AtomicFile.version(of: path, limitBytes: Self.limitBytes)
    let rest = kept.flatMap { $0 + [UInt8(ascii: "\n")] }
    try AtomicFile.write(FileWrite(rest, to: path, replacing: version, mode: .secret, followsLinks: false))
    file = try FileDescriptor.open(path, O_WRONLY | O_APPEND | O_NOFOLLOW)
  }

  /// Adds a line, in one write. A full disk keeps nobody from working: the line is not kept then.
  func add(_ line: String) {
    guard added < Self.lineLimit, line.utf8.count <= Self.lineLimitBytes, !line.utf8.contains(UInt8(ascii: "\n")) else {
      return
    }
    added += 1
    let bytes = Array(line.utf8) + [UInt8(ascii: "\n")]
    _ = write(file.rawValue, bytes, bytes.count)
  }
}

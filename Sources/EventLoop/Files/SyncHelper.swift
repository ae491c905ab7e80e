import CLinux
import Glibc

/// The process that waits for the disk in the server's place: our own executable, begun with a hidden argument.
///
/// It gets one descriptor per packet over a socket of type SOCK_SEQPACKET (SCM_RIGHTS), synchronizes it, answers, and
/// ends when the socket closes. The descriptor is the same open file as the server's: fsync tells both of the same
/// errors.
public nonisolated enum SyncHelper {
  /// What is asked for, and the byte that says so.
  enum Kind: UInt8, Sendable {
    /// fsync(2).
    case file = 1
    /// syncfs(2).
    case fileSystem = 2
  }

  /// The first argument that makes the executable a helper.
  public static let argument = "--sync-helper"
  /// The socket's number in the helper.
  static let socketNumber: Int32 = 3
  /// Question: number in 4 bytes, kind in one. Answer: number, error number in 4 bytes.
  static let questionBytes = 5
  static let answerBytes = 8

  /// Becomes a helper, and does not return, if the arguments say so: first thing in `@main`.
  public static func runIfAsked(_ arguments: [String] = CommandLine.arguments) {
    guard arguments.dropFirst().first == argument else { return }
    exit(run(socket: socketNumber))
  }

  /// Serves until the other end closes. Returns the exit status.
  static func run(socket: Int32) -> Int32 {
    var status = stat()
    guard fstat(socket, &status) == 0, clinux_s_issock(status.st_mode) != 0 else { return 64 }
    _ = clinux_set_name("sync-helper")
    _ = clinux_set_parent_death_signal(SIGKILL)
    _ = clinux_set_dumpable(0)
    var files = rlimit(rlim_cur: 16, rlim_max: 16)
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    while true {
      switch serveOne(socket) {
      case .served: continue
      case .closed: return 0
      case .failed: return 1
      }
    }
  }

  enum Step: Equatable { case served, closed, failed }

  /// Waits for one descriptor and synchronizes it.
  static func serveOne(_ socket: Int32) -> Step {
    var packet = [UInt8](repeating: 0, count: questionBytes)
    var descriptor: Int32 = -1
    var count = clinux_receive_descriptor(socket, &packet, packet.count, &descriptor)
    while count == -1 && errno == EINTR {
      count = clinux_receive_descriptor(socket, &packet, packet.count, &descriptor)
    }
    if count == 0 { return .closed }
    guard descriptor >= 0 else { return .failed }
    let file = FileDescriptor(owning: descriptor)
    guard count == questionBytes, let kind = Kind(rawValue: packet[4]) else { return .failed }
    let answer = packet.prefix(4) + bytes(of: UInt32(bitPattern: synchronize(file.rawValue, kind)))
    let sent = [UInt8](answer).withUnsafeBytes { buffer in
      var sent = send(socket, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
      while sent == -1 && errno == EINTR { sent = send(socket, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL)) }
      return sent
    }
    return sent == answerBytes ? .served : .failed
  }

  /// Waits for the disk. Returns 0 or the error number.
  static func synchronize(_ descriptor: Int32, _ kind: Kind) -> Int32 {
    do throws(SystemError) {
      try check("fsync") { kind == .file ? fsync(descriptor) : clinux_syncfs(descriptor) }
      return 0
    } catch {
      return error.errno
    }
  }

  // MARK: Packets

  static func question(_ number: UInt32, _ kind: Kind) -> [UInt8] { bytes(of: number) + [kind.rawValue] }

  /// nil for what is no answer.
  static func answer(_ packet: [UInt8]) -> (number: UInt32, code: Int32)? {
    guard packet.count == answerBytes else { return nil }
    return (number(packet[..<4]), Int32(bitPattern: number(packet[4...])))
  }

  private static func bytes(of number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) } }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}

import CLinux
import Glibc

/// Starts a helper process that has the socket as its own; the descriptor stays the caller's. Returns what kills it.
public typealias HelperStart = @MainActor (_ socket: Int32, _ loop: Reactor) throws(SystemError) -> () -> Void

/// A process that makes system calls which wait, in the loop's place: our own executable, begun with a hidden argument.
///
/// It reads one question per packet from a socket of type SOCK_SEQPACKET, answers it, and ends when the socket closes.
/// Questions and answers begin with the question's number, 4 bytes, little-endian. `HelperPool` is the other end.
nonisolated struct HelperProcess: Sendable {
  /// What became of one question.
  enum Step: Equatable { case served, closed, failed }

  /// The socket's number in the helper.
  static let socketNumber: Int32 = 3
  /// Bytes of a question's number.
  static let numberBytes = 4

  /// The first argument that makes the executable a helper.
  let argument: String
  /// The name that ps shows.
  let name: String
  /// Files that it may open.
  let fileLimit: rlim_t
  /// Waits for one question and answers it.
  let serveOne: @Sendable (_ socket: Int32) -> Step

  // MARK: In the server

  /// Starts this executable, or the one at `path`, as a helper.
  @MainActor func start(_ path: String = "/proc/self/exe") -> HelperStart {
    { [argument] socket, loop throws(SystemError) in
      var configuration = ChildProcess.Configuration([path, argument])
      configuration.descriptors = [Self.socketNumber: socket]
      let child = try ChildProcess(configuration, on: loop)
      return { child.kill(SIGKILL) }
    }
  }

  // MARK: In the helper

  /// Becomes a helper, and does not return, if the arguments say so.
  func runIfAsked(_ arguments: [String]) {
    guard arguments.dropFirst().first == argument else { return }
    exit(run(socket: Self.socketNumber))
  }

  /// Answers until the other end closes. Returns the exit status.
  func run(socket: Int32) -> Int32 {
    var status = stat()
    guard fstat(socket, &status) == 0, clinux_s_issock(status.st_mode) != 0 else { return 64 }
    _ = clinux_set_name(name)
    // It neither outlives the server nor shows its memory.
    _ = clinux_set_parent_death_signal(SIGKILL)
    _ = clinux_set_dumpable(0)
    var files = rlimit(rlim_cur: fileLimit, rlim_max: fileLimit)
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    while true {
      switch serveOne(socket) {
      case .served: continue
      case .closed: return 0
      case .failed: return 1
      }
    }
  }

  /// Sends an answer, and waits until the socket takes it.
  static func answer(_ packet: [UInt8], _ socket: Int32) -> Step {
    var sent = send(socket, packet, packet.count, Int32(MSG_NOSIGNAL))
    while sent == -1 && errno == EINTR { sent = send(socket, packet, packet.count, Int32(MSG_NOSIGNAL)) }
    return sent == packet.count ? .served : .failed
  }

  // MARK: Numbers

  static func bytes(of number: UInt32) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) } }

  static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}

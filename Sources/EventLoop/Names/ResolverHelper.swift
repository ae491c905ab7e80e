import CLinux
import Glibc

/// The process that waits for name servers in the server's place: our own executable, begun with a hidden argument.
///
/// It reads one question per packet from a socket of type SOCK_SEQPACKET, answers it, and ends when the socket closes.
public nonisolated enum ResolverHelper {
  /// What is asked, and the byte that says so.
  enum Kind: UInt8, Hashable, Sendable {
    /// The name of an address.
    case name = 1
    /// The addresses of a name.
    case addresses = 2
  }

  /// The first argument that makes the executable a helper.
  public static let argument = "--resolver-helper"
  /// The socket's number in the helper.
  static let socketNumber: Int32 = 3
  /// Bytes of a name or address in text form: NI_MAXHOST, with its zero.
  static let textLimitBytes = 1025
  /// Answers per question; each has at most `textLimitBytes`.
  static let answerLimit = 64
  static let packetLimitBytes = 5 + answerLimit * (textLimitBytes + 1)

  /// Becomes a helper, and does not return, if the arguments say so: first thing in `@main`.
  public static func runIfAsked(_ arguments: [String] = CommandLine.arguments) {
    guard arguments.dropFirst().first == argument else { return }
    exit(run(socket: socketNumber))
  }

  /// Answers until the other end closes. Returns the exit status.
  static func run(socket: Int32) -> Int32 {
    var status = stat()
    guard fstat(socket, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return 64 }
    _ = clinux_set_name("bcfg2-resolver")
    // Neither outlives the server nor shows its memory; what it opens (resolv.conf, hosts, sockets) are a few.
    _ = clinux_set_parent_death_signal(SIGKILL)
    _ = clinux_set_dumpable(0)
    var files = rlimit(rlim_cur: 64, rlim_max: 64)
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

  /// Waits for one question and answers it.
  static func serveOne(_ socket: Int32) -> Step {
    let capacity = 5 + textLimitBytes
    var packet = [UInt8](repeating: 0, count: capacity)
    var count = recv(socket, &packet, capacity, 0)
    while count == -1 && errno == EINTR { count = recv(socket, &packet, capacity, 0) }
    if count <= 0 { return count == 0 ? .closed : .failed }
    guard let question = decode(packet[..<count]), let kind = Kind(rawValue: question.code) else { return .failed }
    let answers = found(kind, question.text)
    let bytes = encode(question.number, kind.rawValue, answers.joined(separator: "\n"))
    var sent = send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    while sent == -1 && errno == EINTR { sent = send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
    return sent == bytes.count ? .served : .failed
  }

  // MARK: Packets

  /// A question or an answer: its number in 4 bytes, the kind in one, then text; answers are lines.
  static func encode(_ number: UInt32, _ code: UInt8, _ text: String) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { [UInt8]($0) } + [code] + text.utf8
  }

  /// nil for what is too short, or not UTF-8.
  static func decode(_ packet: ArraySlice<UInt8>) -> (number: UInt32, code: UInt8, text: String)? {
    guard packet.count >= 5, let text = String(validating: packet.dropFirst(5), as: UTF8.self) else { return nil }
    let number = packet.prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return (number, packet[packet.startIndex + 4], text)
  }

  // MARK: Looking up

  /// Asks the system's resolver, and waits for it.
  ///
  /// - Returns: names or addresses in its order, each once; empty where there are none.
  static func found(_ kind: Kind, _ text: String) -> [String] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    if kind == .name { hints.ai_flags = AI_NUMERICHOST }
    var first: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(text, nil, &hints, &first) == 0 else { return [] }
    defer { freeaddrinfo(first) }
    var found: [String] = []
    var next = first
    while let entry = next, found.count < answerLimit {
      let answer = nameText(of: entry.pointee, kind == .name ? NI_NAMEREQD : NI_NUMERICHOST)
      if let answer, !found.contains(answer) { found.append(answer) }
      next = kind == .name ? nil : entry.pointee.ai_next
    }
    return found
  }

  private static func nameText(of entry: addrinfo, _ flags: Int32) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: textLimitBytes) { buffer in
      let code = getnameinfo(
        entry.ai_addr, entry.ai_addrlen, buffer.baseAddress, socklen_t(buffer.count), nil, 0, flags)
      return code == 0 ? String(validatingCString: buffer.baseAddress!) : nil
    }
  }
}

import Glibc

/// The helper process that waits for name servers.
public nonisolated enum ResolverHelper {
  /// What is asked, and its byte.
  enum Kind: UInt8, Hashable, Sendable {
    /// The name of an address.
    case name = 1
    /// The addresses of a name.
    case addresses = 2
  }

  static let process = HelperProcess(
    // What it opens (resolv.conf, hosts, sockets) are a few.
    argument: "--resolver-helper", name: "bcfg2-resolver", fileLimit: 64, serveOne: serveOne)

  /// Bytes of a name or address in text form: NI_MAXHOST, with its zero.
  static let textLimitBytes = 1025
  /// Answers per question; each has at most `textLimitBytes`.
  static let answerLimit = 64
  /// Bytes of the longest answer: number, kind, lines.
  static let answerLimitBytes = HelperProcess.numberBytes + 1 + answerLimit * (textLimitBytes + 1)

  /// Becomes a helper, and does not return, if the arguments say so: first thing in `@main`.
  public static func runIfAsked(_ arguments: [String] = CommandLine.arguments) { process.runIfAsked(arguments) }

  /// Waits for one question and answers it.
  static func serveOne(_ socket: Int32) -> HelperProcess.Step {
    let numberBytes = HelperProcess.numberBytes
    let capacity = numberBytes + 1 + textLimitBytes
    var packet = [UInt8](repeating: 0, count: capacity)
    var count = recv(socket, &packet, capacity, 0)
    while count == -1 && errno == EINTR { count = recv(socket, &packet, capacity, 0) }
    if count <= 0 { return count == 0 ? .closed : .failed }
    guard count > numberBytes, let question = decode(packet[numberBytes..<count]),
      let kind = Kind(rawValue: question.code)
    else { return .failed }
    let answers = found(kind, question.text)
    return HelperProcess.answer(
      packet[..<numberBytes] + encode(kind.rawValue, answers.joined(separator: "\n")), socket)
  }

  // MARK: Packets

  /// A question or an answer behind its number: the kind in one byte, then text; answers are lines.
  static func encode(_ code: UInt8, _ text: String) -> [UInt8] { [code] + text.utf8 }

  /// nil for what is too short, or not UTF-8.
  static func decode(_ bytes: ArraySlice<UInt8>) -> (code: UInt8, text: String)? {
    guard let code = bytes.first, let text = String(validating: bytes.dropFirst(), as: UTF8.self) else { return nil }
    return (code, text)
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

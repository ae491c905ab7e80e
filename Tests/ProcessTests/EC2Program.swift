import EventLoop
import Formats
import Glibc
import InstanceTags
import Support
import Testing

/// EC2 on loopback: `Tests/Python/ec2.py`, which checks signatures. It ends with this object.
final class EC2Program {
  let port: Int
  let metadataPort: Int
  let authority: String
  private let input: Int32
  private let output: Int32
  private let process: pid_t

  init() throws {
    var toChild: [Int32] = [-1, -1]
    var fromChild: [Int32] = [-1, -1]
    precondition(pipe(&toChild) == 0 && pipe(&fromChild) == 0)
    for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, toChild[0], STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], STDOUT_FILENO)
    var words: [UnsafeMutablePointer<CChar>?] = [
      strdup("python3"), strdup(Project.root + "/Tests/Python/ec2.py"), nil,
    ]
    var process: pid_t = 0
    let code = posix_spawnp(&process, "python3", &actions, nil, &words, environ)
    precondition(code == 0, "python3: \(String(cString: strerror(code)))")
    for word in words { free(word) }
    posix_spawn_file_actions_destroy(&actions)
    close(toChild[0])
    close(fromChild[1])
    self.process = process
    input = toChild[1]
    output = fromChild[0]
    let begin = try JSONValue(json: Self.line(output))
    guard case .integer(let port)? = begin["port"], case .integer(let metadataPort)? = begin["metadata"],
      case .string(let authority)? = begin["ca"]
    else { throw FixtureProblem(description: "ec2.py does not say where it is") }
    (self.port, self.metadataPort, self.authority) = (port, metadataPort, authority)
  }

  isolated deinit {
    close(input)
    close(output)
    while waitpid(process, nil, 0) == -1 && errno == EINTR {}
  }

  struct FixtureProblem: Error, CustomStringConvertible { let description: String }

  private static func line(_ descriptor: Int32) -> String {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
    return String(decoding: line, as: UTF8.self)
  }

  /// Has a command done; see the script. The words are the members behind `do`, as JSON.
  @discardableResult
  func order(_ what: String, _ members: String = "") throws -> JSONValue {
    let line = "{\"do\": \"\(what)\"\(members.isEmpty ? "" : ", ")\(members)}\n"
    let isWritten = line.withCString { Glibc.write(input, $0, line.utf8.count) == line.utf8.count }
    precondition(isWritten)
    return try JSONValue(json: Self.line(output))
  }

  /// An instance with tags whose names and values need no escapes.
  func instance(_ host: String, _ tags: [(String, String)]) throws {
    let pairs = tags.map { "[\"\($0.0)\", \"\($0.1)\"]" }.joined(separator: ", ")
    try order("tags", "\"host\": \"\(host)\", \"tags\": [\(pairs)]")
  }

  func fail(_ status: Int, _ code: String, times: Int, message: String = "why") throws {
    try order("fail", "\"status\": \(status), \"code\": \"\(code)\", \"message\": \"\(message)\", \"times\": \(times)")
  }

  /// Which hosts were asked for since the last call.
  func requests() throws -> (hosts: [String], most: Int, connections: Int) {
    let answer = try order("requests")
    guard case .array(let hosts)? = answer["hosts"], case .integer(let most)? = answer["most"],
      case .integer(let connections)? = answer["connections"]
    else { throw FixtureProblem(description: "no requests") }
    return (hosts.compactMap { if case .string(let host) = $0 { host } else { nil } }, most, connections)
  }

  /// The lines of `[awstags]` for it.
  var options: [String] {
    [
      "access_key_id = AKIDEXAMPLE", "secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
      "endpoint = https://localhost:\(port)", "ca = \(authority)", "timeout = 60",
    ]
  }
}

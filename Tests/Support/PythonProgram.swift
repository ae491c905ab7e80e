import Glibc

/// A program of Tests/Python that does what lines on its standard input say, and answers each with a line. It ends when its
/// input does: with this object, or with the process.
public final class PythonProgram {
  private let input: Int32
  private let output: Int32
  private let process: pid_t

  /// - Parameter name: of the file, such as `mirror.py`.
  public init(_ name: String) {
    var toChild: [Int32] = [-1, -1]
    var fromChild: [Int32] = [-1, -1]
    precondition(pipe(&toChild) == 0 && pipe(&fromChild) == 0)
    for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, toChild[0], STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, fromChild[1], STDOUT_FILENO)
    var words: [UnsafeMutablePointer<CChar>?] = [
      strdup("python3"), strdup("\(Project.root)/Tests/Python/\(name)"), nil,
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
  }

  isolated deinit {
    close(input)
    close(output)
    while waitpid(process, nil, 0) == -1 && errno == EINTR {}
  }

  /// The next line that it says, without its end; empty where it has ended.
  public func line() -> String {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
    return String(decoding: line, as: UTF8.self)
  }

  /// Has a line done; returns the answer.
  public func order(_ line: String) -> String {
    let bytes = Array("\(line)\n".utf8)
    precondition(write(input, bytes, bytes.count) == bytes.count)
    return self.line()
  }
}

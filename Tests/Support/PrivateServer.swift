import EventLoop
import Glibc

/// A database server of one test process: on a socket in a temporary folder, without network. A shell that waits for the end
/// of a socket ends it with the test process, however that ends.
nonisolated enum PrivateServer {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The user that servers run as: root may not run them, so nobody does.
  static let user: (name: String, id: uid_t, group: gid_t)? = {
    guard getuid() == 0, let entry = getpwnam("nobody") else { return nil }
    return ("nobody", entry.pointee.pw_uid, entry.pointee.pw_gid)
  }()

  /// A folder of that user.
  static func makeFolder() throws -> String {
    // A socket's path has at most 107 bytes.
    var template = Array("/tmp/bcfg2-db-\(String(repeating: "X", count: 6))".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(description: "mkdtemp: \(String(cString: strerror(errno)))") }
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    if let user, chown(path, user.id, user.group) != 0 {
      throw Failure(description: "chown \(path): \(String(cString: strerror(errno)))")
    }
    return path
  }

  /// Runs a shell command as that user and waits for its end.
  static func run(_ command: String, in folder: String) throws {
    let child = try start(command, in: folder, input: open("/dev/null", O_RDONLY | O_CLOEXEC))
    var status: Int32 = 0
    while waitpid(child, &status, 0) == -1 && errno == EINTR {}
    if status != 0 {
      let log = (try? AtomicFile.readFile("\(folder)/output", limitBytes: 1 << 20)) ?? []
      throw Failure(description: "\(command): status \(status)\n\(String(decoding: log, as: UTF8.self))")
    }
  }

  /// Starts a shell that waits until this process ends, then runs a command and removes the folder.
  static func atExit(_ command: String, in folder: String) throws {
    var ends: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
      throw Failure(description: "socketpair: \(String(cString: strerror(errno)))")
    }
    // The other end stays open for as long as this process lives.
    _ = try start("read line; \(command); rm -rf '\(folder)'", in: folder, input: ends[0])
  }

  /// Starts a shell command with an input, which is closed here, in a session of its own: a signal from the terminal, or one
  /// to the group of the tests, must not end it before it has cleaned up.
  private static func start(_ command: String, in folder: String, input: Int32) throws -> pid_t {
    defer { close(input) }
    var words = ["/bin/sh", "-c", command]
    if let user { words = ["setpriv", "--reuid=\(user.id)", "--regid=\(user.group)", "--clear-groups"] + words }
    let output = open("\(folder)/output", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    guard output >= 0 else { throw Failure(description: "\(folder)/output: \(String(cString: strerror(errno)))") }
    defer { close(output) }
    if let user { fchown(output, user.id, user.group) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | 0x80)
    let paths = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    let arguments = words.map { strdup($0) } + [nil]
    let environment = [strdup(paths), strdup("LC_ALL=C"), strdup("NOTIFY_SOCKET=\(folder)/notify"), nil]
    defer { for text in arguments + environment { free(text) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, words[0], &actions, &attributes, arguments, environment)
    guard code == 0 else { throw Failure(description: "\(words[0]): \(String(cString: strerror(code)))") }
    return child
  }

  /// The number behind a name, counted up: names of databases.
  static let lastName = LockedCounter()

  final class LockedCounter: @unchecked Sendable {
    private var lock = pthread_mutex_t()
    private var number = 0

    init() { pthread_mutex_init(&lock, nil) }

    func next() -> Int {
      pthread_mutex_lock(&lock)
      defer { pthread_mutex_unlock(&lock) }
      number += 1
      return number
    }
  }
}

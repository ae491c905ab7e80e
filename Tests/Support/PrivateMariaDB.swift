public import Databases
import Glibc

/// A MariaDB server for tests. Its user `root` needs no password.
public final nonisolated class PrivateMariaDB: Sendable {
  private static let made = Result { try PrivateMariaDB() }

  public static var isInstalled: Bool {
    access("/usr/sbin/mariadbd", X_OK) == 0 && access("/usr/bin/mariadb-install-db", X_OK) == 0
  }

  /// The server that the tests of this process share. Who stops it makes their own.
  public static var shared: PrivateMariaDB { get throws { try made.get() } }

  /// The path of its socket, which is its `host`.
  public let socket: String
  private let folder: String

  /// Starts a server.
  public init() throws {
    guard Self.isInstalled else { throw PrivateServer.Failure(description: "MariaDB is not installed") }
    folder = try PrivateServer.makeFolder()
    socket = "\(folder)/socket"
    try PrivateServer.atExit("kill -9 $(cat '\(folder)/pid')", in: folder)
    try PrivateServer.run(
      """
      mariadb-install-db --no-defaults --datadir='\(folder)/data' --auth-root-authentication-method=normal \
      --skip-test-db --skip-name-resolve
      """, in: folder)
    try start()
  }

  public func start() throws {
    // It says by sd_notify(3) when it is ready, and there is a bound for the time.
    let notify = try NotifySocket("\(folder)/notify")
    try PrivateServer.run(
      """
      mariadbd --no-defaults --datadir='\(folder)/data' --socket='\(socket)' --pid-file='\(folder)/pid' \
      --skip-networking --innodb-buffer-pool-size=16M --innodb-flush-log-at-trx-commit=0 --innodb-fast-shutdown=2 \
      --character-set-server=utf8mb4 &
      """, in: folder)
    try notify.waitUntilReady()
  }

  /// Kills it.
  public func kill() throws {
    try PrivateServer.run(
      "pid=$(cat '\(folder)/pid') && kill -9 $pid && tail --pid=$pid -f /dev/null && rm '\(folder)/pid'", in: folder)
  }

  /// A database of a name.
  public func settings(database: String) -> DatabaseSettings {
    var settings = DatabaseSettings(engine: .mysql, name: database)
    settings.host = socket
    settings.user = "root"
    return settings
  }

  /// Makes an empty database.
  public func newDatabase() throws -> DatabaseSettings {
    let name = "test\(PrivateServer.lastName.next())"
    try Databases.open(settings(database: "mysql")).execute([#"CREATE DATABASE "\#(name)" CHARACTER SET utf8mb4"#])
    return settings(database: name)
  }
}

/// The socket that sd_notify(3) writes to.
private nonisolated final class NotifySocket {
  private let path: String
  private let descriptor: Int32

  init(_ path: String) throws {
    self.path = path
    descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    unlink(path)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let isBound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) == 0 }
    }
    guard isBound, chmod(path, 0o666) == 0 else {
      throw PrivateServer.Failure(description: "\(path): \(String(cString: strerror(errno)))")
    }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  func waitUntilReady() throws {
    var message = [UInt8](repeating: 0, count: 4096)
    while true {
      var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&waited, 1, 120_000) > 0 else { throw PrivateServer.Failure(description: "MariaDB does not start") }
      let count = recv(descriptor, &message, message.count, 0)
      if count > 0, String(decoding: message[..<count], as: UTF8.self).split(separator: "\n").contains("READY=1") {
        return
      }
    }
  }
}

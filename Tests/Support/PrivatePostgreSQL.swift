public import Databases
import Glibc

/// A PostgreSQL server for tests. Its superuser is `bcfg2`, who needs no password.
public final nonisolated class PrivatePostgreSQL: Sendable {
  /// The folder of the newest version's programs; nil if there are none.
  private static let programs: String? = {
    let versions = TemporaryDirectory.names("/usr/lib/postgresql").compactMap { Int($0) }.sorted()
    return versions.reversed().map { "/usr/lib/postgresql/\($0)/bin" }.first { access("\($0)/initdb", X_OK) == 0 }
  }()
  private static let made = Result { try PrivatePostgreSQL() }

  public static var isInstalled: Bool { programs != nil }

  /// The server that the tests of this process share. Who stops it makes their own.
  public static var shared: PrivatePostgreSQL { get throws { try made.get() } }

  /// The folder of its socket, which is its `host`.
  public let folder: String
  private let control: String

  /// Starts a server.
  public init() throws {
    guard let programs = Self.programs else { throw PrivateServer.Failure(description: "PostgreSQL is not installed") }
    folder = try PrivateServer.makeFolder()
    let data = "\(folder)/data"
    // What is lost in a crash of the machine is of no interest.
    let options = "-k \(folder) -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=50"
    control = "\(programs)/pg_ctl -D \(data) -w -t 60 -l \(folder)/log -o '\(options)'"
    try PrivateServer.atExit("\(programs)/pg_ctl -D \(data) -m immediate stop", in: folder)
    try PrivateServer.run("\(programs)/initdb -D \(data) -U bcfg2 -A trust -E UTF8 --locale=C --no-sync", in: folder)
    try start()
  }

  public func start() throws { try PrivateServer.run("\(control) start", in: folder) }

  /// Stops it. With `immediate` it is as if its processes were killed.
  public func stop(immediate: Bool = false) throws {
    try PrivateServer.run("\(control) -m \(immediate ? "immediate" : "fast") stop", in: folder)
  }

  /// A database of a name, or the one that is always there.
  public func settings(database: String = "postgres") -> DatabaseSettings {
    var settings = DatabaseSettings(engine: .postgresql, name: database)
    settings.host = folder
    settings.user = "bcfg2"
    return settings
  }

  /// Makes an empty database.
  public func newDatabase() throws -> DatabaseSettings {
    let name = "test\(PrivateServer.lastName.next())"
    try Databases.open(settings()).execute([#"CREATE DATABASE "\#(name)" TEMPLATE template0"#])
    return settings(database: name)
  }
}

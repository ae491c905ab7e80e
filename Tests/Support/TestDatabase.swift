public import Databases
import Glibc

/// An empty database for a test, of any engine.
public final nonisolated class TestDatabase: Sendable {
  /// The engines that tests run with: those whose servers are installed. BCFG2_REQUIRE_CLIENT makes it all, so that a test
  /// fails where one is missing.
  public static let engines: [DatabaseEngine] = DatabaseEngine.allCases.filter { engine in
    if getenv("BCFG2_REQUIRE_CLIENT") != nil { return true }
    return switch engine {
    case .sqlite: true
    case .postgresql: PrivatePostgreSQL.isInstalled
    case .mysql: PrivateMariaDB.isInstalled
    }
  }

  public let settings: DatabaseSettings

  /// The folder of all files, which goes with the process.
  private static let folder = Result {
    let folder = try PrivateServer.makeFolder()
    try PrivateServer.atExit(":", in: folder)
    return folder
  }

  public init(_ engine: DatabaseEngine) throws {
    switch engine {
    case .sqlite:
      let folder = try Self.folder.get()
      settings = DatabaseSettings(engine: .sqlite, name: "\(folder)/\(PrivateServer.lastName.next()).sqlite")
    case .postgresql:
      settings = try PrivatePostgreSQL.shared.newDatabase()
    case .mysql:
      settings = try PrivateMariaDB.shared.newDatabase()
    }
  }

  /// Opens it.
  public func open() throws -> any Database { try Databases.open(settings, createsFile: true) }
}

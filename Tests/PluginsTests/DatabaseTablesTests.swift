import CoreSupport
import Databases
import EventLoop
import LoopDatabases
import Support
import Testing

@testable import Plugins

/// The tables that the server makes, and what Django's migrations see of them.
@Suite struct DatabaseTablesTests {
  private static let migrations = "SELECT app, name FROM django_migrations ORDER BY id"

  @Test(arguments: TestDatabase.engines) func aMigrationIsRecordedWithItsTables(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      let (server, _) = try site.server()
      #expect(await server.ask("GetConfig").contains("<Configuration"))
      #expect(try await site.rows(Self.migrations) == ["Server|0001_initial"])
      #expect(try await site.rows("SELECT COUNT(*) FROM Server_probesdatamodel") == ["0"])
      let (second, _) = try site.server()
      #expect(await second.ask("GetConfig").contains("<Configuration"))
      #expect(try await site.rows(Self.migrations) == ["Server|0001_initial"])
    }
  }

  /// Also where only one of its plugins uses the database, or where a server stopped between the tables.
  @Test(arguments: TestDatabase.engines) func missingTablesAreMade(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      let (first, _) = try site.server()
      _ = await first.ask("GetConfig")
      try await site.change("DROP TABLE Server_probesgroupsmodel")
      let (second, _) = try site.server()
      #expect(await second.ask("GetConfig").contains("<Configuration"))
      #expect(try await site.rows("SELECT COUNT(*) FROM Server_probesgroupsmodel") == ["0"])
      #expect(try await site.rows(Self.migrations) == ["Server|0001_initial"])
    }
  }

  /// Bcfg2 1.4 takes the state of 1.3 over from South, if Django has recorded nothing.
  @Test(arguments: TestDatabase.engines) func historiesOfSouthAreLeftToBcfg2(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      try await site.change("CREATE TABLE south_migrationhistory (id integer NOT NULL PRIMARY KEY)")
      let (server, _) = try site.server()
      #expect(await server.ask("GetConfig").contains("<Configuration"))
      await #expect(throws: DatabaseError.self) { try await site.rows(Self.migrations) }
    }
  }
}

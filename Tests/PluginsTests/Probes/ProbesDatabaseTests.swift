import Core
import CoreSupport
import Databases
import EventLoop
import Identity
import LoopDatabases
import Support
import Testing
import XMLRPC

@testable import Plugins

@Suite struct ProbesDatabaseTests {
  private static let data = "SELECT hostname, probe, data FROM Server_probesdatamodel ORDER BY hostname, probe"
  private static let groups = "SELECT hostname, \"group\" FROM Server_probesgroupsmodel ORDER BY id"
  private static let times = "SELECT probe, timestamp FROM Server_probesdatamodel ORDER BY probe"

  private func report(
    _ server: RepositoryFixture, _ probes: (String, String)..., client: Int = 1
  ) async -> String {
    await server.ask("RecvProbeData", [DatabaseSite.data(probes)], client: client)
  }

  /// The data of the probe `p` of the first client, after a call of it.
  private func text(_ server: RepositoryFixture) async throws -> String? {
    _ = await server.ask("GetConfig")
    return (try await server.core.buildMetadata("one")[connector: "Probes"] as? ProbeDataSet)?["p"]?.text
  }

  @Test(arguments: TestDatabase.engines) func dataAndGroupsAreKeptApart(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      let (server, database) = try site.server()
      #expect(await report(server, ("p", "group:red\ndata\n"), ("q", "")) == "true")
      #expect(try await site.rows(Self.data) == ["one|p|data\n", "one|q|"])
      #expect(try await site.rows(Self.groups) == ["one|red"])
      #expect(await server.ask("GetConfig").contains("isRed"))
      #expect(!server.repository.names(in: "Probes").contains("probed.xml"))
      let before = try await site.rows(Self.times)
      _ = database.takeChanges()
      // The same again writes nothing, a change only itself.
      #expect(await report(server, ("p", "group:red\ndata\n"), ("q", "")) == "true")
      #expect(database.takeChanges().isEmpty)
      #expect(await report(server, ("p", "group:red\ndata\n"), ("q", "new")) == "true")
      let after = try await site.rows(Self.times)
      #expect(before[0] == after[0] && before[1] != after[1])
      // Probes and groups that are gone are deleted.
      #expect(await report(server, ("q", "group:blue\ngroup:red")) == "true")
      #expect(try await site.rows(Self.data) == ["one|q|"])
      #expect(try await site.rows(Self.groups) == ["one|blue", "one|red"])
      #expect(await server.ask("GetConfig").contains("isBlue"))
      let (second, _) = try site.server()
      #expect(await second.ask("GetConfig").contains("isBlue"))
      let stored = try await second.core.buildMetadata("one")
      #expect((stored[connector: "Probes"] as? ProbeDataSet)?["q"]?.text == "")
    }
  }

  @Test(arguments: TestDatabase.engines) func namesThatDifferInCaseAreTwoClients(_ engine: DatabaseEngine) async throws
  {
    try await DatabaseSite.run(engine) { site in
      let (server, _) = try site.server()
      #expect(await server.ask("GetConfig").contains("<Configuration"))
      try await site.change("INSERT INTO Server_probesgroupsmodel (hostname, \"group\") VALUES ('ONE', 'red')")
      try await site.change(
        "INSERT INTO Server_probesdatamodel (hostname, probe, timestamp, data) VALUES ('ONE', 'p', '2026-11-29 00:00:00', 'its own')"
      )
      #expect(try await text(server) == nil)
      #expect(await !server.ask("GetConfig").contains("isRed"))
      #expect(await report(server, ("p", "group:blue\nmine\n")) == "true")
      #expect(await report(server, ("p", "group:blue\nnew\n")) == "true")
      #expect(try await site.rows(Self.data) == ["ONE|p|its own", "one|p|new\n"])
      #expect(try await site.rows(Self.groups) == ["ONE|red", "one|blue"])
      #expect(!server.log.take().contains { $0.contains("differ only in case") })
    }
  }

  @Test(arguments: TestDatabase.engines.filter { $0 == .mysql })
  func aTableThatTakesNamesForOneIsToldOf(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      _ = try await site.server().fixture.ask("GetConfig")
      try await site.change(
        "ALTER TABLE Server_probesdatamodel CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
      let (server, _) = try site.server()
      #expect(await server.ask("GetConfig").contains("<Configuration"))
      #expect(
        server.log.take().count { $0.contains("Server_probesdatamodel takes names that differ only in case") } == 1)
    }
  }

  @Test(arguments: TestDatabase.engines) func anotherServersReportIsInTheNextAnswer(_ engine: DatabaseEngine)
    async throws
  {
    try await DatabaseSite.run(engine) { site in
      let servers = try (0..<3).map { _ in try site.server().fixture }
      let colours = ["red", "blue"]
      for turn in 0..<12 {
        let colour = colours[turn % 2]
        #expect(await report(servers[turn % 3], ("p", "group:\(colour)\nturn \(turn)")) == "true")
        for offset in [1, 2, 0] {
          let answer = await servers[(turn + offset) % 3].ask("GetConfig")
          #expect(answer.contains("isRed") == (colour == "red") && answer.contains("isBlue") == (colour == "blue"))
        }
      }
    }
  }

  @Test(arguments: TestDatabase.engines) func changesOfPythonsServersAreSeen(_ engine: DatabaseEngine) async throws {
    try await DatabaseSite.run(engine) { site in
      let (server, _) = try site.server()
      #expect(await report(server, ("p", "group:red\na")) == "true")
      #expect(await server.ask("GetConfig").contains("isRed"))
      // In place, with a new time.
      try await site.change("UPDATE Server_probesdatamodel SET data = 'b', timestamp = '2999-01-01 00:00:00.000001'")
      #expect(try await text(server) == "b")
      try await site.change("UPDATE Server_probesgroupsmodel SET id = id + 1, \"group\" = 'blue'")
      #expect(await server.ask("GetConfig").contains("isBlue"))
      try await site.change("DELETE FROM Server_probesgroupsmodel")
      #expect(await !server.ask("GetConfig").contains("isBlue"))
      try await site.change("DELETE FROM Server_probesdatamodel")
      #expect(try await text(server) == nil)
    }
  }

  @Test func doubleAndUnreadableRowsAreRepaired() async throws {
    try await DatabaseSite.run { site in
      let (server, _) = try site.server()
      _ = await server.ask("GetConfig")
      for text in ["'old'", "'new' || char(1) || char(65534)"] {
        try await site.change(
          "INSERT INTO Server_probesdatamodel (hostname, probe, timestamp, data) VALUES ('one', 'p', '2026-11-30 01:02:03', \(text))"
        )
        try await site.change("INSERT INTO Server_probesgroupsmodel (hostname, \"group\") VALUES ('one', 'red')")
      }
      #expect(await server.ask("GetConfig").contains("isRed"))
      let metadata = try await server.core.buildMetadata("one")
      #expect((metadata[connector: "Probes"] as? ProbeDataSet)?["p"]?.text == "new\u{FFFD}\u{FFFD}")
      #expect(await report(server, ("p", "group:red\nnew\u{FFFD}\u{FFFD}")) == "true")
      #expect(try await site.rows(Self.data) == ["one|p|new\u{FFFD}\u{FFFD}"])
      #expect(try await site.rows(Self.groups) == ["one|red"])
    }
  }

  @Test(arguments: TestDatabase.engines) func reportsOfOneClientThatCollideDoNotMix(_ engine: DatabaseEngine)
    async throws
  {
    try await DatabaseSite.run(engine) { site in
      let (one, database) = try site.server()
      let other = try site.connection()
      #expect(await report(one, ("p", "1"), ("q", "1")) == "true")
      var isDone = false
      // After the check, before the transaction.
      database.beforeRun = { statements in
        guard !isDone, statements.count > 1 else { return }
        isDone = true
        _ = try? other.runNow(DatabaseSite.quoted("DELETE FROM Server_probesdatamodel WHERE probe = 'q'"))
        let row = "(hostname, probe, timestamp, data) VALUES ('one', 'q', '2026-01-01', '2')"
        _ = try? other.runNow(DatabaseSite.quoted("INSERT INTO Server_probesdatamodel \(row)"))
      }
      #expect(await report(one, ("p", "3"), ("q", "1")) == "true")
      #expect(isDone)
      #expect(try await site.rows(Self.data) == ["one|p|3", "one|q|1"])
    }
  }

  @Test func clientsOfOneTurnCostOneTransaction() async throws {
    try await DatabaseSite.run { site in
      let (server, _) = try site.server()
      for client in 1...3 { _ = await server.ask("GetConfig", client: client) }
      let shared = try #require(server.core.database)
      var costs: [[Int]] = []
      // The loop may turn between the calls, so they come more than once.
      for turn in 1...50 where costs.last != [3, 1, 3] {
        let counts = shared.counts
        async let first = report(server, ("p", "turn \(turn)"), client: 1)
        async let second = report(server, ("p", "turn \(turn)"), client: 2)
        async let third = report(server, ("p", "group:blue\nturn \(turn)"), client: 3)
        #expect(await [first, second, third] == ["true", "true", "true"])
        costs.append([
          shared.counts.writes - counts.writes, shared.counts.transactions - counts.transactions,
          // One question to Metadata's table, two to those of Probes.
          shared.counts.checkStatements - counts.checkStatements,
        ])
        #expect(try await site.rows(Self.data).allSatisfy { $0.hasSuffix("turn \(turn)") })
      }
      #expect(costs.last == [3, 1, 3])
      #expect(try await site.rows(Self.groups) == ["three|blue"])
    }
  }

  @Test func aDatabaseThatIsAwayIsWaitedForAndThenTold() async throws {
    try await DatabaseSite.run { site in
      let (server, database) = try site.server()
      #expect(await report(server, ("p", "group:red")) == "true")
      database.isAway = true
      let shared = try #require(server.core.database)
      shared.waitLimit = .milliseconds(150)
      let told = "fault \(Fault.critical("").code) Critical failure: The database is not available; try again later"
      #expect(await report(server, ("p", "group:blue")) == told)
      #expect(await server.ask("GetConfig") == told)
      #expect(server.log.take().count { $0.contains("The database is not available, clients are told") } == 1)
      shared.waitLimit = .seconds(60)
      async let waiting = report(server, ("p", "group:blue"))
      await site.loop.nextIteration()
      database.isAway = false
      #expect(await waiting == "true")
      #expect(await server.ask("GetConfig").contains("isBlue"))
      #expect(server.log.take().contains { $0.contains("The database is available again") })
    }
  }

  @Test func aServerStartsWithoutItsDatabase() async throws {
    try await DatabaseSite.run { site in
      let (first, _) = try site.server()
      #expect(await report(first, ("p", "group:red")) == "true")
      let (server, database) = try site.server()
      database.isAway = true
      let begun = Task { await server.core.beginDatabase() }
      #expect(await server.wait { server.log.take().contains { $0.contains("The database is not available") } })
      database.isAway = false
      #expect(await server.ask("GetConfig").contains("isRed"))
      await begun.value
    }
  }
}

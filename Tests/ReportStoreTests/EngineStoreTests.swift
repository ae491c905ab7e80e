import Databases
import ReportRecords
import Support
import Testing

@testable import ReportStore

/// The same with each engine.
@Suite struct EngineStoreTests {
  private let items = [
    item("Package", ["name": "p", "version": "1"]), item("Package", .extra, ["name": "x"]),
    item("Path", ["name": "/f", "type": "file", "mode": "0644", "current_bdiff": "LSBvbGQKKyBuZXcK"]),
    item("Path", ["name": "/l", "type": "symlink", "to": "/a", "current_to": "/b"]),
    item("Service", ["name": "s", "status": "on", "current_exists": "false"]),
    item("POSIXUser", ["name": "u", "uid": "1"]), item("SEModule", ["name": "m"]),
    item("Path", ["name": "/odd", "failure": "größer \u{1F600} \0"]),
  ]

  private func store(_ engine: DatabaseEngine) throws -> (TestDatabase, ReportStore) {
    let test = try TestDatabase(engine)
    let store = ReportStore(try test.open())
    #expect(try store.prepare())
    return (test, store)
  }

  private func run(_ hostname: String, at seconds: Int64) -> Interaction {
    var run = interaction(hostname, at: seconds, items)
    run.microseconds += 7
    run.profile = "basic"
    run.groups = ["basic", "Übung"]
    run.bundles = ["b"]
    run.stamps = [Attribute("start", "1400000000.5")]
    return run
  }

  @Test(arguments: TestDatabase.engines) func whatNoColumnTakesIsLeftOut(_ engine: DatabaseEngine) throws {
    let (_, store) = try store(engine)
    var run = run("one", at: 10)
    let values = ["0e-9999999999", "1e-99999999", "1e999", "1e-99", "1e14"]
    run.stamps = values.map { Attribute("m", $0) }
    run.items = (0..<3).flatMap { [item("T\($0)", ["name": "a"]), item("T\($0)", ["name": "b"])] }
    let result = try store.store(run)
    #expect(result.outcome == .stored)
    #expect(
      result.warnings == (0..<3).map { "Unknown type T\($0) not handled by reporting yet" }
        + values.prefix(3).map { "The time m is no number: \($0)" })
    #expect(try store.count("performance") == 2)
  }

  /// Without that it reads the whole table for each list of hashes, as long as autovacuum has not come.
  @Test(.enabled(if: PrivatePostgreSQL.isInstalled)) func postgreSQLLearnsHowManyEntriesThereAre() throws {
    let (_, store) = try store(.postgresql)
    let size = #"SELECT reltuples::bigint FROM pg_class WHERE relname = 'Reporting_packageentry'"#
    let count = ReportStore.analyzedRows
    #expect(
      try store.store(interaction("one", at: 1, (0..<count).map { item("Package", ["name": "p\($0)"]) })).outcome
        == .stored)
    #expect(try store.database.first(size)?[0].asInt == count)
    // All of them are there, and no more.
    #expect(
      try store.store(interaction("two", at: 1, (0...count).map { item("Package", ["name": "p\($0)"]) })).outcome
        == .stored)
    #expect(try store.count("packageentry") == count + 1)
  }

  /// As in tables that Bcfg2 made.
  @Test(.enabled(if: PrivateMariaDB.isInstalled)) func clientsAreFoundByTheBytesOfTheirNames() throws {
    let (_, store) = try store(.mysql)
    try store.database.execute([
      "ALTER TABLE \"Reporting_client\" CONVERT TO CHARACTER SET latin1 COLLATE latin1_swedish_ci"
    ])
    #expect(
      try store.store([run("WEB", at: 1), run("web", at: 1), run("übung", at: 1)]).allSatisfy { $0.outcome == .stored })
    #expect(try store.client(named: "web")?.name == "web")
    #expect(try store.client(named: "übung")?.name == "übung")
    #expect(try store.client(named: "Web") == nil)
    #expect(try store.setExpiration(.now(), ofClients: "web"))
    #expect(try !store.setExpiration(.now(), ofClients: "Web"))
    #expect(
      try store.read(#"SELECT "name" FROM "Reporting_client" WHERE "expiration" IS NOT NULL"#) == ["web"])
  }

  @Test(arguments: TestDatabase.engines) func interactionsAreStoredOnce(_ engine: DatabaseEngine) throws {
    let (test, store) = try store(engine)
    #expect(try store.prepare() == false)
    #expect(
      try store.store([run("one", at: 10), run("two", at: 10), run("one", at: 5)]).allSatisfy { $0.outcome == .stored })
    // Nothing is remembered in another process.
    let other = ReportStore(try test.open())
    #expect(try other.store([run("one", at: 10), run("one", at: 11)]).map(\.outcome) == [.alreadyThere, .stored])
    #expect(
      try store.counts().map { "\($0.model) \($0.count)" } == [
        "Group 2", "Bundle 1", "FailureEntry 1", "ActionEntry 0", "PathEntry 2", "PackageEntry 2", "PathEntry 2",
        "ServiceEntry 1", "Client 2", "Interaction 4", "Performance 4",
      ])
    #expect(try store.count("interaction_paths") == 8)
    #expect(try store.count("linkentry") == 1)
    let times = try store.read(
      """
      SELECT c."name", i."timestamp" FROM "Reporting_client" c
      JOIN "Reporting_interaction" i ON i.id = c."current_interaction_id" ORDER BY c."name"
      """)
    #expect(
      times == ["one|\(ReportTime(since1970: 11_000_007).text)", "two|\(ReportTime(since1970: 10_000_007).text)"])
    #expect(try store.read("SELECT \"message\" FROM \"Reporting_failureentry\"") == ["größer \u{1F600} \u{FFFD}"])
  }

  @Test(arguments: TestDatabase.engines) func rowsThatAnotherProcessDeletedAreMadeAgain(_ engine: DatabaseEngine) throws
  {
    let (test, store) = try store(engine)
    _ = try store.store(run("one", at: 10))
    let other = ReportStore(try test.open())
    try other.purge(PurgeSelection(client: "one"))
    try other.pruneOrphans(OrphanKind.all)
    #expect(try store.count("fileperms") == 0)
    #expect(try store.store([run("one", at: 12), run("two", at: 12)]).allSatisfy { $0.outcome == .stored })
    #expect(
      try store.read(
        """
        SELECT COUNT(*) FROM "Reporting_interaction_paths" l JOIN "Reporting_pathentry" e ON e.id = l."pathentry_id"
        JOIN "Reporting_fileperms" f ON f.id = e."target_perms_id"
        """) == ["4"])
    #expect(try store.count("client") == 2)
  }

  @Test(arguments: TestDatabase.engines) func longNamesDoNotLoseTheInteraction(_ engine: DatabaseEngine) throws {
    let (_, store) = try store(engine)
    let name = "/" + String(repeating: "ä", count: 300)
    var long = interaction(
      String(repeating: "h", count: 200), at: 1,
      ["1", "2"].map { item("Path", ["name": name + $0, "type": "file", "current_owner": name]) }
        + [item("POSIXUser", ["name": "nobody", "uid": "4294967294"])])
    long.revision = name
    #expect(try store.store(long).outcome == .stored)
    #expect(try store.store(long).outcome == .alreadyThere)
    let names = try store.read("SELECT \"name\" FROM \"Reporting_pathentry\"")
    #expect(Set(names).count == 2)
    #expect(names.allSatisfy { $0.hasPrefix("/äää") && ($0.unicodeScalars.count == 128) == (engine != .sqlite) })
    #expect(
      try store.read("SELECT \"uid\" FROM \"Reporting_posixuserentry\"") == [engine == .sqlite ? "4294967294" : "null"])
  }

  @Test(arguments: TestDatabase.engines) func namesDifferByCase(_ engine: DatabaseEngine) throws {
    let (_, store) = try store(engine)
    var runs = [interaction("one", at: 1, [item("Package", ["name": "P"])]), interaction("One", at: 1)]
    runs[0].groups = ["g", "G", "\u{E9}", "e"]
    runs[1].bundles = ["b", "B"]
    #expect(try store.store(runs).allSatisfy { $0.outcome == .stored })
    #expect(try store.count("client") == 2)
    #expect(try store.count("group") == 4)
    #expect(try store.count("bundle") == 2)
    #expect(try store.client(named: "ONE") == nil)
    #expect(try store.clients(like: "ONE", limit: 3).count == 2)
    #expect(try store.clients(with: "p", of: .package).isEmpty)
  }

  @Test(arguments: TestDatabase.engines) func namesThatDifferInCaseAreTwoClients(_ engine: DatabaseEngine) throws {
    let (_, store) = try store(engine)
    #expect(try store.store([run("WEB1", at: 1), run("web1", at: 1)]).map(\.outcome) == [.stored, .stored])
    try store.purge(PurgeSelection(client: "web1"))
    #expect(try store.read("SELECT \"name\" FROM \"Reporting_client\"") == ["WEB1"])
    #expect(throws: PurgeError.unknownClient("Web1")) { try store.purge(PurgeSelection(client: "Web1")) }
  }

  @Test(arguments: TestDatabase.engines) func oldInteractionsGo(_ engine: DatabaseEngine) throws {
    let (_, store) = try store(engine)
    _ = try store.store((1...5).map { run("one", at: $0) } + [run("two", at: 1)])
    let time = ReportTime(since1970: 4_000_000).text
    #expect(try store.keepSince(time, limit: 2) == 2)
    #expect(try store.keepSince(time, limit: 2) == 1)
    #expect(try store.keepSince(time, limit: 2) == 0)
    #expect(try store.count("client") == 2)
    try store.purge(PurgeSelection(before: time))
    #expect(try store.read("SELECT \"name\" FROM \"Reporting_client\"") == ["one"])
    #expect(try store.count("performance") == 2)
  }

  @Test(arguments: TestDatabase.engines) func theIndexOfTheChartIsMadeOnceMore(_ engine: DatabaseEngine) throws {
    let (test, store) = try store(engine)
    let index = try #require(ReportStore.extraIndexes.first)
    let name = try #require(index.name)
    try store.database.execute(["DROP INDEX \"\(name)\"\(engine == .mysql ? " ON \"\(index.table)\"" : "")"])
    let migrations = try store.read("SELECT \"app\", \"name\" FROM \"django_migrations\" ORDER BY id")
    // A database of a Python server is as it should be.
    #expect(try store.flaws() == [])
    #expect(try ReportStore(test.open()).prepare())
    #expect(try store.prepare() == false)
    #expect(try store.flaws() == [])
    #expect(try store.read("SELECT \"app\", \"name\" FROM \"django_migrations\" ORDER BY id") == migrations)
    if engine == .sqlite {
      let plan = try store.read(
        """
        EXPLAIN QUERY PLAN SELECT "state", COUNT(*) FROM "Reporting_interaction" WHERE "timestamp" >= ? AND "timestamp" < ?
        GROUP BY "state"
        """, ["2026-01-01", "2026-01-02"])
      #expect(plan.contains { $0.contains("COVERING INDEX \(name)") }, "\(plan)")
    }
  }

  @Test(.enabled(if: TestDatabase.engines.contains(.postgresql)))
  func whoMayNotMakeIndexesGoesOnWithout() throws {
    let (test, store) = try store(.postgresql)
    let name = try #require(ReportStore.extraIndexes.first?.name)
    let role = "r\(UInt32.random(in: 0...UInt32.max))"
    try store.database.execute([
      "DROP INDEX \"\(name)\"", "CREATE ROLE \(role)",
      "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \(role)",
    ])
    let database = try test.open()
    try database.execute(["SET ROLE \(role)"])
    #expect(try ReportStore(database).prepare() == false)
    try database.execute(["RESET ROLE", "DROP OWNED BY \(role)", "DROP ROLE \(role)"])
  }

  /// A database of characters that have three bytes at most, as Django's are with MySQL.
  @Test(.enabled(if: TestDatabase.engines.contains(.mysql))) func charactersThatMySQLLacksAreReplaced() throws {
    let (_, store) = try store(.mysql)
    try store.database.execute([
      "ALTER TABLE \"Reporting_failureentry\" CONVERT TO CHARACTER SET utf8mb3"
    ])
    let results = try store.store([run("one", at: 1), run("two", at: 1)])
    #expect(results.allSatisfy { $0.outcome == .stored })
    #expect(try store.read("SELECT \"message\" FROM \"Reporting_failureentry\"") == ["größer \u{FFFD} \u{FFFD}"])
  }
}

import Databases
import EventLoop
import Glibc
import Logging
import Support
import Testing

@testable import LoopDatabases

@Suite(.enabled(if: TestDatabase.engines.contains(.postgresql), "PostgreSQL is not installed"))
struct LoopPostgreSQLTests {
  /// Calls the body with a new database on a loop, and another way to the same database.
  private func withDatabase(
    _ body: @MainActor (Reactor, LoopPostgreSQL, any Database) async throws -> Void
  ) async throws {
    let test = try TestDatabase(.postgresql)
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let database = LoopPostgreSQL(
        test.settings, on: loop, logger: Logger(label: "test"), outagePatience: .seconds(20))
      defer { database.close() }
      try await body(loop, database, test.open())
    }
  }

  private nonisolated static let endOthers =
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() "
    + "AND pid <> pg_backend_pid()"

  /// Returns when another connection does a statement that has the text.
  private func waitForStatement(_ text: String, _ loop: Reactor, _ other: any Database) async throws {
    let sql = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE ? AND pid <> pg_backend_pid()"
    while try other.first(sql, [.text("%\(text)%")]) == nil { await loop.nextIteration() }
  }

  @Test func statementsRunInTheirOrder() async throws {
    try await withDatabase { loop, database, _ in
      _ = try await database.run(#"CREATE TABLE "t" ("id" serial, "a" integer, "b" text)"#)
      let inserts = (0..<100).map { number in
        Task { @MainActor in
          try await database.run(#"INSERT INTO "t" ("a", "b") VALUES (?, ?)"#, [SQLValue(number), "x"])
        }
      }
      for insert in inserts { #expect(try await insert.value.changes == 1) }
      let rows = try await database.run(#"SELECT "a", "b" = ? FROM "t" ORDER BY "id""#, ["x"]).rows
      #expect(rows == (0..<100).map { [SQLValue($0), 1] })
    }
  }

  @Test func aTransactionHasAllOrNothing() async throws {
    try await withDatabase { loop, database, _ in
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer UNIQUE)"#)
      let insert = LoopStatement(#"INSERT INTO "t" VALUES (?)"#, [1])
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run([insert, insert]) }
      #expect(error?.kind == .constraint)
      let missing = LoopStatement(#"SELECT "x" FROM "t""#)
      let second = await #expect(throws: DatabaseError.self) { _ = try await database.run([insert, missing]) }
      #expect(second?.kind == .missing)
      #expect(try await database.run(#"SELECT count(*) FROM "t""#).rows == [[0]])
      let results = try await database.run([insert, LoopStatement(#"SELECT "a" FROM "t""#)])
      #expect(results.map(\.rows) == [[], [[1]]])
      #expect(results[0].changes == 1)
    }
  }

  @Test func largeValuesPass() async throws {
    try await withDatabase { loop, database, _ in
      _ = try await database.run(#"CREATE TABLE "t" ("a" text)"#)
      let large = String(repeating: "äx", count: 4 << 20)
      _ = try await database.run(#"INSERT INTO "t" VALUES (?)"#, [.text(large)])
      #expect(try await database.run(#"SELECT "a" FROM "t""#).rows == [[.text(large)]])
    }
  }

  @Test func whatIsTooLargeIsRefused() async throws {
    try await withDatabase { loop, database, _ in
      let rows = await #expect(throws: DatabaseError.self) {
        _ = try await database.run("SELECT repeat('x', 1000000) FROM generate_series(1, 70)")
      }
      #expect(rows?.text.contains("\(PostgreSQLConnection.resultLimitBytes)") == true)
      let huge = SQLValue.text(String(repeating: "x", count: LoopPostgreSQL.queueBytes))
      await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT ?", [huge]) }
      let nul = await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT ?", ["a\0"]) }
      #expect(nul?.kind == .value)
      let after = try await database.run("SELECT 1").rows
      #expect(after == [[1]])
    }
  }

  @Test func theQueueHasABound() async throws {
    try await withDatabase { loop, database, _ in
      let limit = LoopPostgreSQL.queueLimit
      let tasks = (0..<limit + 10).map { _ in Task { @MainActor in try await database.run("SELECT 1") } }
      var kinds: [DatabaseError.Kind?] = []
      for task in tasks {
        do {
          _ = try await task.value
          kinds.append(nil)
        } catch { kinds.append((error as? DatabaseError)?.kind) }
      }
      #expect(kinds.count { $0 == nil } >= limit)
      #expect(kinds.count { $0 == .unavailable } == kinds.count { $0 != nil })
      #expect(kinds.contains(.unavailable))
    }
  }

  @Test func preparedStatementsHaveABoundAndOutliveTables() async throws {
    try await withDatabase { loop, database, other in
      for number in 0..<300 { #expect(try await database.run("SELECT \(number)").rows == [[SQLValue(number)]]) }
      let count = try await database.run("SELECT count(*) FROM pg_prepared_statements").rows
      #expect(count[0][0].asInt ?? 0 <= 257)
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer)"#)
      _ = try await database.run(#"SELECT * FROM "t""#)
      try other.execute([#"ALTER TABLE "t" ADD COLUMN "b" integer"#])
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run(#"SELECT * FROM "t""#) }
      #expect(error?.kind == .busy)
      _ = try await database.run(#"SELECT * FROM "t""#)
    }
  }

  @Test func libpqStartsNoThread() async throws {
    let settings = try TestDatabase(.postgresql).settings
    let folder = Project.server.split(separator: "/").dropLast().joined(separator: "/")
    let output = try await LoopDriver.withLoop { loop in
      try await ChildProcess.run(
        ["/\(folder)/ExecutorProbe", #require(settings.host), settings.name, #require(settings.user)],
        timeout: .seconds(60), outputLimitBytes: 65536, on: loop)
    }
    let lines = String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n")
    #expect(output.status == .exited(0))
    #expect(lines.count == 4 && lines.allSatisfy { $0.hasPrefix("1 right ") }, "\(lines)")
  }

  // MARK: Loss

  @Test func aConnectionThatWasEndedIsMadeAnew() async throws {
    try await withDatabase { loop, database, other in
      #expect(try await database.run("SELECT 1").rows == [[1]])
      try other.change(Self.endOthers)
      #expect(try await database.run("SELECT 2").rows == [[2]])
    }
  }

  @Test func whatWasBeingDoneIsRepeatedOnlyIfThatIsSafe() async throws {
    try await withDatabase { loop, database, other in
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer)"#)
      // What others do is seen once in a transaction: another connection looks.
      let observer = try Databases.open(database.settings)
      let end = Self.endOthers + " AND query LIKE '%/* this */%'"
      // Each waits for a lock that the other connection has.
      @MainActor func waitAndEnd(_ statements: [LoopStatement]) async throws -> Result<[StatementResult], any Error> {
        try other.begin()
        try other.change(#"LOCK TABLE "t" IN ACCESS EXCLUSIVE MODE"#)
        let task = Task { @MainActor in try await database.run(statements) }
        try await waitForStatement(#""t" /* this */"#, loop, observer)
        try observer.change(end)
        try other.commit()
        return await task.result
      }
      let insert = LoopStatement(#"INSERT INTO "t" /* this */ VALUES (?)"#, [1])
      let failed = try await waitAndEnd([insert])
      #expect(throws: DatabaseError.self) { _ = try failed.get() }
      #expect(try await database.run(#"SELECT count(*) FROM "t""#).rows == [[0]])
      let read = LoopStatement(#"SELECT count(*) FROM "t" /* this */"#)
      #expect(try await waitAndEnd([read]).get()[0].rows == [[0]])
      #expect(try await waitAndEnd([insert, read]).get()[1].rows == [[1]])
    }
  }

  @Test func jobsWaitForAServerThatRestarts() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let server = try PrivatePostgreSQL()
      let database = LoopPostgreSQL(
        server.settings(), on: loop, logger: Logger(label: "test"), outagePatience: .seconds(60))
      defer { database.close() }
      #expect(try await database.run("SELECT 1").rows == [[1]])
      try server.stop(immediate: true)
      let waiting = Task { @MainActor in try await database.run("SELECT 2") }
      await loop.nextIteration()
      try server.start()
      #expect(try await waiting.value.rows == [[2]])
      try server.stop()
    }
  }

  @Test func anAbsentServerIsUnavailableAtOnceIfItWasNeverThere() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      var settings = DatabaseSettings(engine: .postgresql, name: "a")
      settings.host = folder.path
      settings.password = "hunter2"
      let database = LoopPostgreSQL(settings, on: loop, logger: Logger(label: "test"))
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT 1") }
      #expect(error?.kind == .unavailable)
      #expect(error?.text.contains("hunter2") == false)
      database.close()
      let closed = await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT 1") }
      #expect(closed?.kind == .unavailable)
    }
  }

  @Test func aJobWaitsForAnAbsentServerNoLongerThanItsPatience() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let server = try PrivatePostgreSQL()
      let database = LoopPostgreSQL(
        server.settings(), on: loop, logger: Logger(label: "test"), outagePatience: .milliseconds(100))
      defer { database.close() }
      #expect(try await database.run("SELECT 1").rows == [[1]])
      try server.stop(immediate: true)
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT 2") }
      #expect(error?.kind == .unavailable)
    }
  }

  @Test func aStatementThatTakesTooLongIsGivenUp() async throws {
    try await withDatabase { loop, database, _ in
      _ = try await database.run("SELECT 1")
      database.patience = .milliseconds(100)
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT pg_sleep(600)") }
      #expect(error?.kind == .unavailable)
      database.patience = .seconds(30)
      #expect(try await database.run("SELECT 1").rows == [[1]])
    }
  }

  @Test func closingEndsWhatWaits() async throws {
    try await withDatabase { loop, database, _ in
      let waiting = (0..<3).map { _ in Task { @MainActor in try await database.run("SELECT pg_sleep(600)") } }
      await loop.nextIteration()
      database.close()
      for task in waiting {
        let error = await #expect(throws: DatabaseError.self) { _ = try await task.value }
        #expect(error?.kind == .unavailable)
      }
    }
  }

  // MARK: Notifications

  @Test func listenersHearMessagesAndWhenTheyMayHaveMissedSome() async throws {
    try await withDatabase { loop, database, other in
      var heard: [DatabaseNotification] = []
      #expect(database.listen("bcfg2 \"x\"") { heard.append($0) })
      func wait(for count: Int) async { while heard.count < count { await loop.nextIteration() } }
      await wait(for: 1)
      try other.execute([#"NOTIFY "bcfg2 ""x""", 'one'"#, #"NOTIFY "other", 'two'"#])
      await wait(for: 2)
      _ = try await database.run([
        LoopStatement("SELECT pg_notify(?, ?)", ["bcfg2 \"x\"", "three"]), LoopStatement("SELECT 1"),
      ])
      await wait(for: 3)
      try other.change(Self.endOthers)
      await wait(for: 5)
      try other.execute([#"NOTIFY "bcfg2 ""x""", 'four'"#])
      await wait(for: 6)
      #expect(heard == [.began, .message("one"), .message("three"), .lost, .began, .message("four")])
    }
  }

  // MARK: Hosts

  @Test func hostsAreLookedUpBefore() async throws {
    let resolver = FixedResolver(["192.0.2.1": "db.example.com", "2001:db8::1": "db.example.com"])
    func find(_ host: String?) async throws -> PostgreSQLHosts {
      var settings = DatabaseSettings(engine: .postgresql, name: "a")
      settings.host = host
      return try await PostgreSQLHosts.find(settings) { resolver }
    }
    #expect(
      try await find("db.example.com")
        == PostgreSQLHosts(hosts: "db.example.com,db.example.com", addresses: "192.0.2.1,2001:db8::1"))
    #expect(
      try await find("/run/postgresql,192.0.2.7,db.example.com")
        == PostgreSQLHosts(
          hosts: "/run/postgresql,192.0.2.7,db.example.com,db.example.com",
          addresses: ",192.0.2.7,192.0.2.1,2001:db8::1"))
    #expect(try await find(nil) == PostgreSQLHosts())
    let error = await #expect(throws: DatabaseError.self) { _ = try await find("none.example.com") }
    #expect(error?.kind == .unavailable)
  }
}

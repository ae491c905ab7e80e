import Databases
import EventLoop
import Glibc
import Logging
import Support
import Testing

@testable import LoopDatabases

struct LoopHelperDatabaseTests {
  private func open(_ folder: TemporaryDirectory, _ loop: Reactor, patience: Duration = .seconds(60))
    -> LoopHelperDatabase
  {
    LoopHelperDatabase(
      DatabaseSettings(engine: .sqlite, name: folder.file("a.sqlite")), on: loop, logger: Logger(label: "test"),
      program: Project.server, patience: patience)
  }

  @Test func statementsRunInTheirOrder() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      defer { database.close() }
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer, "b" text)"#)
      let inserts = (0..<100).map { number in
        Task { @MainActor in try await database.run(#"INSERT INTO "t" VALUES (?, ?)"#, [SQLValue(number), "x"]) }
      }
      for insert in inserts { #expect(try await insert.value.changes == 1) }
      #expect(try await database.run(#"SELECT "a" FROM "t""#).rows == (0..<100).map { [SQLValue($0)] })
    }
  }

  @Test func aFileThatWasReplacedIsOpened() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      defer { database.close() }
      _ = try await database.run(#"CREATE TABLE "t" ("a" text)"#)
      #expect(rename(folder.file("a.sqlite"), folder.file("b.sqlite")) == 0)
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run(#"SELECT "a" FROM "t""#) }
      #expect(error?.kind == .unavailable)
      // A new, empty file.
      _ = try await database.run(#"CREATE TABLE "t" ("a" text)"#)
      #expect(access(folder.file("a.sqlite"), F_OK) == 0)
    }
  }

  @Test func aTransactionHasAllOrNothing() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      defer { database.close() }
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer UNIQUE)"#)
      let insert = LoopStatement(#"INSERT INTO "t" VALUES (?)"#, [1])
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run([insert, insert]) }
      #expect(error?.kind == .constraint)
      #expect(try await database.run(#"SELECT count(*) FROM "t""#).rows == [[0]])
      let results = try await database.run([insert, LoopStatement(#"SELECT "a" FROM "t""#)])
      #expect(results.map(\.rows) == [[], [[1]]])
      #expect(results[0].changes == 1)
    }
  }

  @Test func largeValuesPass() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      defer { database.close() }
      _ = try await database.run(#"CREATE TABLE "t" ("a" text)"#)
      let large = String(repeating: "äx", count: 1 << 20)
      _ = try await database.run(#"INSERT INTO "t" VALUES (?)"#, [.text(large)])
      #expect(try await database.run(#"SELECT "a" FROM "t""#).rows == [[.text(large)]])
    }
  }

  @Test func whatIsTooLargeIsRefused() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      defer { database.close() }
      let rows = "SELECT hex(zeroblob(17000000)) UNION ALL SELECT hex(zeroblob(17000001))"
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run(rows) }
      #expect(error?.text.contains("\(StatementFrames.limitBytes)") == true)
      #expect(try await database.run("SELECT 1").rows == [[1]])
    }
  }

  @Test func aKilledHelperIsReplaced() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      defer { database.close() }
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer)"#)
      let first = try #require(database.helperProcess)
      // Counts for minutes, unless it is killed.
      let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
      let lost = Task { @MainActor in
        try await database.run([LoopStatement(#"INSERT INTO "t" VALUES (1)"#), LoopStatement(endless)])
      }
      let next = Task { @MainActor in try await database.run(#"SELECT count(*) FROM "t""#) }
      await loop.nextIteration()
      kill(first, SIGKILL)
      let error = await #expect(throws: DatabaseError.self) { _ = try await lost.value }
      #expect(error?.kind == .unavailable)
      #expect(try await next.value.rows == [[0]])
      #expect(database.helperProcess != first)
    }
  }

  @Test func aStatementThatTakesTooLongIsGivenUp() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop, patience: .milliseconds(200))
      defer { database.close() }
      let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run(endless) }
      #expect(error?.kind == .unavailable)
    }
  }

  @Test func aMissingFolderIsSaidAndTriedAgain() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      // The last folder of the path would be made.
      let path = folder.file("away/etc")
      let database = LoopHelperDatabase(
        DatabaseSettings(engine: .sqlite, name: path + "/a.sqlite"), on: loop, logger: Logger(label: "test"),
        program: Project.server)
      defer { database.close() }
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run("SELECT 1") }
      #expect(error?.kind == .unavailable)
      #expect(error?.text.contains(path) == true)
      #expect(mkdir(folder.file("away"), 0o755) == 0)
      #expect(try await database.run("SELECT 1").rows == [[1]])
    }
  }

  @Test func closingEndsWhatWaits() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      let database = open(folder, loop)
      let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
      let waiting = Task { @MainActor in try await database.run(endless) }
      await loop.nextIteration()
      database.close()
      let error = await #expect(throws: DatabaseError.self) { _ = try await waiting.value }
      #expect(error?.kind == .unavailable)
    }
  }

  @Test(.enabled(if: TestDatabase.engines.contains(.mysql), "MariaDB is not installed"))
  func theHelperSpeaksToMySQL() async throws {
    let test = try TestDatabase(.mysql)
    let other = try test.open()
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let database = LoopHelperDatabase(
        test.settings, on: loop, logger: Logger(label: "test"), program: Project.server)
      defer { database.close() }
      _ = try await database.run(#"CREATE TABLE "t" ("a" integer UNIQUE, "b" varchar(20))"#)
      let insert = LoopStatement(#"INSERT INTO "t" VALUES (?, ?)"#, [1, "ä"])
      let error = await #expect(throws: DatabaseError.self) { _ = try await database.run([insert, insert]) }
      #expect(error?.kind == .constraint)
      let results = try await database.run([insert, LoopStatement(#"SELECT * FROM "t""#)])
      #expect(results.map(\.rows) == [[], [[1, "ä"]]])
      // A server that ends the connection costs nothing outside of a transaction.
      let others = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
      for row in try other.rows(others) { try other.execute(["KILL HARD CONNECTION \(try #require(row[0].asInt))"]) }
      while try other.first(others) != nil {}
      let rows = try await database.run(#"SELECT "b" FROM "t" WHERE "a" = ?"#, [1]).rows
      #expect(rows == [["ä"]])
    }
  }
}

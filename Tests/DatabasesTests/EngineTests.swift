import Databases
import Glibc
import Support
import Testing

/// The same with each engine.
@Suite struct EngineTests {
  private static let table: [DatabaseEngine: String] = [
    .sqlite: #"CREATE TABLE "t" ("id" integer PRIMARY KEY AUTOINCREMENT, "a" text, "b" bool, "r" real, "n" bigint)"#,
    .postgresql:
      #"CREATE TABLE "t" ("id" serial PRIMARY KEY, "a" text, "b" boolean, "r" double precision, "n" bigint)"#,
    .mysql:
      #"CREATE TABLE "t" ("id" integer AUTO_INCREMENT PRIMARY KEY, "a" longtext, "b" bool, "r" double, "n" bigint)"#,
  ]

  private func withTable(_ engine: DatabaseEngine, _ body: (any Database) throws -> Void) throws {
    let test = try TestDatabase(engine)
    let database = try test.open()
    try database.execute([#require(Self.table[engine])])
    try body(database)
  }

  @Test(arguments: TestDatabase.engines) func valuesComeBackAsTheyWereGiven(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      let insert = #"INSERT INTO "t" ("a", "b", "r", "n") VALUES (?, ?, ?, ?)"#
      let long = String(repeating: "Großes \u{1F600} \\ ' \" ? ", count: 20_000)
      let rows: [Row] = [
        ["", true, .real(0.1), .integer(.max)], [nil, nil, nil, nil],
        [.text(long), false, .real(-1e300), .integer(.min)],
        [.text(String(repeating: "x", count: 256)), 1, .real(0), 0],
        [.text(String(repeating: "x", count: 257)), 0, .real(0.5), 7],
      ]
      for (index, row) in rows.enumerated() { #expect(try database.insert(insert, row) == Int64(index + 1)) }
      let found = try database.rows(#"SELECT "a", "b", "r", "n" FROM "t" ORDER BY "id""#)
      #expect(found.count == rows.count)
      for (given, returned) in zip(rows, found) {
        #expect(returned[0] == given[0] && returned[2] == given[2] && returned[3] == given[3])
        #expect(returned[1] == (given[1].isNull ? .null : .integer(given[1].asBool ? 1 : 0)))
      }
    }
  }

  @Test(arguments: TestDatabase.engines.filter { $0 == .postgresql })
  func aServerThatHangsIsAsOneThatIsAway(_ engine: DatabaseEngine) throws {
    let database = try #require(try TestDatabase(engine).open() as? PostgreSQLDatabase)
    #expect(try database.first("SELECT 1") == [1])
    database.patience = .milliseconds(100)
    let error = #expect(throws: DatabaseError.self) { try database.rows("SELECT pg_sleep(3600)") }
    #expect(error?.kind == .unavailable && error?.text.contains("no answer within") == true)
    database.patience = .seconds(600)
    #expect(try database.first("SELECT 1") == [1])
    // COPY leaves no connection that waits for ever.
    #expect(throws: DatabaseError.self) { try database.execute(["COPY (SELECT 1) TO STDOUT"]) }
    #expect(try database.first("SELECT 1") == [1])
  }

  @Test(arguments: TestDatabase.engines) func questionMarksWithinQuotesAreText(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      let sql = #"SELECT 'what? '' \ ?', "a" AS "a?" FROM "t" WHERE "a" = ? AND "n" = ?"#
      try database.insert(#"INSERT INTO "t" ("a", "n") VALUES (?, ?)"#, ["x", 3])
      #expect(try database.rows(sql, ["x", 3]) == [["what? ' \\ ?", "x"]])
      #expect(try database.rows(sql, ["x", 4]) == [])
    }
  }

  @Test(arguments: TestDatabase.engines) func timesAreTextsWithMicroseconds(_ engine: DatabaseEngine) throws {
    let database = try TestDatabase(engine).open()
    let type = engine == .mysql ? "datetime(6)" : engine == .postgresql ? "timestamp with time zone" : "datetime"
    try database.execute([#"CREATE TABLE "t" ("at" \#(type) NOT NULL)"#])
    let times = ["2026-06-29 04:12:16", "2026-11-29 04:12:16.000001", "2026-11-29 04:12:16.500000"]
    for time in times { try database.change(#"INSERT INTO "t" VALUES (?)"#, [.text(time)]) }
    #expect(try database.rows(#"SELECT "at" FROM "t" ORDER BY "at""#) == times.map { [.text($0)] })
    #expect(
      try database.first(#"SELECT count(*) FROM "t" WHERE "at" > ?"#, ["2026-11-29 04:12:16"]) == [2])
  }

  @Test(arguments: TestDatabase.engines) func changesCountTheRowsThatWereFound(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      for name in ["a", "b", "c"] { try database.insert(#"INSERT INTO "t" ("a") VALUES (?)"#, [.text(name)]) }
      #expect(try database.change(#"UPDATE "t" SET "a" = ? WHERE "a" <> ?"#, ["b", "a"]) == 2)
      #expect(try database.change(#"UPDATE "t" SET "a" = ? WHERE "a" <> ?"#, ["b", "a"]) == 2)
      #expect(try database.change(#"SELECT * FROM "t""#) == 0)
      #expect(try database.change(#"DELETE FROM "t" WHERE "a" = ?"#, ["b"]) == 2)
      #expect(try database.first(#"SELECT count(*), count(*) = 1 FROM "t""#)?.map(\.asInt) == [1, 1])
    }
  }

  @Test(arguments: TestDatabase.engines) func errorsHaveKinds(_ engine: DatabaseEngine) throws {
    let database = try TestDatabase(engine).open()
    try database.execute([
      #"CREATE TABLE "t" ("id" integer PRIMARY KEY, "a" varchar(3) NOT NULL, CONSTRAINT "u" UNIQUE ("a"))"#
    ])
    try database.change(#"INSERT INTO "t" VALUES (?, ?)"#, [1, "a"])
    let cases: [(String, [SQLValue], DatabaseError.Kind)] = [
      (#"INSERT INTO "t" VALUES (?, ?)"#, [1, "b"], .constraint),
      (#"INSERT INTO "t" VALUES (?, ?)"#, [2, "a"], .constraint),
      (#"INSERT INTO "t" VALUES (?, ?)"#, [2, nil], .constraint),
      (#"SELECT "a" FROM "missing""#, [], .missing),
      (#"SELECT "t"."x" FROM "t""#, [], .missing),
      (#"SELEKT 1"#, [], .other),
      (#"SELECT "a" FROM "t" WHERE "id" = ?"#, [], .other),
      (#"SELECT "a" FROM "t" WHERE "id" = ?"#, [1, 2], .other),
    ]
    for (sql, values, kind) in cases {
      let error = #expect(throws: DatabaseError.self, "\(sql)") { try database.rows(sql, values) }
      #expect(error?.kind == kind, "\(sql): \(error?.text ?? "")")
    }
    if engine != .sqlite {
      let error = #expect(throws: DatabaseError.self) { try database.change(#"UPDATE "t" SET "a" = ?"#, ["long"]) }
      #expect(error?.kind == .value)
    }
    // They have cost nothing.
    #expect(try database.rows(#"SELECT * FROM "t""#) == [[1, "a"]])
  }

  @Test(arguments: TestDatabase.engines) func transactionsEndWholeOrNotAtAll(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      let insert = #"INSERT INTO "t" ("a") VALUES (?)"#
      try database.transaction { try database.insert(insert, ["kept"]) }
      let error = #expect(throws: DatabaseError.self) {
        try database.transaction {
          try database.insert(insert, ["lost"])
          try database.change(#"UPDATE "missing" SET "a" = 1"#)
        }
      }
      #expect(error?.kind == .missing)
      #expect(try database.rows(#"SELECT "a" FROM "t""#) == [["kept"]])
    }
  }

  @Test(arguments: TestDatabase.engines) func aCommitAfterAFailureIsNotTakenForOne(_ engine: DatabaseEngine) throws {
    guard engine == .postgresql else { return }
    try withTable(engine) { database in
      try database.begin()
      try database.insert(#"INSERT INTO "t" ("a") VALUES (?)"#, ["lost"])
      #expect(throws: DatabaseError.self) { try database.change(#"UPDATE "missing" SET "a" = 1"#) }
      #expect(throws: DatabaseError.self) { try database.commit() }
      #expect(try database.rows(#"SELECT "a" FROM "t""#) == [])
    }
  }

  @Test(arguments: TestDatabase.engines) func manyStatementsAreNotAllKept(_ engine: DatabaseEngine) throws {
    let database = try TestDatabase(engine).open()
    for round in 0..<2 {
      for number in 0..<300 { #expect(try database.first("SELECT \(number)")?.first?.asInt == number, "\(round)") }
    }
    switch engine {
    case .sqlite: break
    case .postgresql:
      #expect(try database.first("SELECT count(*) FROM pg_prepared_statements")?.first?.asInt ?? 0 <= 256)
    case .mysql:
      let count = try database.first("SHOW SESSION STATUS LIKE 'Prepared_stmt_count'")?.last?.asInt
      let all = try database.first("SHOW GLOBAL STATUS LIKE 'Com_stmt_close'")?.last?.asInt
      #expect(count ?? 0 <= 257 || all ?? 0 > 0)
    }
  }

  @Test(arguments: TestDatabase.engines) func statementsLiveOnWhenATableChanges(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      try database.insert(#"INSERT INTO "t" ("a") VALUES (?)"#, ["x"])
      let all = #"SELECT * FROM "t""#
      #expect(try database.first(all)?.count == 5)
      try database.execute([#"ALTER TABLE "t" ADD COLUMN "more" integer"#])
      #expect(try database.first(all)?.count == 6)
    }
  }

  @Test(arguments: TestDatabase.engines) func statementsRunWithinTheRowsOfOthers(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      for name in ["a", "b"] { try database.insert(#"INSERT INTO "t" ("a") VALUES (?)"#, [.text(name)]) }
      var seen: [Row] = []
      try database.run(#"SELECT "id" FROM "t" ORDER BY "id""#, []) { (row) throws(DatabaseError) in
        seen += try database.rows(#"SELECT "a" FROM "t" WHERE "id" = ?"#, row)
        return true
      }
      #expect(seen == [["a"], ["b"]])
    }
  }

  // MARK: Connections

  /// Statements that end all other connections of the server to a database.
  private func endConnections(_ settings: DatabaseSettings) throws {
    let other = try Databases.open(settings)
    if settings.engine == .postgresql {
      try other.change(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = ? AND pid <> pg_backend_pid()",
        [.text(settings.name)])
    } else {
      let own = "SELECT id FROM information_schema.processlist WHERE db = ? AND id <> connection_id()"
      for row in try other.rows(own, [.text(settings.name)]) {
        try other.execute(["KILL HARD CONNECTION \(row[0].asInt ?? 0)"])
      }
      // It is ended when the server no longer lists it.
      while try other.first(own, [.text(settings.name)]) != nil {}
    }
  }

  private static let servers = TestDatabase.engines.filter { $0 != .sqlite }

  @Test(arguments: servers) func aConnectionThatWasEndedIsMadeAnew(_ engine: DatabaseEngine) throws {
    let test = try TestDatabase(engine)
    let database = try test.open()
    #expect(try database.first("SELECT 1 + ?", [1])?.first?.asInt == 2)
    try endConnections(test.settings)
    #expect(try database.first("SELECT 1 + ?", [1])?.first?.asInt == 2)
    try endConnections(test.settings)
    try database.begin()
    #expect(try database.first("SELECT 1 + ?", [1])?.first?.asInt == 2)
    try database.commit()
  }

  @Test(arguments: servers) func aTransactionThatLostItsConnectionFailsToItsEnd(_ engine: DatabaseEngine) throws {
    let test = try TestDatabase(engine)
    let database = try test.open()
    try database.execute([#"CREATE TABLE "t" ("a" integer)"#])
    try database.begin()
    try database.change(#"INSERT INTO "t" VALUES (?)"#, [1])
    try endConnections(test.settings)
    for _ in 0..<2 {
      let error = #expect(throws: DatabaseError.self) { try database.change(#"INSERT INTO "t" VALUES (?)"#, [2]) }
      #expect(error?.kind == .unavailable, "\(error?.text ?? "")")
    }
    #expect(throws: DatabaseError.self) { try database.commit() }
    #expect(try database.rows(#"SELECT * FROM "t""#) == [])
  }

  @Test(arguments: servers) func deadlocksAreBusy(_ engine: DatabaseEngine) async throws {
    let test = try TestDatabase(engine)
    let first = try test.open()
    let unique = #"CREATE TABLE "t" ("id" integer PRIMARY KEY, "a" integer)"#
    try first.execute([unique, #"INSERT INTO "t" VALUES (1, 0), (2, 0)"#])
    let second = try test.open()
    // A server that waits for a lock says so at once, if it may not wait.
    try second.execute([engine == .postgresql ? "SET lock_timeout = 1" : "SET innodb_lock_wait_timeout = 0"])
    try first.begin()
    try first.change(#"UPDATE "t" SET "a" = ? WHERE "id" = ?"#, [1, 1])
    try second.begin()
    let error = #expect(throws: DatabaseError.self) {
      try second.change(#"UPDATE "t" SET "a" = ? WHERE "id" = ?"#, [2, 1])
    }
    #expect(error?.kind == .busy, "\(error?.text ?? "")")
    second.rollBack()
    try first.commit()
    #expect(try second.change(#"UPDATE "t" SET "a" = ? WHERE "id" = ?"#, [2, 1]) == 1)
  }

  @Test(arguments: servers) func anAbsentServerIsUnavailableAndThePasswordIsNotTold(_ engine: DatabaseEngine) throws {
    var settings = DatabaseSettings(engine: engine, name: "reports")
    settings.host = "/nonexistent"
    settings.user = "bcfg2"
    settings.password = "hunter2"
    let error = #expect(throws: DatabaseError.self) { try Databases.open(settings).first("SELECT 1") }
    #expect(error?.kind == .unavailable && error?.isTemporary == true)
    #expect(error?.text.contains("hunter2") == false && error?.text.contains("\n") == false)
    settings.origin = "bcfg2.conf, line 7"
    // Short ones are in other words, too.
    settings.password = "no"
    let short = #expect(throws: DatabaseError.self) { try Databases.open(settings).first("SELECT 1") }
    #expect(short?.text.hasSuffix(" (bcfg2.conf, line 7)") == true && short?.text.contains("***") == false)
    #expect(settings.error(.other, "no such table, key=no").text.hasSuffix(": *** such table, key=***"))
    #expect(settings.error(.other, "not known").text.hasSuffix(": not known"))
    settings.password = "hunter2"
    settings.options["no_such"] = "hunter2"
    let wrong = #expect(throws: DatabaseError.self) { try Databases.open(settings).first("SELECT 1") }
    #expect(wrong?.text.contains("no_such") == true && wrong?.text.contains("hunter2") == false, "\(wrong?.text ?? "")")
  }

  @Test(arguments: servers) func aNULCharacterIsStoredOrRefused(_ engine: DatabaseEngine) throws {
    try withTable(engine) { database in
      let insert = #"INSERT INTO "t" ("a") VALUES (?)"#
      if engine == .postgresql {
        let error = #expect(throws: DatabaseError.self) { try database.insert(insert, ["a\0b"]) }
        #expect(error?.kind == .value)
      } else {
        try database.insert(insert, ["a\0b"])
        #expect(try database.first(#"SELECT "a" FROM "t""#) == ["a\0b"])
      }
    }
  }

  @Test(
    .enabled(
      if: TestDatabase.engines.count == DatabaseEngine.allCases.count,
      "PostgreSQL or MariaDB is not installed; scripts/setup.sh --test installs them"))
  func allEnginesAreTested() { #expect(TestDatabase.engines == DatabaseEngine.allCases) }
}

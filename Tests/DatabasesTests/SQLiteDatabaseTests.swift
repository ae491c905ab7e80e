import Databases
import Support
import Testing

@Suite struct SQLiteDatabaseTests {
  @Test func rowsComeBackAsTheyWereGiven() throws {
    let folder = TemporaryDirectory()
    let database = try Databases.open(
      DatabaseSettings(engine: .sqlite, name: folder.path + "/a.sqlite"), createsFile: true)
    try database.execute([#"CREATE TABLE "t" ("id" integer PRIMARY KEY, "a" text, "b" bool)"#])
    #expect(try database.insert(#"INSERT INTO "t" ("a", "b") VALUES (?, ?)"#, ["", true]) == 1)
    #expect(try database.insert(#"INSERT INTO "t" ("a", "b") VALUES (?, ?)"#, [nil, false]) == 2)
    #expect(try database.rows(#"SELECT "a", "b" FROM "t" ORDER BY "id""#) == [["", 1], [nil, 0]])
  }

  @Test func aMissingFileIsUnavailable() throws {
    let folder = TemporaryDirectory()
    let settings = DatabaseSettings(engine: .sqlite, name: folder.path + "/a.sqlite")
    let error = #expect(throws: DatabaseError.self) { _ = try Databases.open(settings) }
    #expect(error?.kind == .unavailable)
  }

  @Test func aFailedTransactionLeavesNothing() throws {
    struct Failure: Error {}
    let folder = TemporaryDirectory()
    let database = try Databases.open(
      DatabaseSettings(engine: .sqlite, name: folder.path + "/a.sqlite"), createsFile: true)
    try database.execute([#"CREATE TABLE "t" ("a" text)"#])
    #expect(throws: Failure.self) {
      try database.transaction {
        try database.change(#"INSERT INTO "t" VALUES (?)"#, ["x"])
        throw Failure()
      }
    }
    #expect(try database.first(#"SELECT count(*) FROM "t""#) == [0])
  }
}

import Databases
import Glibc
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

  @Test func aFileThatIsOnlyReadSaysSo() throws {
    let folder = TemporaryDirectory()
    let database = try file(folder.file("a.sqlite"), "a")
    try database.execute(["PRAGMA query_only = ON"])
    let error = #expect(throws: DatabaseError.self) { try database.change(#"DELETE FROM "t""#) }
    #expect(error?.isReadOnly == true)
    let other = #expect(throws: DatabaseError.self) { try database.change(#"DELETE FROM "u""#) }
    #expect(other?.kind == .missing && other?.isReadOnly == false)
  }

  @Test func aMissingFileIsUnavailable() throws {
    let folder = TemporaryDirectory()
    let settings = DatabaseSettings(engine: .sqlite, name: folder.path + "/a.sqlite")
    let error = #expect(throws: DatabaseError.self) { _ = try Databases.open(settings) }
    #expect(error?.kind == .unavailable)
  }

  @Test func theReasonWhyAFileCannotBeOpened() throws {
    let folder = TemporaryDirectory()
    for (name, reason) in [
      ("a.sqlite", "a.sqlite: unable to open database file: No such file or directory"),
      ("no/way/a.sqlite", "/no/way: No such file or directory"),
    ] {
      let settings = DatabaseSettings(engine: .sqlite, name: folder.file(name))
      let error = #expect(throws: DatabaseError.self) {
        _ = try Databases.open(settings, createsFile: name.contains("way"))
      }
      #expect(error?.text.hasSuffix(reason) == true, "\(String(describing: error))")
    }
  }

  /// A file in a place of its own, with a row that says which it is.
  private func file(_ path: String, _ content: SQLValue) throws -> any Database {
    let database = try Databases.open(DatabaseSettings(engine: .sqlite, name: path), createsFile: true)
    try database.execute([#"CREATE TABLE "t" ("a" text)"#])
    try database.change(#"INSERT INTO "t" VALUES (?)"#, [content])
    return database
  }

  @Test func aFileThatWasReplacedIsNotUsedFurther() throws {
    let folder = TemporaryDirectory()
    let database = try file(folder.file("a.sqlite"), "old")
    _ = try file(folder.file("b.sqlite"), "new")
    #expect(rename(folder.file("b.sqlite"), folder.file("a.sqlite")) == 0)
    let uses: [() throws -> Void] = [
      { _ = try database.rows(#"SELECT "a" FROM "t""#) }, { try database.execute(["BEGIN"]) }, { try database.begin() },
      { try database.change(#"DELETE FROM "t""#) },
    ]
    for use in uses {
      let error = #expect(throws: DatabaseError.self, performing: use)
      #expect(error?.kind == .unavailable && error?.text.contains("another file took its place") == true)
    }
    let again = try Databases.open(DatabaseSettings(engine: .sqlite, name: folder.file("a.sqlite")))
    #expect(try again.rows(#"SELECT "a" FROM "t""#) == [["new"]])
    unlink(folder.file("a.sqlite"))
    let error = #expect(throws: DatabaseError.self) { _ = try again.rows(#"SELECT "a" FROM "t""#) }
    #expect(error?.kind == .unavailable && error?.text.contains("was removed") == true)
  }

  @Test func aTransactionOfAFileThatWasReplacedFails() throws {
    let folder = TemporaryDirectory()
    let database = try file(folder.file("a.sqlite"), "old")
    _ = try file(folder.file("b.sqlite"), "new")
    let error = #expect(throws: DatabaseError.self) {
      try database.transaction {
        try database.change(#"DELETE FROM "t""#)
        #expect(rename(folder.file("b.sqlite"), folder.file("a.sqlite")) == 0)
      }
    }
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

import Databases
import Testing

@testable import ReportStore

@Suite struct SchemaTests {
  let folder = Folder()

  @Test func tablesAreThoseOfBcfg2() throws {
    let store = ReportStore(try folder.open())
    #expect(try store.prepare())
    let tables = try store.read("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    #expect(tables.count == 60)
    #expect(tables.contains("Reporting_interaction_sepermissives") && tables.contains("Server_probesdatamodel"))
    #expect(try store.read("SELECT COUNT(*) FROM django_migrations") == ["23"])
    #expect(try store.read("SELECT COUNT(*) FROM django_content_type") == ["35"])
    #expect(
      try store.read("SELECT name FROM auth_permission WHERE codename = 'add_sebooleanentry'") == [
        "Can add se boolean entry"
      ])
    #expect(try ReportStore(folder.open()).prepare() == false)
  }

  /// Tables as South left them for 1.3.4 on SQLite: without flags, and without most of the indexes.
  @Test func tablesOf134GetWhatTheyLack() throws {
    let store = ReportStore(try folder.open())
    try store.prepare()
    try store.database.execute([
      "DROP TABLE Reporting_interaction", "DROP TABLE Reporting_posixgroupentry", "DROP TABLE django_migrations",
      "DROP TABLE Server_probesdatamodel",
      """
      CREATE TABLE "Reporting_interaction" ("bad_count" INTEGER NOT NULL, "extra_count" INTEGER NOT NULL,
      "timestamp" datetime NOT NULL, "profile_id" integer NULL, "server" varchar(256) NOT NULL,
      "state" varchar(32) NOT NULL, "repo_rev_code" varchar(64) NOT NULL, "good_count" INTEGER NOT NULL,
      "client_id" INTEGER NOT NULL, "total_count" INTEGER NOT NULL, "modified_count" INTEGER NOT NULL,
      "id" INTEGER PRIMARY KEY)
      """,
      "INSERT INTO Reporting_interaction VALUES (1, 0, '2014-01-01 00:00:00', NULL, 's', 'dirty', 'r', 1, 1, 2, 0, 7)",
    ])
    #expect(try store.prepare())
    #expect(try store.read("SELECT id, dry_run, only_important FROM Reporting_interaction") == ["7|0|0"])
    // A server of 1.3.4 goes on, without the flags.
    try store.database.execute([
      """
      INSERT INTO Reporting_interaction (bad_count, extra_count, timestamp, server, state, repo_rev_code, good_count,
      client_id, total_count, modified_count) VALUES (1, 0, '2014-01-02 00:00:00', 's', 'dirty', 'r', 1, 1, 2, 0)
      """
    ])
    #expect(try store.count("posixgroupentry") == 0)
    let migrations = try store.read("SELECT app, name FROM django_migrations WHERE app IN ('auth', 'Reporting')")
    // Django's own later migrations have yet to change its tables.
    #expect(migrations.count == 8 && migrations.contains("auth|0001_initial"))
    #expect(try store.prepare() == false)
    #expect(try store.store(interaction("one", at: 1)).outcome == .stored)
  }

  @Test func tablesOf130AreBroughtOn() throws {
    let store = ReportStore(try folder.open())
    try store.prepare()
    try store.database.execute([
      "DROP TABLE Reporting_fileperms", "DROP TABLE Reporting_interaction",
      """
      CREATE TABLE "Reporting_fileperms" ("id" integer NOT NULL PRIMARY KEY, "owner" varchar(128) NOT NULL,
      "group" varchar(128) NOT NULL, "perms" varchar(128) NOT NULL)
      """,
      "INSERT INTO Reporting_fileperms VALUES (1, 'root', 'root', '0644'), (2, 'root', 'root', '0644')",
      """
      INSERT INTO Reporting_pathentry (name, state, "exists", path_type, detail_type, details, current_perms_id,
      target_perms_id, hash_key) VALUES ('/f', 1, 1, 'file', 0, '', 2, 1, 0)
      """,
      """
      CREATE TABLE "Reporting_interaction" ("id" integer NOT NULL PRIMARY KEY, "client_id" integer NOT NULL,
      "timestamp" datetime NOT NULL, "state" varchar(32) NOT NULL, "repo_rev_code" varchar(64) NOT NULL,
      "server" varchar(256) NOT NULL, "good_count" integer NOT NULL, "total_count" integer NOT NULL,
      "bad_count" integer NOT NULL, "modified_count" integer NOT NULL, "extra_count" integer NOT NULL,
      "profile_id" integer NOT NULL, UNIQUE ("client_id", "timestamp"))
      """,
      "INSERT INTO Reporting_interaction VALUES (3, 1, '2013-01-01 00:00:00', 'dirty', 'r', 's', 1, 2, 1, 0, 0, 1)",
    ])
    #expect(try store.prepare())
    #expect(try store.read("SELECT id, mode FROM Reporting_fileperms") == ["1|0644"])
    #expect(try store.read("SELECT target_perms_id, current_perms_id FROM Reporting_pathentry") == ["1|1"])
    #expect(try store.read("SELECT id, state, dry_run FROM Reporting_interaction") == ["3|dirty|0"])
    #expect(try store.prepare() == false)
    // An interaction without a profile.
    #expect(try store.store(interaction("one", at: 1)).outcome == .stored)
  }
}

import Databases
import Glibc
import ReportRecords
import Testing

@testable import ReportStore

@Suite struct StoreTests {
  let folder = Folder()
  let store: ReportStore

  init() throws {
    store = ReportStore(try folder.open())
    try store.prepare()
  }

  @Test func aReportOfMoreEntriesThanAreRememberedIsNoOutage() throws {
    store.entryIDs = IDCache(limit: 2)
    let results = try store.store([
      interaction("many", at: 10, (0..<9).map { item("Package", ["name": "p\($0)"]) }), interaction("few", at: 10),
    ])
    guard case .failed = results[0].outcome else { return #expect(Bool(false), "\(results[0])") }
    #expect(results[1].outcome == .stored)
    guard
      case .failed = try store.store(interaction("many", at: 11, (0..<9).map { item("Package", ["name": "p\($0)"]) }))
        .outcome
    else { return #expect(Bool(false), "stored") }
  }

  @Test func aReportOfMorePermissionsThanAreRememberedIsNoOutage() throws {
    store.permissionIDs = IDCache(limit: 4)
    func paths(_ count: Int) -> [ReportedItem] {
      (0..<count).map { item("Path", ["name": "/p\($0)", "type": "file", "owner": "o\($0)", "current_owner": "o0"]) }
    }
    let results = try store.store([interaction("many", at: 10, paths(9)), interaction("few", at: 10, paths(1))])
    guard case .failed(let error) = results[0].outcome, error.kind == .value else {
      Issue.record("\(results[0])")
      return
    }
    #expect(results[1].outcome == .stored)
  }

  @Test func interactionHasItsColumns() throws {
    var run = interaction("one.example.com", at: 1_400_000_000)
    run.microseconds += 5
    run.server = "server.example.com"
    run.profile = "basic"
    run.groups = ["basic", "deb", "deb"]
    run.bundles = ["b"]
    run.state = "dirty"
    run.revision = "r1"
    run.good = 12
    run.total = 20
    run.isDryRun = true
    run.stamps = [Attribute("start", "1400000000.5"), Attribute("a", "1e3"), Attribute("b", "soon")]
    run.items = [
      item("Package", .bad, ["name": "p"]), item("Service", .extra, ["name": "s"]),
      item("Package", .modified, ["name": "q"]), item("Package", .modified, ["name": "q"]),
      item("Odd", .bad, ["name": "o"]),
    ]
    let result = try store.store(run)
    #expect(result.outcome == .stored)
    #expect(
      result.warnings == ["Unknown type Odd not handled by reporting yet", "The time b is no number: soon"])
    let rows = try store.read(
      """
      SELECT c.name, i.state, i.repo_rev_code, i.server, i.good_count, i.total_count, i.bad_count, i.modified_count,
      i.extra_count, i.dry_run, i.only_important, g.name, substr(i.timestamp, 20) FROM Reporting_interaction i
      JOIN Reporting_client c ON c.id = i.client_id AND c.current_interaction_id = i.id
      JOIN Reporting_group g ON g.id = i.profile_id
      """)
    #expect(rows == ["one.example.com|dirty|r1|server.example.com|12|20|2|2|1|1|0|basic|.000005"])
    #expect(try store.count("interaction_packages") == 2)
    #expect(try store.count("interaction_groups") == 2)
    #expect(try store.count("interaction_bundles") == 1)
    #expect(
      try store.read("SELECT metric, value FROM Reporting_performance ORDER BY id") == [
        "start|1400000000.5", "a|1000",
      ])
  }

  @Test func rowsThatAPythonServerMadeAreShared() throws {
    let items = [item("Package", ["name": "p", "version": "1"]), item("Service", ["name": "s", "status": "on"])]
    _ = try store.store(interaction("one", at: 1_400_000_000, items))
    for table in ["Reporting_packageentry", "Reporting_serviceentry"] {
      try store.database.change("UPDATE \"\(table)\" SET \"hash_key\" = 5")
    }
    let other = ReportStore(try folder.open())
    _ = try other.store(
      interaction("two", at: 1_400_000_001, items + [item("Package", ["name": "p", "version": "2"])]))
    #expect(try store.read("SELECT name, target_version FROM Reporting_packageentry ORDER BY id") == ["p|1", "p|2"])
    #expect(try store.count("serviceentry") == 1)
    #expect(try store.count("interaction_packages") == 3)
  }

  @Test func sameRecordTwiceChangesNothing() throws {
    let run = interaction("one", at: 1_400_000_000, [item("Package", ["name": "p"])])
    #expect(try store.store(run).outcome == .stored)
    #expect(try store.store(run).outcome == .alreadyThere)
    #expect(try store.store([run, run]).map(\.outcome) == [.alreadyThere, .alreadyThere])
    #expect(try store.count("interaction") == 1)
    var next = run
    next.microseconds += 1
    #expect(try store.store(next).outcome == .stored)
    #expect(try store.count("packageentry") == 1)
  }

  @Test func currentInteractionIsTheLatest() throws {
    for second in [300, 500, 400] { _ = try store.store(interaction("one", at: Int64(second))) }
    _ = try store.store([interaction("two", at: 20), interaction("two", at: 10)])
    let rows = try store.read(
      """
      SELECT c.name, i.timestamp = (SELECT MAX(timestamp) FROM Reporting_interaction WHERE client_id = c.id)
      FROM Reporting_client c JOIN Reporting_interaction i ON i.id = c.current_interaction_id ORDER BY 1
      """)
    #expect(rows == ["one|1", "two|1"])
  }

  @Test func equalEntriesOfClientsShareRows() throws {
    let items = [
      item("Path", ["name": "/f", "type": "file", "mode": "0644", "current_mode": "0600"]),
      item("Path", ["name": "/l", "type": "symlink", "to": "/a", "current_to": "/b"]),
      item("Path", ["name": "/l", "type": "symlink", "to": "/a", "current_to": "/c"]),
      item("Service", ["name": "s", "status": "on"]), item("Package", ["name": "x", "failure": "no"]),
    ]
    _ = try store.store([interaction("one", at: 1, items), interaction("two", at: 1, items)])
    // A store without anything in its cache finds the same rows.
    let other = ReportStore(try folder.open())
    _ = try other.store(interaction("three", at: 1, items))
    #expect(try store.count("pathentry") == 3)
    #expect(try store.count("linkentry") == 2)
    #expect(try store.count("serviceentry") == 1)
    #expect(try store.count("failureentry") == 1)
    #expect(try store.count("interaction_paths") == 9)
    #expect(
      try store.read(
        """
        SELECT p.name, l.target_path, l.current_path FROM Reporting_linkentry l
        JOIN Reporting_pathentry p ON p.id = l.pathentry_ptr_id ORDER BY 3
        """) == ["/l|/a|/b", "/l|/a|/c"])
  }

  @Test func rowsThatAnotherProcessDeletedAreMadeAgain() throws {
    let items = [item("Package", ["name": "p"]), item("Path", ["name": "/f", "type": "file"])]
    _ = try store.store(interaction("one", at: 1, items))
    let other = try folder.open()
    try other.execute([
      "DELETE FROM Reporting_interaction_packages", "DELETE FROM Reporting_packageentry",
      "DELETE FROM Reporting_client", "DELETE FROM Reporting_fileperms", "DELETE FROM Reporting_pathentry",
    ])
    _ = try store.store(interaction("one", at: 2, items))
    #expect(try store.count("client") == 1)
    #expect(
      try store.read(
        """
        SELECT p.name FROM Reporting_interaction_packages l JOIN Reporting_packageentry p ON p.id = l.packageentry_id
        """) == ["p"])
    #expect(
      try store.read(
        """
        SELECT f.owner FROM Reporting_pathentry e JOIN Reporting_fileperms f ON f.id = e.target_perms_id
        """) == ["root"])
  }

  @Test func lockedDatabaseThrowsAndStoresLater() throws {
    let folder = Folder()
    var settings = DatabaseSettings(engine: .sqlite, name: "\(folder.path)/r.sqlite")
    settings.options["timeout"] = "0"
    let store = ReportStore(try Databases.open(settings, createsFile: true))
    try store.prepare()
    let other = try folder.open()
    try other.begin()
    let error = #expect(throws: DatabaseError.self) { try store.store(interaction("one", at: 1)) }
    #expect(error?.isTemporary == true)
    other.rollBack()
    #expect(try store.store(interaction("one", at: 1)).outcome == .stored)
  }

  @Test func badInteractionDoesNotLoseItsNeighbours() throws {
    try store.database.execute([
      """
      CREATE TRIGGER refuse BEFORE INSERT ON Reporting_interaction WHEN NEW.repo_rev_code = 'bad'
      BEGIN SELECT RAISE(ABORT, 'refused'); END
      """
    ])
    var bad = interaction("one", at: 2, [item("Package", ["name": "bad"])])
    bad.revision = "bad"
    let results = try store.store([interaction("one", at: 1), bad, interaction("two", at: 1)])
    #expect(results[0].outcome == .stored)
    #expect(results[2].outcome == .stored)
    guard case .failed = results[1].outcome else {
      Issue.record("\(results[1].outcome)")
      return
    }
    #expect(try store.count("interaction") == 2)
    #expect(try store.count("packageentry") == 0)
  }

  @Test func missingTablesAreNoInteractionsFault() throws {
    let folder = Folder()
    let store = ReportStore(try folder.open())
    let error = #expect(throws: DatabaseError.self) { try store.store(interaction("one", at: 1)) }
    #expect(error?.kind == .missing)
  }
}

import Databases
import ReportRecords
import ReportStore
import Testing

@Suite struct QueriesTests {
  @Test(arguments: OldDatabase.Version.allCases)
  func clientsHaveTheirCurrentRun(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    let clients = try database.store().clients()
    #expect(clients.map(\.client.name) == ["one.example.com", "two.example.com", "three.example.com"])
    #expect(clients.map(\.run.timestamp.text) == ["2014-05-20 06:30:00", "2014-05-20 06:30:00", "2014-05-13 18:00:00"])
    #expect(clients.map(\.run.modified) == [1, 0, 0])
    #expect(clients.map { $0.client.expiration == nil } == [true, true, false])
    #expect(clients.allSatisfy { $0.run.id == $0.client.currentRun && $0.run.next == nil && !$0.run.isClean })
  }

  @Test(arguments: OldDatabase.Version.allCases)
  func earlierTimesShowEarlierRuns(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    var selection = RunSelection()
    selection.time = ReportTime("2014-05-19 12:00")
    let clients = try database.store().clients(selection)
    #expect(clients.map(\.client.name) == ["one.example.com", "two.example.com", "three.example.com"])
    #expect(Set(clients.map(\.run.timestamp.text)) == ["2014-05-13 18:00:00"])
    let one = try #require(clients.first)
    #expect(one.run.next == ReportTime("2014-05-20 06:30"))
    #expect(try one.run.isStale(at: #require(selection.time)))
    #expect(!one.run.isStale(at: one.run.timestamp.adding(hours: 25)))
    var late = one.run
    late.next = one.run.timestamp.adding(hours: 24)
    #expect(try !late.isStale(at: #require(selection.time)))
    selection.time = ReportTime("2014-05-13 17:59:59.999999")
    #expect(try database.store().clients(selection).isEmpty)
  }

  @Test func dryRunsAreLeftOut() throws {
    let database = try OldDatabase(.bcfg14)
    let store = try database.store()
    let one = try #require(try store.client("one.example.com")?.run)
    try store.database.change(
      "UPDATE \"Reporting_interaction\" SET \"dry_run\" = ? WHERE \"id\" = ?", [.bool(true), .integer(one.id)])
    var selection = RunSelection()
    selection.skipsDryRuns = true
    let earlier = try #require(try store.client("one.example.com", selection)?.run)
    #expect(earlier.timestamp.text == "2014-05-13 18:00:00")
    #expect(earlier.next == one.timestamp)
    selection.skipsDryRuns = false
    selection.skipsOnlyImportant = true
    #expect(try store.client("one.example.com", selection)?.run?.id == one.id)
    try store.database.change("UPDATE \"Reporting_interaction\" SET \"only_important\" = ?", [.bool(true)])
    let found = try #require(try store.client("one.example.com", selection))
    #expect(found.run == nil)
    #expect(try store.clients(selection).isEmpty)
  }

  @Test func databasesOf13HaveNoDryRuns() throws {
    let database = try OldDatabase(.bcfg13)
    var selection = RunSelection()
    selection.skipsDryRuns = true
    selection.skipsOnlyImportant = true
    #expect(try database.store().clients(selection).count == 3)
  }

  @Test(arguments: OldDatabase.Version.allCases)
  func entriesOfARunAreInTheOrderOfKindsAndNames(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    let store = try database.store()
    let run = try #require(try store.client("two.example.com")?.run)
    let entries = try store.entries(of: run, in: [.bad, .extra, .modified])
    #expect(entries.map { "\($0.kind.rawValue):\($0.name)" } == ["Package:p1", "Path:/o/f2", "Service:s2"])
    #expect(entries.allSatisfy { $0.state == .bad })
    #expect(try store.entries(of: run, in: [.extra, .modified]).isEmpty)
    #expect(try store.entries(of: run, in: []).isEmpty)
    #expect(try store.failures(of: run).isEmpty)
  }

  @Test(arguments: OldDatabase.Version.allCases)
  func clientsAreFoundByAnEntry(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    let store = try database.store()
    let bad = try store.clients(with: "p1", of: .package, in: .bad)
    #expect(bad.map(\.run.client.name) == ["two.example.com"])
    #expect(try store.clients(with: "p1", of: .package, in: .extra).isEmpty)
    #expect(try store.clients(with: "p2", of: .package).map(\.state) == [.modified])
    #expect(try store.clients(with: "p1", of: .path).isEmpty)
    var selection = RunSelection()
    selection.time = ReportTime("2014-05-14")
    let earlier = try store.clients(with: "p1", of: .package, in: nil, selection)
    #expect(earlier.map(\.run.client.name) == ["one.example.com"])
  }

  @Test func everyKindHasItsTables() throws {
    let database = try OldDatabase(.bcfg14)
    let store = try database.store()
    for kind in EntryKind.withState {
      #expect(try store.clients(with: "no such name", of: kind).isEmpty)
    }
  }

  @Test func unknownClientsAreNotFound() throws {
    let database = try OldDatabase(.bcfg14)
    let store = try database.store()
    #expect(try store.client("nobody") == nil)
    #expect(try store.client("one.example.com' OR '1' = '1") == nil)
  }

  @Test func clientsAreExpiredAndBack() throws {
    let database = try OldDatabase(.bcfg14)
    let store = try database.store()
    let client = try #require(try store.client("one.example.com")?.client)
    try store.setExpiration(ReportTime("2014-06-01 10:11:12.000345"), of: client)
    #expect(try store.client("one.example.com")?.client.expiration == "2014-06-01 10:11:12.000345")
    try store.setExpiration(nil, of: client)
    #expect(try store.client("one.example.com")?.client.expiration == nil)
  }
}

@Suite struct ReportTimeTests {
  @Test(arguments: [
    ("2014-05-20 06:30:00", "2014-05-20 06:30:00"), ("2014-05-20T06:30:01.5", "2014-05-20 06:30:01.500000"),
    ("2014-05-20 06:30:00.000001+02", "2014-05-20 06:30:00.000001"),
    ("2014-05-20 06:30:00-03:30", "2014-05-20 06:30:00"),
    ("2014-05-20", "2014-05-20 00:00:00"), ("2014-05-20 6:30", "2014-05-20 06:30:00"),
    ("1969-12-31 23:59:59.25", "1969-12-31 23:59:59.250000"),
    ("2014-05-20 06:30:00.123456789", "2014-05-20 06:30:00.123456"),
  ])
  func timesAreReadAndWritten(_ text: String, _ expected: String) throws {
    #expect(try #require(ReportTime(text)).text == expected)
  }

  @Test(arguments: [
    "", "2014", "2014-05", "2014-05-20 06", "2014-13-01", "2014-00-01", "2014-05-32", "2014-05-20 24:00",
    "2014-05-20 10:60",
    "x2014-05-20", "2014-05-20 06:30:00 UTC", "2014-05-20 06:30:00.", "2014-05-20x", "2014-02-30", "20140-05-20",
    "2014-05-20 06:30:",
  ])
  func otherTextsAreNoTimes(_ text: String) { #expect(ReportTime(text) == nil) }

  @Test func hoursAreAdded() throws {
    let time = try #require(ReportTime("2014-02-28 23:30:00.000001"))
    #expect(time.adding(hours: 25).text == "2014-03-02 00:30:00.000001")
    #expect(time < time.adding(hours: 1))
    #expect(time.adding(days: 2).day == "2014-03-02")
    #expect(time.midnight.text == "2014-02-28 00:00:00")
    #expect(time.adding(hours: 1).seconds(since: time) == 3600)
    #expect(time.isoText == "2014-02-28T23:30:00.000001")
  }
}

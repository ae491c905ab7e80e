import Databases
import ReportRecords
import Testing

@testable import ReportStore

@Suite struct RecentRunsTests {
  @Test(arguments: OldDatabase.Version.allCases)
  func expiredClientsAreLeftOut(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    let store = try database.store()
    #expect(try store.runs(RecentRuns(), limit: 10).map(\.client.name) == ["one.example.com", "two.example.com"])
    #expect(try store.runs(RecentRuns(), by: .modified, descending: true, limit: 1).map(\.run.modified) == [1])
    #expect(try store.health(RecentRuns()).count == 2)
    #expect(try store.count(RecentRuns()) == 2)
    // At that time it was not expired yet.
    let before = RecentRuns(time: ReportTime("2014-05-14"))
    #expect(try store.count(before) <= 3)
  }

  @Test(arguments: OldDatabase.Version.allCases) func runsHaveHistories(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    let store = try database.store()
    let client = try #require(try store.client(named: "one.example.com"))
    let runs = try store.history(client, limit: 10)
    #expect(runs.map(\.run.timestamp.text) == ["2014-05-20 06:30:00", "2014-05-13 18:00:00"])
    let first = try #require(runs.last?.run)
    #expect(try store.run(first.id, of: client) == first)
    #expect(try store.nextTime(after: first, of: client) == runs.first?.run.timestamp)
    #expect(try store.history(client, until: first.timestamp, limit: 10).map(\.run) == [first])
    #expect(try store.historyCount(nil, RunFilter()) == 5)
    // Bcfg2 1.3 recorded no flags.
    #expect(try store.details(of: first).isDryRun == false)
    let other = try #require(try store.client(named: "two.example.com"))
    #expect(try store.run(first.id, of: other) == nil)
  }

  @Test(arguments: OldDatabase.Version.allCases) func entriesOfRunsAreListed(_ version: OldDatabase.Version) throws {
    let database = try OldDatabase(version)
    let store = try database.store()
    let run = try #require(try store.client("two.example.com")?.run)
    let lines = try store.entryLines(of: run, limit: 10)
    #expect(lines.filter { $0.state == .bad }.map(\.name) == ["p1", "/o/f2", "s2"])
    for line in lines { #expect(try store.entry(line.kind, line.id)?.line.problems == line.problems) }
    #expect(try store.entryLines(of: run, limit: 1).count == 1)
    #expect(try store.entryLines(RecentRuns(), in: .bad, byCount: true, limit: 10).contains { $0.kind == .package })
    #expect(try store.entryLines(like: "/O/F", limit: 10).allSatisfy { $0.kind == .path })
    for kind in EntryKind.allCases { #expect(try store.entry(kind, -1) == nil) }
  }

  @Test func latestRunsAreStepsInAnIndex() throws {
    let database = try OldDatabase(.bcfg14)
    let store = try database.store()
    try store.prepare()
    for time in [nil, ReportTime.now()] {
      let (sql, values) = RecentRuns(time: time).source(for: .sqlite)
      let plan = try store.database.rows("EXPLAIN QUERY PLAN SELECT i.\"id\" \(sql)", values).compactMap {
        $0.last?.asText
      }
      #expect(!plan.contains { $0.contains("SCAN") && !$0.contains("SCAN c") }, "\(plan)")
    }
  }
}

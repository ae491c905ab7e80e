import Databases
import ReportRecords
import Testing

@testable import ReportStore

@Suite struct PurgeTests {
  let folder = Folder()
  let store: ReportStore

  init() throws {
    store = ReportStore(try folder.open())
    try store.prepare()
    for (client, days) in [("one", [1, 2, 3]), ("two", [1]), ("three", [1, 9])] {
      for day in days {
        var run = interaction(
          client, at: Int64(day) * 86_400,
          [
            item("Package", ["name": "p\(day)"]), item("SEPort", ["name": "\(day)"]),
            item("Path", ["name": "/l\(day)", "type": "symlink", "to": "\(day)", "mode": "\(day)"]),
          ])
        run.state = day == 3 ? "dirty" : "clean"
        run.profile = "profile \(client)"
        run.groups = ["g\(day)"]
        run.bundles = ["b\(day)"]
        run.stamps = [Attribute("start", "1")]
        _ = try store.store(run)
      }
    }
    try store.database.execute(["UPDATE Reporting_client SET expiration = '2020-01-01 00:00:00' WHERE name = 'three'"])
  }

  private func clients() throws -> [String] {
    try store.read(
      """
      SELECT c.name, i.state FROM Reporting_client c LEFT JOIN Reporting_interaction i
      ON i.id = c.current_interaction_id ORDER BY c.name
      """)
  }

  private func before(day: Int64) -> String { ReportTime(since1970: day * 86_400 * 1_000_000).text }

  @Test func aClockThatJumpedAheadMakesNoReportOld() throws {
    func end(_ day: Int64) throws -> String? {
      try store.retentionEnd(days: 4, now: ReportTime(since1970: day * 86_400 * 1_000_000))
    }
    // There are reports of days 1, 2, 3 and 9.
    #expect(try end(7) == nil)
    for day in [10, 17, 23] as [Int64] { #expect(try end(day) == before(day: day - 4)) }
    for day in [24, 5000] as [Int64] { #expect(try end(day) == before(day: 5)) }
    _ = try store.store(interaction("one", at: 5000 * 86_400))
    #expect(try end(5001) == before(day: 5))
  }

  @Test func daysDeleteClientsWithoutInteractions() throws {
    try store.purge(PurgeSelection(before: before(day: 3)))
    #expect(try clients() == ["one|dirty", "three|clean"])
    #expect(try store.count("interaction") == 2)
    #expect(try store.count("performance") == 2)
    #expect(try store.count("packageentry") == 2)
    #expect(try store.count("pathentry") == 2)
    #expect(try store.count("linkentry") == 2)
    #expect(try store.count("interaction_groups") == 2)
    // Bcfg2 leaves these.
    #expect(try store.count("seportentry") == 4)
    // A group that is only a profile stays; Bcfg2 deletes it, and interactions with it.
    #expect(
      try store.read("SELECT name FROM Reporting_group ORDER BY name") == ["g3", "g9", "profile one", "profile three"])
    let counts = try store.pruneOrphans(OrphanKind.all)
    #expect(counts.filter { $0.count > 0 }.map { "\($0.kind.model) \($0.count)" } == ["SEPortEntry 2", "FilePerms 2"])
    #expect(try store.pruneOrphans(OrphanKind.all).allSatisfy { $0.count == 0 })
  }

  @Test func stateLeavesTheLatestOfTheOthersCurrent() throws {
    try store.purge(PurgeSelection(state: "dirty"))
    #expect(try clients() == ["one|clean", "three|clean", "two|clean"])
    #expect(
      try store.read(
        """
        SELECT COUNT(*) FROM Reporting_client c JOIN Reporting_interaction i ON i.id = c.current_interaction_id
        WHERE i.timestamp < (SELECT MAX(timestamp) FROM Reporting_interaction WHERE client_id = c.id)
        """) == ["0"])
  }

  @Test func clientGoesWithAllOfIts() throws {
    try store.purge(PurgeSelection(client: "one"))
    #expect(try clients() == ["three|clean", "two|clean"])
    #expect(throws: PurgeError.unknownClient("one")) { try store.purge(PurgeSelection(client: "one")) }
    #expect(throws: PurgeError.noCondition) { try store.purge(PurgeSelection()) }
    // The id that was remembered is not used again.
    #expect(try store.store(interaction("one", at: 5)).outcome == .stored)
    #expect(try clients() == ["one|unknown", "three|clean", "two|clean"])
  }

  @Test func expiredClientsGo() throws {
    try store.purgeExpired(before: "2019-01-01 00:00:00")
    #expect(try clients().count == 3)
    try store.purgeExpired()
    #expect(try clients() == ["one|dirty", "two|clean"])
    // Bcfg2 leaves the entries here.
    #expect(try store.count("packageentry") == 4)
  }

  @Test func retentionKeepsClientsAndTheirCurrentInteraction() throws {
    #expect(try store.keepSince(before(day: 3), limit: 2) == 2)
    #expect(try store.keepSince(before(day: 3), limit: 2) == 1)
    #expect(try store.keepSince(before(day: 3), limit: 2) == 0)
    #expect(try clients() == ["one|dirty", "three|clean", "two|clean"])
    #expect(try store.count("interaction") == 3)
  }

  @Test func countsAreThoseOfBcfg2() throws {
    let counts = try store.counts().map { "\($0.model) \($0.count)" }
    #expect(counts.count == 11)
    #expect(counts.first == "Group 7" && counts.last == "Performance 6" && counts.contains("Interaction 6"))
  }
}

import Databases
import Glibc
import ReportRecords
import ReportStore
import Support
import Testing

@testable import ReportWeb

/// A reporting database, filled as the collector fills it.
final class ReportFixture {
  let store: ReportStore
  /// The time of the first run: an hour ago.
  let start: Int64

  init(_ engine: DatabaseEngine = .sqlite) throws {
    store = ReportStore(try TestDatabase(engine).open())
    try store.prepare()
    start = (Int64(time(nil)) - 3600) * 1_000_000
  }

  /// Stores a run of a client, so many hours before the first.
  func run(
    _ client: String, hoursAgo: Int = 0, groups: [String] = ["web"], server: String = "server1",
    items: [ReportedItem] = []
  ) throws {
    var interaction = Interaction(hostname: client, microseconds: start - Int64(hoursAgo) * 3_600_000_000)
    interaction.server = server
    interaction.profile = groups.first ?? ""
    interaction.groups = groups
    interaction.bundles = ["ssh"]
    interaction.state = items.isEmpty ? "clean" : "dirty"
    interaction.revision = "r1"
    interaction.total = 10
    interaction.good = 10 - items.count
    interaction.items = items
    interaction.stamps = [
      Attribute("start", "100.0"), Attribute("probe_upload", "100.5"), Attribute("finished", "103.25"),
    ]
    #expect(try store.store(interaction).outcome == .stored)
  }

  func page(_ path: String, query: [String: String] = [:], token: String? = nil) throws -> Page {
    let route = try #require(Route(path: path))
    return try PageMaker(
      store: store, present: .now(), links: Links(prefix: ""),
      request: PageRequest(route: route, query: query, formToken: token)
    ).page()
  }

  func json(_ path: String, query: [String: String] = [:]) throws -> String {
    PageJSON.write(try page(path, query: query))
  }

  static func bad(_ tag: String, _ name: String, _ more: [(String, String)] = []) -> ReportedItem {
    ReportedItem(state: .bad, tag: tag, attributes: [Attribute("name", name)] + more.map { Attribute($0.0, $0.1) })
  }
}

@Suite struct PageTests {
  private let badService = ReportFixture.bad("Service", "ssh<d>", [("status", "on"), ("current_status", "off")])
  private let badPackage = ReportFixture.bad("Package", "vim", [("version", "2"), ("current_version", "1")])

  private func fleet(_ engine: DatabaseEngine) throws -> ReportFixture {
    let fixture = try ReportFixture(engine)
    try fixture.run("web1", hoursAgo: 5, items: [badService, badPackage])
    try fixture.run("web1")
    try fixture.run("web2", groups: ["web", "dmz"], server: "server2", items: [badService])
    try fixture.run("db/1%", groups: ["db"], items: [badService, badPackage])
    try fixture.run("old", hoursAgo: 100)
    return fixture
  }

  @Test(arguments: TestDatabase.engines) func theFrontPageSaysWhetherAllIsRight(engine: DatabaseEngine) throws {
    let fixture = try ReportFixture(engine)
    #expect(try fixture.json("/").contains("No client has reported yet."))
    try fixture.run("web1")
    #expect(try fixture.json("/").contains("The only client is all right."))
    try fixture.run("web2")
    #expect(try fixture.json("/").contains("All 2 clients are all right."))
    let json = try fleet(engine).json("/")
    #expect(json.contains("3 of 4 clients need attention: 2 with bad entries, 1 not run for 24 hours."))
    #expect(json.contains(#""clients":4,"clean":2,"bad":2,"modified":0,"extra":0,"stale":1"#))
    #expect(json.contains(#"{"type":"Service","name":"ssh\u003cd\u003e","clients":2}"#))
    #expect(json.contains(#""stale":[{"client":"old""#))
  }

  @Test(arguments: TestDatabase.engines) func listsShowTheLatestRunOfEachClient(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    let page = try fixture.page("/detailed", query: ["sort": "-bad"])
    let csv = try #require(PageCSV.write(page, table: nil)).split(separator: "\r\n").map {
      $0.split(separator: ",").prefix(4).joined(separator: ",")
    }
    #expect(csv == ["client,state,good,bad", "db/1%,dirty,8,2", "web2,dirty,9,1", "old,clean,10,0", "web1,clean,10,0"])
    #expect(
      page.blocks.contains { if case .table(let table) = $0 { table.columns[3].order == .descending } else { false } })
    #expect(try fixture.json("/grid").contains(#"{"client":"old","state":"stale","link":"/client/old/"#))
  }

  @Test(arguments: TestDatabase.engines) func filtersLimitLists(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    func clients(_ path: String) throws -> [String] {
      let text = try #require(PageCSV.write(try fixture.page(path), table: "clients"))
      return text.split(separator: "\r\n").dropFirst().map { String($0.split(separator: ",")[0]) }
    }
    #expect(try clients("/grid/state/dirty") == ["db/1%", "web2"])
    #expect(try clients("/grid/group/dmz") == ["web2"])
    #expect(try clients("/grid/group/web/clean") == ["old", "web1"])
    #expect(try clients("/detailed/server/server1/group/web") == ["old", "web1"])
    #expect(throws: PageError.self) { try clients("/grid/group/nothing") }
  }

  @Test(arguments: TestDatabase.engines) func timeTravelShowsWhatWas(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    // Clients were made now, so only times after now see them; the run five hours ago is seen by its expiration.
    let before = ReportTime(since1970: fixture.start - 4 * 3_600_000_000)
    try fixture.store.database.change(
      "UPDATE \"Reporting_client\" SET \"creation\" = ?", [.text("2020-01-01 00:00:00")])
    let page = try fixture.page("/detailed\(before.path)")
    #expect(PageCSV.write(page, table: nil)?.contains("web1,dirty,8,2") == true)
    #expect(PageCSV.write(page, table: nil)?.contains("web2") == false)
    #expect(page.time == before.text.prefix(17) + "00")
  }

  @Test(arguments: TestDatabase.engines) func aClientsPageShowsItsRun(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    let json = try fixture.json("/client/db%2F1%25")
    for fact in [
      #""state":"dirty""#, #""server":"server1""#, #""profile":"db""#, #""revision":"r1""#, #""total":10"#,
      #""good":8"#, #""bad":2"#,
      #""deviation":"20.000%""#, #""groups":["db"]"#, #""bundles":["ssh"]"#,
      #"{"type":"Package","name":"vim","problem":"Wrong version""#,
      #"{"type":"Service","name":"ssh\u003cd\u003e","problem":"Incorrect status""#,
      #"{"metric":"Total","value":3.2500}"#, #"{"metric":"Probe","value":0.5000}"#,
    ] {
      #expect(json.contains(fact), "\(fact) in \(json)")
    }
    #expect(try fixture.json("/client/web1").contains("All entries are as they should be."))
    #expect(throws: PageError.self) { try fixture.page("/client/nobody") }
    #expect(throws: PageError.self) { try fixture.page("/client/web1/9999") }
  }

  @Test(arguments: TestDatabase.engines) func earlierRunsSayThatTheyAre(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    let id = try #require(
      try fixture.store.database.first("SELECT MIN(\"id\") FROM \"Reporting_interaction\"")?[0].asInt)
    let json = try fixture.json("/client/web1/\(id)")
    #expect(json.contains("This is an earlier run"))
    #expect(json.contains(#""name":"vim""#))
    // A run of another client is none of this one.
    #expect(throws: PageError.self) { try fixture.page("/client/web2/\(id)") }
  }

  @Test(arguments: TestDatabase.engines) func historiesHavePages(engine: DatabaseEngine) throws {
    let fixture = try ReportFixture(engine)
    for hour in 0..<30 { try fixture.run("web1", hoursAgo: hour) }
    func pages(_ path: String) throws -> (rows: Int, page: Int, pages: Int) {
      for case .table(let table) in try fixture.page(path).blocks {
        return (table.rows.count, try #require(table.pager).page, try #require(table.pager).pages)
      }
      return (0, 0, 0)
    }
    #expect(try pages("/history") == (25, 1, 2))
    #expect(try pages("/history/web1/2") == (5, 2, 2))
    #expect(try pages("/history/web1/2%7C10") == (10, 2, 3))
    #expect(try pages("/history/web1%7Call") == (30, 1, 1))
    #expect(throws: PageError.self) { try pages("/history/web1/3") }
  }

  @Test(arguments: TestDatabase.engines) func entriesAreShownWithTheirClients(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    let list = try fixture.json("/elements/bad")
    #expect(
      list.contains(#""Service":[{"name":"ssh\u003cd\u003e","clients":2,"state":"bad","problem":"Incorrect status""#))
    #expect(list.contains(#""Package":[{"name":"vim","clients":1"#))
    #expect(try fixture.json("/elements/extra").contains("No client has extra entries."))
    #expect(try fixture.json("/common/2").contains(#""clients":2"#))
    #expect(!(try fixture.json("/common/2").contains("vim")))
    #expect(try fixture.json("/common/3").contains("No entry is wrong on 3 clients or more."))
    #expect(!(try fixture.json("/common/group/dmz/1").contains("vim")))
    let id = try #require(try fixture.store.database.first("SELECT \"id\" FROM \"Reporting_serviceentry\"")?[0].asInt)
    let element = try fixture.json("/element/ServiceEntry/\(id)")
    #expect(element.contains(#"{"what":"Status","expected":"on","found":"off","verdict":"differs"}"#))
    let entry = try fixture.json("/entry/ServiceEntry/\(id)")
    #expect(
      entry.contains(#"{"client":"db/1%""#) && entry.contains(#"{"client":"web2""#)
        && !entry.contains(#"{"client":"web1""#))
    #expect(throws: PageError.self) { try fixture.page("/element/ServiceEntry/99999") }
    #expect(throws: PageError.self) { try fixture.page("/element/sqlite_master/1") }
    #expect(throws: PageError.self) { try fixture.page("/elements/x") }
  }

  @Test(arguments: TestDatabase.engines) func summaryAndTimingCountTheLatestRuns(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    let summary = try fixture.json("/summary")
    #expect(summary.contains(#""clean":[{"client":"old""#))
    #expect(summary.contains(#""stale":[{"client":"old""#))
    #expect(summary.contains(#""nodes":4"#))
    let timing = try #require(PageCSV.write(try fixture.page("/timing"), table: nil))
    #expect(timing.contains("web2,,0.5000,,,,3.2500"))
  }

  @Test(arguments: TestDatabase.engines) func expiredClientsAreLeftOut(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    try fixture.store.database.change(
      "UPDATE \"Reporting_client\" SET \"expiration\" = ? WHERE \"name\" = ?", [.text(ReportTime.now().text), "web2"])
    #expect(!(try fixture.json("/grid").contains("web2")))
    #expect(try fixture.json("/client/web2").contains("This client expired"))
    let manage = PageHTML.write(try fixture.page("/manage", token: "t0ken"), links: Links(prefix: ""))
    #expect(manage.contains("aria-label=\"Activate web2\""))
    #expect(manage.contains("aria-label=\"Expire web1\""))
    #expect(manage.contains("value=\"t0ken\""))
    #expect(!PageHTML.write(try fixture.page("/manage"), links: Links(prefix: "")).contains("client_action"))
  }

  @Test(arguments: TestDatabase.engines) func searchFindsPartsOfNames(engine: DatabaseEngine) throws {
    let fixture = try fleet(engine)
    let found = try fixture.json("/search", query: ["q": "WEB"])
    #expect(
      found.contains(#""client":"web1""#) && found.contains(#""client":"web2""#) && !found.contains(#""client":"old""#))
    // Signs of LIKE are ordinary ones.
    #expect(try fixture.json("/search", query: ["q": "1%"]).contains("db/1%"))
    #expect(!(try fixture.json("/search", query: ["q": "w_b"]).contains("web1")))
    #expect(try fixture.json("/search", query: ["q": "ssh"]).contains(#""versions":1"#))
    #expect(try fixture.json("/search").contains(#""title":"Search""#))
  }

  @Test func numbersOfAnySizeAreShown() throws {
    let fixture = try ReportFixture()
    for (client, good) in [("low", Int.min), ("high", Int.max)] {
      var run = Interaction(hostname: client, microseconds: fixture.start)
      run.good = good
      run.total = 1
      #expect(try fixture.store.store(run).outcome == .stored)
      #expect(try fixture.json("/client/\(client)").contains("\"good\":\(good)"))
    }
  }
}

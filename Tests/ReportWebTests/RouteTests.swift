import ReportStore
import Testing

@testable import ReportWeb

@Suite struct RouteTests {
  private func route(_ path: String) -> Route? { Route(path: path) }

  @Test(arguments: [
    ("/", Route.Target.front), ("/grid", .grid), ("/grid/", .grid), ("/detailed", .detailed), ("/manage/", .manage),
    ("/client/web1.example.com", .client(name: "web1.example.com", interaction: nil)),
    ("/client/web1/17", .client(name: "web1", interaction: 17)),
    ("/client/a%2Fb%25", .client(name: "a/b%", interaction: nil)), ("/history", .history(client: nil)),
    ("/history/web1", .history(client: "web1")), ("/history/17/1", .history(client: "17")),
    ("/elements/Bad", .elements(state: "bad")),
    ("/element/PathEntry/3", .element(type: "PathEntry", id: 3, interaction: nil)),
    ("/element/PathEntry/3/9", .element(type: "PathEntry", id: 3, interaction: 9)),
    ("/entry/PackageEntry/3", .entry(type: "PackageEntry", id: 3)), ("/common", .common(threshold: nil)),
    ("/common/5", .common(threshold: 5)), ("/common/group/web", .common(threshold: nil)),
    ("/common/group/7/5", .common(threshold: 5)), ("/summary", .summary), ("/timing", .timing),
  ])
  func pathsOfBcfg2LeadToTheirPages(path: String, target: Route.Target) throws {
    #expect(try #require(route(path)).target == target)
  }

  @Test(arguments: [
    "/nothing", "/client", "/client/a/b", "/client/%zz", "/client/%00", "/client/%ff", "/element/PathEntry",
    "/element/PathEntry/x",
    "/grid/2026-13-01", "/grid/2026-02-30", "/grid/2026-01-01/25-00", "/grid/2026-01-01/1-1", "/history/web1/x",
    "/common/x",
    "/element/PathEntry/99999999999999999999", "/summary/state/dirty",
  ])
  func otherPathsLeadNowhere(path: String) { #expect(route(path) == nil) }

  @Test(
    arguments: [
      ("/grid/state/dirty", nil, nil, "dirty"), ("/grid/group/web", nil, "web", nil),
      ("/grid/group/web/clean", nil, "web", "clean"),
      ("/grid/server/s1/dirty", "s1", nil, "dirty"), ("/grid/server/s1/group/web", "s1", "web", nil),
      ("/detailed/server/s1/group/web/dirty", "s1", "web", "dirty"), ("/elements/bad/group/a%2Fb", nil, "a/b", nil),
      ("/history/web1/server/s1", "s1", nil, nil), ("/history/state/dirty", nil, nil, "dirty"),
    ] as [(String, String?, String?, String?)])
  func filtersCombine(path: String, server: String?, group: String?, state: String?) throws {
    let filter = try #require(route(path)).filter
    #expect(filter.server == server)
    #expect(filter.group == group)
    #expect(filter.state == state)
  }

  @Test func filtersOfALinkAreThoseThatItWasMadeOf() throws {
    var filter = RunFilter()
    filter.server = "s/1"
    filter.group = "state"
    filter.state = "dirty"
    #expect(try #require(route("/grid\(filter.path)")).filter == filter)
  }

  @Test func timesTravelWithFilters() throws {
    let made = try #require(route("/grid/group/web/2026-11-29/14-30"))
    #expect(made.time?.text == "2026-11-29 14:30:00")
    #expect(made.filter.group == "web")
    #expect(try #require(route("/summary/2026-11-29")).time?.text == "2026-11-29 00:00:00")
    #expect(try #require(route("/common/5/2026-11-29/00-00")).target == .common(threshold: 5))
    #expect(made.time?.path == "/2026-11-29/14-30")
  }

  @Test(
    arguments: [
      ("/history/3", nil, 3, nil, false), ("/history/web1/3", "web1", 3, nil, false),
      ("/history/web1/2%7C50", "web1", 2, 50, false), ("/history/web1/%7Call", "web1", nil, nil, true),
      ("/history/web1%7Call", "web1", nil, nil, true), ("/history/%7Call", nil, nil, nil, true),
      ("/history/web1/group/g/2", "web1", 2, nil, false),
    ] as [(String, String?, Int?, Int?, Bool)])
  func historiesHavePages(path: String, client: String?, page: Int?, limit: Int?, isAll: Bool) throws {
    let made = try #require(route(path))
    #expect(made.target == .history(client: client))
    #expect(made.page == page)
    #expect(made.limit == limit)
    #expect(made.isAll == isAll)
  }

  @Test(arguments: ["web1", "17", "a/b", "50%", "x.json", "X.CSV", "state", "group", "é ü", "a?b#c", "3|4", "+"])
  func linksLeadToTheNamesThatTheyWereMadeOf(name: String) throws {
    let links = Links(prefix: "")
    #expect(try #require(route(links.client(name))).target == .client(name: name, interaction: nil))
    #expect(try #require(route(links.client(name, 5))).target == .client(name: name, interaction: 5))
    let history = try #require(route(links.history(name)))
    #expect(history.target == .history(client: name))
    #expect(history.format == .html)
    #expect(try #require(route(links.client(name) + ".json")).format == .json)
  }

  @Test func theEndOfAPathChoosesTheFormat() throws {
    #expect(try #require(route("/grid/group/web.json")).format == .json)
    #expect(try #require(route("/grid/group/web.json")).filter.group == "web")
    #expect(try #require(route("/grid/group/web%2Ejson")).filter.group == "web.json")
    #expect(try #require(route("/index.csv")).format == .csv)
  }

  @Test func fieldsOfFormsAreDecodedAndBounded() {
    #expect(URLCoding.fields("a=1&b=x+y%2B&a=2") == ["a": "1", "b": "x y+"])
    #expect(URLCoding.fields("a=%") == nil)
    #expect(URLCoding.fields(Array(repeating: "a=1", count: 32).joined(separator: "&")) != nil)
    #expect(URLCoding.fields(Array(repeating: "a=1", count: 33).joined(separator: "&")) == nil)
  }
}

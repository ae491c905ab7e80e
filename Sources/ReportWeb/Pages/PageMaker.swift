import ReportStore

/// What is asked for, and who asks.
struct PageRequest {
  var route: Route
  var query: [String: String] = [:]
  /// Counts of days that were asked for.
  var days: DayCounts?
  /// For forms that change something; nil where the caller may not.
  var formToken: String?
}

/// Why there is no page.
enum PageError: Error {
  case notFound(String)
  /// Another address has it.
  case elsewhere(String)
}

/// Makes pages of what the database says.
struct PageMaker {
  let store: ReportStore
  /// When the page is made.
  let present: ReportTime
  let links: Links
  let request: PageRequest

  /// Rows of a page's longest list in HTML, and in JSON and CSV, where programs read them.
  private static let rowsForPeople = 500
  private static let rowsForPrograms = 50_000
  /// Rows of lists that stand beside others.
  static let shortList = 200

  var rowLimit: Int { request.route.format == .html ? Self.rowsForPeople : Self.rowsForPrograms }
  /// The time that the page is about.
  var now: ReportTime { request.route.time ?? present }
  var recent: RecentRuns { RecentRuns(time: request.route.time, filter: request.route.filter) }

  func page() throws -> Page {
    if let group = request.route.filter.group, try !store.hasGroup(group) {
      throw PageError.notFound("No client was in a group \(group).")
    }
    var page =
      switch request.route.target {
      case .front: try frontPage()
      case .grid: try gridPage()
      case .detailed: try detailedPage()
      case .client(let name, let id): try clientPage(name, id)
      case .manage: try managePage()
      case .history(let client): try historyPage(client)
      case .elements(let state): try elementsPage(state)
      case .element(let type, let id, let interaction): try elementPage(type, id, interaction)
      case .entry(let type, let id): try entryPage(type, id)
      case .common(let threshold): try commonPage(threshold)
      case .summary: try summaryPage()
      case .timing: try timingPage()
      case .search: try searchPage()
      case .stylesheet: throw PageError.notFound("")
      }
    page.time = request.route.time?.text
    return page
  }

  /// The path of a page with filters and time, below the prefix.
  func path(_ base: String, _ filter: RunFilter? = nil, time: Bool = true) -> String {
    base + (filter ?? request.route.filter).path + (time ? request.route.time?.path ?? "" : "")
  }

  /// The filters of a page, each to be removed by itself.
  func filters() -> [(name: String, value: String)] {
    let filter = request.route.filter
    return RunFilter.names.compactMap { name in filter[name].map { (name, $0) } }
  }

  // MARK: Parts that pages share

  /// Which rows `?page=` asks for.
  func slice(of total: Int, limit: Int) -> (page: Int, pages: Int, offset: Int) {
    let pages = max(1, (total + limit - 1) / limit)
    let page = min(max(request.query["page"].flatMap(Route.id) ?? 1, 1), pages)
    return (page, pages, (page - 1) * limit)
  }

  /// The pager of a list whose pages are chosen with `?page=`.
  func pager(_ path: String, _ slice: (page: Int, pages: Int, offset: Int), query: [(String, String)] = []) -> Pager? {
    guard slice.pages > 1 else { return nil }
    func link(_ page: Int) -> String {
      let fields = query + [("page", "\(page)")]
      return links.to(path) + "?" + fields.map { "\($0.0)=\(URLCoding.encode($0.1))" }.joined(separator: "&")
    }
    return Pager(
      page: slice.page, pages: slice.pages, previous: slice.page > 1 ? link(slice.page - 1) : nil,
      next: slice.page < slice.pages ? link(slice.page + 1) : nil, first: slice.page > 1 ? link(1) : nil,
      last: slice.page < slice.pages ? link(slice.pages) : nil)
  }

  /// The state of a client that lists show: stale ones are that before anything else.
  func mark(_ run: ReportedRun) -> Mark { isStale(run) ? .stale : stateMark(run.state) }

  func stateMark(_ state: String) -> Mark {
    switch state {
    case "clean": .clean
    case "dirty": .dirty
    default: .unknown
    }
  }

  /// Whether the latest run of a client was more than so many hours ago: 25 as in Bcfg2's lists, 24 in its summary.
  func isStale(_ run: ReportedRun, hours: Int = 25) -> Bool { run.timestamp.adding(hours: hours) < now }

  func age(_ time: ReportTime) -> String {
    let seconds = now.seconds(since: time)
    switch seconds {
    case ..<0: return "in the future"
    case ..<120: return "just now"
    case ..<7200: return "\(seconds / 60) minutes ago"
    case ..<172_800: return "\(seconds / 3600) hours ago"
    default: return "\(seconds / 86400) days ago"
    }
  }

  /// The columns of runs; with the client's name if there are several.
  func runTable(_ key: String, _ title: String, _ runs: [ClientRun], withClient: Bool) -> Table {
    var table = Table(
      key, title,
      [
        .init("time", "Time"), .init("client", "Client"), .init("state", "State"),
        .init("good", "Good", isNumber: true),
        .init("bad", "Bad", isNumber: true), .init("modified", "Modified", isNumber: true),
        .init("extra", "Extra", isNumber: true), .init("server", "Server"),
      ])
    table.rows = runs.map { one in
      let (client, run) = (one.client.name, one.run)
      return [
        Cell(run.timestamp.shown, link: links.client(client, run.id)), Cell(client, link: links.client(client)),
        Cell(run.state, mark: stateMark(run.state)), Cell(run.good), count(run.bad, .bad),
        count(run.modified, .modified),
        count(run.extra, .extra), Cell(run.server),
      ]
    }
    if !withClient {
      table.columns.remove(at: 1)
      for index in table.rows.indices { table.rows[index].remove(at: 1) }
    }
    table.empty = "No runs."
    return table
  }

  /// A number that has a colour if it is not zero.
  func count(_ number: Int, _ mark: Mark) -> Cell { Cell(number, mark: number > 0 ? mark : nil) }
}

import ReportStore

extension PageMaker {
  private static let days = 14

  /// `/`: whether the fleet is all right, in one look.
  func frontPage() throws -> Page {
    var page = Page("Overview", menu: "overview")
    page.path = "/index"
    let runs = try store.health(recent)
    let limit = now.adding(hours: -24)
    let stale = runs.filter { $0.timestamp < limit }
    let bad = runs.count { $0.bad > 0 }
    let modified = runs.count { $0.modified > 0 }
    let extra = runs.count { $0.extra > 0 }
    let troubled = runs.count { $0.bad > 0 || $0.timestamp < limit }
    page.blocks.append(headline(of: runs.count, troubled: troubled, bad: bad, stale: stale.count))
    func summary(_ name: String) -> String { links.to("/summary#\(name)") }
    page.blocks.append(
      .tiles([
        Tile(key: "clients", count: runs.count, label: "clients", mark: .good, link: links.to("/grid")),
        Tile(key: "clean", count: runs.count - bad, label: "clean", mark: .clean, link: summary("clean")),
        Tile(key: "bad", count: bad, label: "with bad entries", mark: .bad, link: summary("bad")),
        Tile(key: "modified", count: modified, label: "modified", mark: .modified, link: summary("modified")),
        Tile(key: "extra", count: extra, label: "with extra entries", mark: .extra, link: summary("extra")),
        Tile(key: "stale", count: stale.count, label: "not run for 24 hours", mark: .stale, link: summary("stale")),
      ]))
    page.blocks.append(.chart(try chart()))
    page.blocks.append(.table(try failureTable(runs.filter { $0.bad > 0 }.map(\.run))))
    page.blocks.append(.table(staleTable(stale)))
    return page
  }

  private func headline(of count: Int, troubled: Int, bad: Int, stale: Int) -> Block {
    guard count > 0 else { return .notice(.warning, "No client has reported yet.") }
    guard troubled > 0 else {
      return .notice(.good, count == 1 ? "The only client is all right." : "All \(count) clients are all right.")
    }
    var reasons: [String] = []
    if bad > 0 { reasons.append("\(bad) with bad entries") }
    if stale > 0 { reasons.append("\(stale) not run for 24 hours") }
    return .notice(
      .bad,
      "\(troubled) of \(count) clients \(troubled == 1 ? "needs" : "need") attention: \(reasons.joined(separator: ", "))."
    )
  }

  /// Runs of each day, by state.
  private func chart() throws -> Chart {
    var chart = Chart(
      key: "runs", title: "Runs of the last \(Self.days) days", series: [.clean, .dirty, .unknown], bars: [])
    for day in (1 - Self.days)...0 {
      let start = now.midnight.adding(days: day)
      let counts = try days(start) { try store.states(from: start, to: start.adding(days: 1)) }
      let clean = counts["clean"] ?? 0
      let dirty = counts["dirty"] ?? 0
      let all = counts.values.reduce(0, +)
      chart.bars.append(.init(label: start.day, counts: [clean, dirty, all - clean - dirty]))
    }
    return chart
  }

  /// Counts of a day, which cost more than all else on the page and are kept for that reason.
  private func days(_ start: ReportTime, _ count: () throws -> [String: Int]) throws -> [String: Int] {
    if let kept = request.days?.counts(of: start) { return kept }
    let counts = try count()
    request.days?.keep(counts, of: start, isOver: start.adding(days: 1) <= present)
    return counts
  }

  private func failureTable(_ runs: [Int64]) throws -> Table {
    var table = Table(
      "failures", "Most common failures",
      [.init("type", "Type"), .init("name", "Entry"), .init("clients", "Clients", isNumber: true)])
    table.rows = try store.commonFailures(on: runs, limit: 10).map { line in
      let isFailure = line.kind == .failure
      let type = isFailure ? "Not bound" : line.kind.rawValue
      let link = isFailure ? links.element(line.kind.model, line.id) : links.entry(line.kind.model, line.id)
      return [Cell(type), Cell(line.name, link: link), Cell(line.count)]
    }
    table.empty = "No entry is bad."
    table.more = links.to("/common/1")
    return table
  }

  private func staleTable(_ stale: [RunHealth]) -> Table {
    var table = Table(
      "stale", "Clients that did not run for 24 hours",
      [.init("client", "Client"), .init("time", "Last run"), .init("age", "Age")])
    let oldest = stale.sorted { ($0.timestamp, $0.client) < ($1.timestamp, $1.client) }
    table.rows = oldest.prefix(10).map {
      [Cell($0.client, link: links.client($0.client)), Cell($0.timestamp.shown), Cell(age($0.timestamp))]
    }
    table.total = stale.count
    table.empty = "All clients ran within the last 24 hours."
    table.more = stale.count > 10 ? links.to("/summary#stale") : nil
    return table
  }
}

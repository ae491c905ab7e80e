import ReportRecords
import ReportStore

extension PageMaker {
  private func client(_ name: String) throws -> ReportedClient {
    guard let client = try store.client(named: name) else {
      throw PageError.notFound("No client \(name) has reported.")
    }
    return client
  }

  /// `/client/HOST[/INTERACTION]`: what one run reported.
  func clientPage(_ name: String, _ id: Int64?) throws -> Page {
    let client = try client(name)
    var page = Page(client.name)
    page.path = "/client/\(URLCoding.encode(client.name))" + (id.map { "/\($0)" } ?? "")
    let found =
      if let id { try store.run(id, of: client) } else { try store.history(client, limit: 1).first?.run }
    guard let run = found else {
      if id != nil { throw PageError.notFound("\(client.name) has no run \(id ?? 0).") }
      page.blocks.append(.notice(.warning, "This client has no run in the database."))
      return page
    }
    let next = try store.nextTime(after: run, of: client)
    page.blocks += notices(client, run, next: next)
    page.blocks.append(.facts(facts(client, run, try store.details(of: run), isLatest: next == nil)))
    page.blocks += try entryTables(run)
    page.blocks += try memberships(run)
    let recent = try store.history(client, until: id == nil ? nil : run.timestamp, limit: 5)
    var table = runTable("recent", "Recent runs", recent, withClient: false)
    table.more = links.history(client.name)
    page.blocks.append(.table(table))
    let performance = try store.performance(of: run, limit: Self.shortList)
    if !performance.isEmpty { page.blocks.append(.table(phaseTable(performance))) }
    return page
  }

  private func notices(_ client: ReportedClient, _ run: ReportedRun, next: ReportTime?) -> [Block] {
    var blocks: [Block] = []
    if let expiration = client.expiration {
      blocks.append(.notice(.warning, "This client expired \(ReportTime.shown(expiration)): lists leave it out."))
    }
    if let next {
      blocks.append(.notice(.warning, "This is an earlier run: the next one was \(next.shown)."))
      if run.timestamp.adding(hours: 25) < next {
        blocks.append(.notice(.warning, "The client did not run for more than 24 hours after this run."))
      }
    } else if isStale(run) {
      blocks.append(.notice(.bad, "The client did not run within the last 24 hours: this may be out of date."))
    }
    return blocks
  }

  private func facts(
    _ client: ReportedClient, _ run: ReportedRun, _ details: RunDetails, isLatest: Bool
  ) -> [Fact] {
    var byServer = RunFilter()
    byServer.server = run.server
    var facts = [Fact("timestamp", "Time", Cell(run.timestamp.shown))]
    if isLatest { facts.append(Fact("age", "Age", Cell(age(run.timestamp)))) }
    facts.append(Fact("state", "State", Cell(run.state, mark: stateMark(run.state))))
    if !run.server.isEmpty {
      facts.append(Fact("server", "Served by", Cell(run.server, link: links.to("/detailed\(byServer.path)"))))
    }
    if let profile = details.profile { facts.append(Fact("profile", "Profile", Cell(profile, link: group(profile)))) }
    if !run.revision.isEmpty { facts.append(Fact("revision", "Revision", Cell(run.revision))) }
    facts += [
      Fact("total", "Managed entries", Cell(run.total)), Fact("good", "Good", Cell(run.good)),
      Fact("bad", "Bad", count(run.bad, .bad)), Fact("modified", "Modified", count(run.modified, .modified)),
      Fact("extra", "Extra", count(run.extra, .extra)),
    ]
    if !run.isClean {
      facts.append(Fact("deviation", "Deviation", Cell(Decimals.text(run.deviation, digits: 3) + "%")))
    }
    if details.isDryRun { facts.append(Fact("dry_run", "Dry run", Cell("yes"))) }
    if details.isOnlyImportant { facts.append(Fact("only_important", "Only important entries", Cell("yes"))) }
    facts.append(Fact("history", "History", Cell("All runs", link: links.history(client.name))))
    facts.append(Fact("first_seen", "First seen", Cell(ReportTime.shown(client.creation))))
    return facts
  }

  private func group(_ name: String) -> String {
    var filter = RunFilter()
    filter.group = name
    return links.to("/grid\(filter.path)")
  }

  private func entryTables(_ run: ReportedRun) throws -> [Block] {
    let limit = rowLimit * 4
    let entries = try store.entryLines(of: run, limit: limit + 1)
    var blocks: [Block] = []
    for (state, reported) in [(ReportedItem.State.bad, run.bad), (.modified, run.modified), (.extra, run.extra)] {
      let lines = entries.prefix(limit).filter { $0.state == state }
      guard !lines.isEmpty else { continue }
      var table = Table(
        state.name,
        "\(state.name.capitalizedFirst) entries: \(entries.count > limit ? max(reported, lines.count) : lines.count)",
        [.init("type", "Type"), .init("name", "Entry"), .init("problem", "Problem"), .init("clients", "On clients")])
      table.rows = lines.map { line in
        [
          Cell(line.kind.rawValue), Cell(line.name, link: links.element(line.kind.model, line.id, run.id)),
          Cell(line.problems.joined(separator: ", "), mark: state.mark),
          Cell("which", link: links.entry(line.kind.model, line.id)),
        ]
      }
      if entries.count > limit { table.total = max(reported, lines.count) }
      blocks.append(.table(table))
    }
    let failures = try store.failures(of: run, limit: limit + 1)
    if !failures.isEmpty {
      var table = Table(
        "failures", "Entries that could not be bound: \(failures.count)",
        [.init("type", "Type"), .init("name", "Entry")])
      table.rows = failures.prefix(limit).map {
        [Cell($0.type), Cell($0.name, link: links.element(EntryKind.failure.model, $0.id, run.id), mark: .failed)]
      }
      table.total = failures.count
      blocks.append(.table(table))
    }
    if blocks.isEmpty { blocks.append(.notice(.good, "All entries are as they should be.")) }
    return blocks
  }

  private func memberships(_ run: ReportedRun) throws -> [Block] {
    let groups = try store.groups(of: run, limit: 1000)
    let bundles = try store.bundles(of: run, limit: 1000)
    return [
      .names(title: "Groups", key: "groups", groups.map { Cell($0, link: group($0)) }),
      .names(title: "Bundles", key: "bundles", bundles.map { Cell($0) }),
    ]
  }

  private func phaseTable(_ performance: [(metric: String, value: Double)]) -> Table {
    let metrics = Dictionary(performance, uniquingKeysWith: { first, _ in first })
    var table = Table(
      "timing", "Times of this run", [.init("metric", "Phase"), .init("value", "Seconds", isNumber: true)])
    for phase in Self.phases {
      guard let end = metrics[phase.end], let start = metrics[phase.start] else { continue }
      table.rows.append([Cell(phase.title), Cell(.decimal(end - start, digits: 4))])
    }
    table.empty = "The client reported no phases."
    return table
  }

  /// `/history[/HOST]`: runs, the latest first.
  func historyPage(_ name: String?) throws -> Page {
    let client = try name.map(client)
    let filter = request.route.filter
    var page = Page(client.map { "History of \($0.name)" } ?? "History", menu: "history")
    let base = client.map { String(links.history($0.name).dropFirst(links.prefix.count)) } ?? "/history"
    page.path = base + filter.path
    page.filters = filters()
    let total = try store.historyCount(client, filter)
    let asked = request.route.isAll ? rowLimit : request.route.limit ?? 25
    let limit = min(max(asked, 1), rowLimit)
    let pages = max(1, (total + limit - 1) / limit)
    let number = max(1, request.route.page ?? request.query["page"].flatMap(Route.id) ?? 1)
    func link(_ page: Int, _ size: Int = limit) -> String {
      links.to("\(base)\(filter.path)/\(page)" + (size == 25 ? "" : "%7C\(size)"))
    }
    // Past the end is the end, as in Bcfg2.
    guard number <= pages else { throw PageError.elsewhere(link(pages)) }
    let runs = try store.history(client, filter, limit: limit, offset: (number - 1) * limit)
    var table = runTable("runs", "\(total) runs", runs, withClient: client == nil)
    table.total = total
    table.pager = Pager(
      page: number, pages: pages, previous: number > 1 ? link(number - 1) : nil,
      next: number < pages ? link(number + 1) : nil,
      first: number > 1 ? link(1) : nil, last: number < pages ? link(pages) : nil,
      sizes: [25, 50, 100, 200].map { Choice(text: "\($0)", link: link(1, $0), isCurrent: $0 == limit) })
    if let client {
      page.blocks.append(.facts([Fact("client", "Client", Cell(client.name, link: links.client(client.name)))]))
    }
    page.blocks.append(.table(table))
    return page
  }
}

extension String {
  var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}

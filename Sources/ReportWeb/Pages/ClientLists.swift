import ReportStore

extension PageMaker {
  /// `/grid`: each client a box.
  func gridPage() throws -> Page {
    var page = listPage("Clients", menu: "grid", base: "/grid")
    let limit = request.route.format == .html ? 2000 : rowLimit
    let total = try store.count(recent)
    let slice = slice(of: total, limit: limit)
    var table = Table("clients", "\(total) clients", [.init("client", "Client"), .init("state", "State")])
    table.rows = try store.runs(recent, limit: limit, offset: slice.offset).map { one in
      let mark = mark(one.run)
      return [Cell(one.client.name, link: links.client(one.client.name, one.run.id), mark: mark), Cell(mark)]
    }
    table.isGrid = true
    table.total = total
    table.empty = "No clients."
    table.pager = pager(page.path, slice)
    page.blocks.append(.table(table))
    return page
  }

  /// The start of a list of clients, with the choices that lead to others.
  private func listPage(_ title: String, menu: String, base: String) -> Page {
    var page = Page(title, menu: menu)
    page.path = path(base)
    page.hasTime = true
    page.filters = filters()
    var choices: [Choice] = []
    for state in [nil, "clean", "dirty"] {
      var filter = request.route.filter
      filter.state = state
      choices.append(
        Choice(text: state ?? "all", link: links.to(path(base, filter)), isCurrent: request.route.filter.state == state)
      )
    }
    page.blocks.append(.choices(label: "State", choices))
    return page
  }

  private static let sortColumns: [(field: String, order: RunOrder, title: String, isNumber: Bool)] = [
    ("client", .client, "Client", false), ("state", .state, "State", false), ("good", .good, "Good", true),
    ("bad", .bad, "Bad", true), ("modified", .modified, "Modified", true), ("extra", .extra, "Extra", true),
    ("timestamp", .time, "Last run", false), ("server", .server, "Server", false),
  ]

  /// `/detailed?sort=`: each client a line.
  func detailedPage() throws -> Page {
    var page = listPage("Clients in detail", menu: "detailed", base: "/detailed")
    let asked = request.query["sort"] ?? "client"
    let field = asked.hasPrefix("-") ? String(asked.dropFirst()) : asked
    let sort = Self.sortColumns.first { $0.field == field } ?? Self.sortColumns[0]
    let isDescending = asked.hasPrefix("-") && sort.field == field
    let total = try store.count(recent)
    let slice = slice(of: total, limit: rowLimit)
    var table = Table("clients", "\(total) clients", [])
    table.columns = Self.sortColumns.map { column in
      var made = Table.Column(column.order.rawValue, column.title, isNumber: column.isNumber)
      let isSorted = column.field == sort.field
      made.order = isSorted ? (isDescending ? .descending : .ascending) : nil
      // Numbers begin with the largest.
      let next = made.order.map { $0 == .ascending ? "-" : "" } ?? (column.isNumber ? "-" : "")
      made.sortLink = links.to(page.path) + "?sort=" + next + column.field
      return made
    }
    if request.query["sort"] != nil {
      page.query = "sort=\(isDescending ? "-" : "")\(sort.field)"
    }
    let runs = try store.runs(recent, by: sort.order, descending: isDescending, limit: rowLimit, offset: slice.offset)
    table.rows = runs.map { one in
      let (client, run) = (one.client.name, one.run)
      var byServer = request.route.filter
      byServer.server = run.server
      return [
        Cell(client, link: links.client(client, run.id)), Cell(run.state, mark: mark(run)), Cell(run.good),
        count(run.bad, .bad), count(run.modified, .modified), count(run.extra, .extra),
        Cell(run.timestamp.shown, mark: isStale(run) ? .stale : nil),
        run.server.isEmpty ? Cell(.nothing) : Cell(run.server, link: links.to(path("/detailed", byServer))),
      ]
    }
    table.total = total
    table.empty = "No clients."
    table.pager = pager(page.path, slice, query: request.query["sort"].map { [("sort", $0)] } ?? [])
    page.blocks.append(.table(table))
    return page
  }

  /// `/summary`: how many clients are how, and which.
  func summaryPage() throws -> Page {
    var page = Page("Summary", menu: "summary")
    page.path = path("/summary")
    page.hasTime = true
    let runs = try store.runs(recent, limit: 1_000_000)
    page.blocks.append(.facts([Fact("nodes", "Clients", Cell(runs.count))]))
    let parts: [(key: String, title: String, mark: Mark, runs: [ClientRun])] = [
      ("clean", "clients are clean", .clean, runs.filter { $0.run.bad == 0 }),
      ("bad", "clients have bad entries", .bad, runs.filter { $0.run.bad > 0 }),
      ("modified", "clients were modified", .modified, runs.filter { $0.run.modified > 0 }),
      ("extra", "clients have extra entries", .extra, runs.filter { $0.run.extra > 0 }),
      ("stale", "clients did not run within the last 24 hours", .stale, runs.filter { isStale($0.run, hours: 24) }),
    ]
    for part in parts {
      var table = Table(
        part.key, "\(part.runs.count) \(part.title)", [.init("client", "Client"), .init("time", "Last run")])
      table.rows = part.runs.prefix(rowLimit).map { one in
        [
          Cell(one.client.name, link: links.client(one.client.name, one.run.id), mark: part.mark),
          Cell(one.run.timestamp.shown, link: nil),
        ]
      }
      table.isGrid = true
      table.total = part.runs.count
      table.more = part.runs.count > table.rows.count ? links.to(path("/detailed")) : nil
      table.empty = "None."
      page.blocks.append(.table(table))
    }
    return page
  }

  /// The phases of a run: how long each took is the difference of two metrics.
  ///
  /// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/templatetags/bcfg2_tags.py, build_metric_list.
  static let phases: [(key: String, title: String, end: String, start: String)] = [
    ("parse", "Parse", "config_parse", "config_download"), ("probe", "Probe", "probe_upload", "start"),
    ("inventory", "Inventory", "inventory", "initialization"), ("install", "Install", "install", "inventory"),
    ("config", "Config", "config_parse", "probe_upload"), ("total", "Total", "finished", "start"),
  ]

  /// `/timing`: what the last run of each client took.
  func timingPage() throws -> Page {
    var page = Page("Timing", menu: "timing")
    page.path = path("/timing")
    page.hasTime = true
    var table = Table(
      "timing", "Seconds of the last run, by phase",
      [.init("client", "Client")] + Self.phases.map { .init($0.key, $0.title, isNumber: true) })
    let metrics = try store.performance(recent, limit: rowLimit + 1)
    table.rows = metrics.prefix(rowLimit).map { client, metrics in
      [Cell(client, link: links.client(client))]
        + Self.phases.map { phase in
          guard let end = metrics[phase.end], let start = metrics[phase.start] else { return Cell(.nothing) }
          return Cell(.decimal(end - start, digits: 4))
        }
    }
    if metrics.count > rowLimit { table.total = try store.count(recent) }
    table.empty = "No run reported its times."
    page.blocks.append(.table(table))
    return page
  }

  /// `/manage`: which clients are expected to report.
  func managePage() throws -> Page {
    var page = Page("Manage clients", menu: "manage")
    page.path = "/manage"
    let total = try store.clientCount()
    let slice = slice(of: total, limit: rowLimit)
    if request.formToken == nil {
      page.blocks.append(.notice(.warning, "Clients can be expired by authenticated users only."))
    }
    if let name = request.query["changed"], let client = try store.client(named: name) {
      page.blocks.append(
        client.expiration.map { .notice(.good, "\(name) expired \(ReportTime.shown($0)).") }
          ?? .notice(.good, "\(name) is active."))
    }
    var table = Table(
      "clients", "\(total) clients",
      [
        .init("client", "Client"), .init("creation", "First seen"), .init("expiration", "Expiration"),
        .init("action", "Manage"),
      ])
    table.rows = try store.clients(limit: rowLimit, offset: slice.offset).map { client in
      var action = Cell(.nothing)
      if let token = request.formToken {
        let isExpired = client.expiration != nil
        action.button = Button(
          action: links.to("/manage"), label: isExpired ? "Activate" : "Expire now",
          description: "\(isExpired ? "Activate" : "Expire") \(client.name)",
          fields: [
            ("client_name", client.name), ("client_action", isExpired ? "unexpire" : "expire"), ("token", token),
          ])
      }
      return [
        Cell(client.name, link: links.client(client.name)), Cell(ReportTime.shown(client.creation)),
        client.expiration.map { Cell(ReportTime.shown($0), mark: .expired) } ?? Cell("Active", mark: .good), action,
      ]
    }
    table.total = total
    table.pager = pager(page.path, slice)
    table.empty = "No clients."
    page.blocks.append(.table(table))
    return page
  }
}

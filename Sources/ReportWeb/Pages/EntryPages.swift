import ReportRecords
import ReportStore

extension PageMaker {
  private func kind(_ name: String) throws -> EntryKind {
    guard let kind = EntryKind(model: name) else { throw PageError.notFound("There is no type of entries \(name).") }
    return kind
  }

  /// `/elements/STATE`: entries in a state on any client now.
  func elementsPage(_ name: String) throws -> Page {
    guard let state = ReportedItem.State(name: name) else {
      throw PageError.notFound("There is no state \(name) of entries.")
    }
    var page = Page("\(name.capitalizedFirst) entries", menu: "elements-\(name)")
    page.path = path("/elements/\(name)")
    page.hasTime = true
    page.filters = filters()
    page.blocks.append(
      .choices(
        label: "State",
        ["bad", "modified", "extra"].map {
          Choice(text: $0, link: links.to(path("/elements/\($0)")), isCurrent: $0 == name)
        }))
    for (kind, lines, total) in try store.entryLines(recent, in: state, byCount: false, limit: rowLimit) {
      page.blocks.append(.table(entryTable(kind, lines, total: total)))
    }
    if page.blocks.count == 1 { page.blocks.append(.notice(.good, "No client has \(name) entries.")) }
    return page
  }

  private func entryTable(_ kind: EntryKind, _ lines: [EntryLine], total: Int) -> Table {
    var table = Table(
      kind.rawValue, "\(kind.rawValue): \(total > lines.count ? "more than " : "")\(lines.count)",
      [
        .init("name", "Entry"), .init("clients", "Clients", isNumber: true), .init("state", "State"),
        .init("problem", "Problem"),
      ])
    table.rows = lines.map { line in
      [
        Cell(line.name, link: links.entry(kind.model, line.id)), Cell(line.count),
        line.state.map { Cell($0.mark) } ?? Cell(.nothing),
        Cell(
          line.problems.isEmpty ? "details" : line.problems.joined(separator: ", "),
          link: links.element(kind.model, line.id)),
      ]
    }
    if total > lines.count { table.total = total }
    return table
  }

  /// `/common[/N]`, `/common/group/G[/N]`: entries that are not good on at least so many clients.
  func commonPage(_ threshold: Int?) throws -> Page {
    let threshold = min(max(threshold ?? request.query["threshold"].flatMap(Route.id) ?? 10, 0), Int(Int32.max))
    var page = Page("Common problems", menu: "common")
    let base = "/common" + (request.route.filter.group.map { "/group/\(URLCoding.encode($0))" } ?? "")
    page.path = "\(base)/\(threshold)\(request.route.time?.path ?? "")"
    page.hasTime = true
    page.filters = filters()
    page.blocks.append(
      .choices(
        label: "On at least so many clients",
        [1, 2, 5, 10, 20, 50, 100].map {
          Choice(
            text: "\($0)", link: links.to("\(base)/\($0)\(request.route.time?.path ?? "")"), isCurrent: $0 == threshold)
        }))
    let found = try store.entryLines(recent, in: nil, threshold: threshold, byCount: true, limit: rowLimit)
    for (kind, lines, total) in found { page.blocks.append(.table(entryTable(kind, lines, total: total))) }
    if found.isEmpty {
      page.blocks.append(.notice(.good, "No entry is wrong on \(threshold) clients or more."))
    }
    page.blocks.append(
      .form(
        Form(
          title: "Another number", action: links.to(base), field: "threshold", label: "On at least so many clients",
          value: "\(threshold)", type: "number", button: "Show")))
    return page
  }

  /// `/element/CLASS/ID[/INTERACTION]`: what an entry should be and is.
  func elementPage(_ className: String, _ id: Int64, _ interaction: Int64?) throws -> Page {
    let kind = try kind(className)
    guard let entry = try store.entry(kind, id) else {
      throw PageError.notFound("There is no entry \(className) \(id).")
    }
    let state = kind == .failure ? "Failed" : (entry.line.state?.name ?? "unknown").capitalizedFirst
    var page = Page("\(state) \(entry.tag): \(entry.line.name)")
    page.path = "/element/\(className)/\(id)" + (interaction.map { "/\($0)" } ?? "")
    var facts = [
      Fact("type", "Type", Cell(entry.tag)), Fact("name", "Name", Cell(entry.line.name)),
      Fact("state", "State", Cell(kind == .failure ? .failed : entry.line.state?.mark ?? .unknown)),
    ]
    if !entry.line.problems.isEmpty {
      facts.append(Fact("problem", "Problem", Cell(entry.line.problems.joined(separator: ", "))))
    }
    if !entry.pathType.isEmpty { facts.append(Fact("path_type", "Kind of path", Cell(entry.pathType))) }
    if kind != .failure {
      facts.append(Fact("entry", "On all clients", Cell("Status of this entry", link: links.entry(className, id))))
    }
    page.blocks.append(.facts(facts))
    if kind == .failure {
      page.blocks.append(
        .text(LongText(key: "message", title: "Why it could not be bound", text: entry.details, kind: .plain)))
    } else {
      page.blocks += details(entry)
    }
    page.blocks.append(.table(try occurrences(kind, id, interaction)))
    return page
  }

  private func details(_ entry: EntryDetails) -> [Block] {
    var blocks: [Block] = []
    if entry.line.state == .extra {
      blocks.append(.notice(.warning, "It exists on the client, but is not in the client's configuration."))
    } else if !entry.exists {
      blocks.append(.notice(.bad, "It is in the client's configuration, but does not exist on the client."))
    }
    if !entry.comparisons.isEmpty {
      var table = Table(
        "values", "Expected and found",
        [.init("what", "Value"), .init("expected", "Expected"), .init("found", "Found"), .init("verdict", "Verdict")])
      table.rows = entry.comparisons.map { one in
        let (target, current) = (one.target, one.current)
        let verdict: Cell =
          if one.isOneSided || entry.line.state == .extra || current.isEmpty {
            Cell(.nothing)
          } else {
            target == current ? Cell("equal", mark: .good) : Cell("differs", mark: .bad)
          }
        return [Cell(one.value.title), Cell(target), Cell(current), verdict]
      }
      blocks.append(.table(table))
    }
    switch entry.detail {
    case .unused:
      if !entry.details.isEmpty {
        blocks.append(.text(LongText(key: "details", title: "What was verified", text: entry.details, kind: .plain)))
      }
    case .sensitive:
      blocks.append(.notice(.warning, "The contents are not in reports, as they may be sensitive."))
    case .diff:
      blocks.append(.text(LongText(key: "details", title: "Wrong contents (Diff)", text: entry.details, kind: .diff)))
    case .pruned:
      blocks.append(
        .text(LongText(key: "details", title: "Extra paths in the folder", text: entry.details, kind: .plain)))
    case .binary, .sizeLimit, .versionControl:
      blocks.append(
        .text(
          LongText(key: "details", title: "Wrong contents (\(entry.detail.title))", text: entry.details, kind: .plain)))
    }
    return blocks
  }

  /// The runs of the interaction's day, or of today, that have the entry.
  private func occurrences(_ kind: EntryKind, _ id: Int64, _ interaction: Int64?) throws -> Table {
    var day = now
    if let interaction {
      guard let time = try store.time(ofRun: interaction) else {
        throw PageError.notFound("There is no run \(interaction).")
      }
      day = time
    }
    let start = day.midnight
    let runs = try store.runs(with: kind, id, from: start, to: start.adding(days: 1), limit: rowLimit + 1)
    var table = Table("occurrences", "Occurrences on \(start.day)", [.init("client", "Client"), .init("time", "Time")])
    table.rows = runs.prefix(rowLimit).map {
      [
        Cell($0.client.name, link: links.client($0.client.name)),
        Cell($0.run.timestamp.shown, link: links.client($0.client.name, $0.run.id)),
      ]
    }
    table.total = runs.count
    table.empty = "On that day no client had it."
    return table
  }

  /// `/entry/CLASS/ID`: how all clients have the entries of that name.
  func entryPage(_ className: String, _ id: Int64) throws -> Page {
    let kind = try kind(className)
    guard kind != .failure, let entry = try store.entry(kind, id) else {
      throw PageError.notFound("There is no entry \(className) \(id).")
    }
    var page = Page("\(kind.rawValue) \(entry.line.name) on all clients")
    page.path = path("/entry/\(className)/\(id)")
    page.hasTime = true
    page.filters = filters()
    let found = try store.runs(recent, withName: entry.line.name, of: kind, limit: rowLimit + 1)
    var table = Table(
      "clients", "Clients that report it: \(found.count > rowLimit ? "more than \(rowLimit)" : "\(found.count)")",
      [.init("client", "Client"), .init("time", "Time"), .init("state", "State"), .init("problem", "Problem")])
    table.rows = found.prefix(rowLimit).map { one, line in
      let (client, run) = (one.client.name, one.run)
      return [
        Cell(client, link: links.client(client)), Cell(run.timestamp.shown, link: links.client(client, run.id)),
        line.state.map { Cell($0.mark) } ?? Cell(.nothing),
        Cell("(\(line.id)) \(line.problems.joined(separator: ","))", link: links.element(className, line.id)),
      ]
    }
    table.total = found.count
    table.empty = "No client reports it now: it is good everywhere, or nobody has it."
    page.blocks.append(.table(table))
    return page
  }

  /// `/search?q=`: clients and entries by parts of their names.
  func searchPage() throws -> Page {
    let text = String((request.query["q"] ?? "").prefix(200))
    var page = Page(text.isEmpty ? "Search" : "Search: \(text)", menu: "search")
    page.path = "/search"
    page.query = text.isEmpty ? "" : "q=\(URLCoding.encode(text))"
    page.blocks.append(
      .form(
        Form(
          title: "Find a client or an entry", action: links.to("/search"), field: "q", label: "Name, or part of it",
          value: text,
          type: "search", button: "Search")))
    guard !text.isEmpty else { return page }
    let limit = Self.shortList
    let clients = try store.clients(like: text, limit: limit + 1)
    var table = Table("clients", "Clients", [.init("client", "Client"), .init("expiration", "Expiration")])
    table.rows = clients.prefix(limit).map {
      [
        Cell($0.name, link: links.client($0.name)),
        $0.expiration.map { Cell(ReportTime.shown($0), mark: .expired) } ?? Cell("Active", mark: .good),
      ]
    }
    table.total = clients.count
    table.empty = "No client has such a name."
    let entries = try store.entryLines(like: text, limit: limit + 1)
    var second = Table(
      "entries", "Entries",
      [.init("type", "Type"), .init("name", "Entry"), .init("versions", "Variants", isNumber: true)])
    second.rows = entries.prefix(limit).map {
      [Cell($0.kind.rawValue), Cell($0.name, link: links.entry($0.kind.model, $0.id)), Cell($0.count)]
    }
    second.total = entries.count
    second.empty = "No entry that was ever bad, modified or extra has such a name."
    page.blocks += [.table(table), .table(second)]
    return page
  }
}

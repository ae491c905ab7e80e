import Databases

extension PageMaker {
  private func type(_ name: String) throws -> EntryType {
    guard let type = EntryType.find(name) else { throw PageError.notFound("There is no type of entries \(name).") }
    return type
  }

  /// `/elements/STATE`: entries in a state on any client now.
  func elementsPage(_ name: String) throws -> Page {
    guard let state = EntryState(name: name) else { throw PageError.notFound("There is no state \(name) of entries.") }
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
    for (type, lines, total) in try reader.entries(view, state: state, byCount: false, limit: rowLimit) {
      page.blocks.append(.table(entryTable(type, lines, total: total)))
    }
    if page.blocks.count == 1 { page.blocks.append(.notice(.good, "No client has \(name) entries.")) }
    return page
  }

  private func entryTable(_ type: EntryType, _ lines: [EntryLine], total: Int) -> Table {
    var table = Table(
      type.tag, "\(type.tag): \(total > lines.count ? "more than " : "")\(lines.count)",
      [
        .init("name", "Entry"), .init("clients", "Clients", isNumber: true), .init("state", "State"),
        .init("problem", "Problem"),
      ])
    table.rows = lines.map { line in
      [
        Cell(line.name, link: links.entry(type.className, line.id)), Cell(line.count),
        line.state.map { Cell($0.mark) } ?? Cell(.nothing),
        Cell(
          line.problems.isEmpty ? "details" : line.problems.joined(separator: ", "),
          link: links.element(type.className, line.id)),
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
    let found = try reader.entries(view, state: nil, threshold: threshold, byCount: true, limit: rowLimit)
    for (type, lines, total) in found { page.blocks.append(.table(entryTable(type, lines, total: total))) }
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
  func elementPage(_ className: String, _ id: Int, _ interaction: Int?) throws -> Page {
    let type = try type(className)
    guard let entry = try reader.entry(type, id) else {
      throw PageError.notFound("There is no entry \(className) \(id).")
    }
    let state = type.isFailure ? "Failed" : (entry.line.state?.name ?? "unknown").capitalizedFirst
    var page = Page("\(state) \(entry.tag): \(entry.line.name)")
    page.path = "/element/\(className)/\(id)" + (interaction.map { "/\($0)" } ?? "")
    var facts = [
      Fact("type", "Type", Cell(entry.tag)), Fact("name", "Name", Cell(entry.line.name)),
      Fact("state", "State", Cell(type.isFailure ? .failed : entry.line.state?.mark ?? .unknown)),
    ]
    if !entry.line.problems.isEmpty {
      facts.append(Fact("problem", "Problem", Cell(entry.line.problems.joined(separator: ", "))))
    }
    if !entry.pathType.isEmpty { facts.append(Fact("path_type", "Kind of path", Cell(entry.pathType))) }
    if !type.isFailure {
      facts.append(Fact("entry", "On all clients", Cell("Status of this entry", link: links.entry(className, id))))
    }
    page.blocks.append(.facts(facts))
    if type.isFailure {
      page.blocks.append(
        .text(LongText(key: "message", title: "Why it could not be bound", text: entry.details, kind: .plain)))
    } else {
      page.blocks += details(entry)
    }
    page.blocks.append(.table(try occurrences(type, id, interaction)))
    return page
  }

  private func details(_ entry: Reader.EntryDetails) -> [Block] {
    var blocks: [Block] = []
    if entry.line.state == .extra {
      blocks.append(.notice(.warning, "It exists on the client, but is not in the client's configuration."))
    } else if !entry.exists {
      blocks.append(.notice(.bad, "It is in the client's configuration, but does not exist on the client."))
    }
    if !entry.pairs.isEmpty {
      var table = Table(
        "values", "Expected and found",
        [.init("what", "Value"), .init("expected", "Expected"), .init("found", "Found"), .init("verdict", "Verdict")])
      table.rows = entry.pairs.map { pair, target, current in
        let isOneSided = pair.target == "''" || pair.current == "''"
        let verdict: Cell =
          if isOneSided || entry.line.state == .extra || current.isEmpty {
            Cell(.nothing)
          } else {
            target == current ? Cell("equal", mark: .good) : Cell("differs", mark: .bad)
          }
        return [Cell(pair.name), Cell(target), Cell(current), verdict]
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
          LongText(key: "details", title: "Wrong contents (\(entry.detail.name))", text: entry.details, kind: .plain)))
    }
    return blocks
  }

  /// The runs of the interaction's day, or of today, that have the entry.
  private func occurrences(_ type: EntryType, _ id: Int, _ interaction: Int?) throws -> Table {
    var day = now
    if let interaction {
      guard let text = try reader.time(ofRun: interaction), let time = LocalTime(text) else {
        throw PageError.notFound("There is no run \(interaction).")
      }
      day = time
    }
    let start = day.adding(days: 0, hour: 0)
    let runs = try reader.runs(with: type, id, from: start, to: start.adding(days: 1, hour: 0), limit: rowLimit + 1)
    var table = Table("occurrences", "Occurrences on \(start.day)", [.init("client", "Client"), .init("time", "Time")])
    table.rows = runs.prefix(rowLimit).map {
      [
        Cell($0.client, link: links.client($0.client)),
        Cell(LocalTime.shown($0.time), link: links.client($0.client, $0.id)),
      ]
    }
    table.total = runs.count
    table.empty = "On that day no client had it."
    return table
  }

  /// `/entry/CLASS/ID`: how all clients have the entries of that name.
  func entryPage(_ className: String, _ id: Int) throws -> Page {
    let type = try type(className)
    guard !type.isFailure, let entry = try reader.entry(type, id) else {
      throw PageError.notFound("There is no entry \(className) \(id).")
    }
    var page = Page("\(type.tag) \(entry.line.name) on all clients")
    page.path = path("/entry/\(className)/\(id)")
    page.hasTime = true
    page.filters = filters()
    let found = try reader.runs(view, withName: entry.line.name, of: type, limit: rowLimit + 1)
    var table = Table(
      "clients", "Clients that report it: \(found.count > rowLimit ? "more than \(rowLimit)" : "\(found.count)")",
      [.init("client", "Client"), .init("time", "Time"), .init("state", "State"), .init("problem", "Problem")])
    table.rows = found.prefix(rowLimit).map { run, line in
      [
        Cell(run.client, link: links.client(run.client)),
        Cell(LocalTime.shown(run.time), link: links.client(run.client, run.id)),
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
    let clients = try reader.clients(like: text, limit: limit + 1)
    var table = Table("clients", "Clients", [.init("client", "Client"), .init("expiration", "Expiration")])
    table.rows = clients.prefix(limit).map {
      [
        Cell($0.name, link: links.client($0.name)),
        $0.expiration.map { Cell(LocalTime.shown($0), mark: .expired) } ?? Cell("Active", mark: .good),
      ]
    }
    table.total = clients.count
    table.empty = "No client has such a name."
    let entries = try reader.entries(like: text, limit: limit + 1)
    var second = Table(
      "entries", "Entries",
      [.init("type", "Type"), .init("name", "Entry"), .init("versions", "Variants", isNumber: true)])
    second.rows = entries.prefix(limit).map {
      [Cell($0.type.tag), Cell($0.name, link: links.entry($0.type.className, $0.id)), Cell($0.count)]
    }
    second.total = entries.count
    second.empty = "No entry that was ever bad, modified or extra has such a name."
    page.blocks += [.table(table), .table(second)]
    return page
  }
}

/// Writes a page as HTML that needs no script and no colour.
struct PageHTML {
  private let page: Page
  private let links: Links
  private let user: String?
  private var html = HTML()

  private static let menu: [(key: String, title: String, path: String)] = [
    ("overview", "Overview", "/"), ("grid", "Clients", "/grid"), ("detailed", "Details", "/detailed"),
    ("summary", "Summary", "/summary"), ("elements-bad", "Bad", "/elements/bad"),
    ("elements-modified", "Modified", "/elements/modified"), ("elements-extra", "Extra", "/elements/extra"),
    ("common", "Common problems", "/common"), ("history", "History", "/history"), ("timing", "Timing", "/timing"),
    ("manage", "Manage", "/manage"),
  ]

  /// The whole document.
  static func write(_ page: Page, links: Links, user: String? = nil) -> String {
    var writer = PageHTML(page: page, links: links, user: user)
    writer.document()
    return writer.html.text
  }

  private init(page: Page, links: Links, user: String?) {
    self.page = page
    self.links = links
    self.user = user
  }

  private mutating func document() {
    html.markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
    html.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
    html.markup("<meta name=\"color-scheme\" content=\"light dark\">\n")
    html.element("title", text: "\(page.title) - Bcfg2 reports")
    html.open("link", [("rel", "stylesheet"), ("href", links.to("/style.css"))])
    html.markup(
      "<link rel=\"icon\" href=\"data:,\">\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to content</a>\n")
    header()
    html.markup("<main id=\"main\" tabindex=\"-1\">\n")
    html.element("h1", text: page.title)
    context()
    for block in page.blocks { write(block) }
    html.markup("</main>\n")
    footer()
    html.markup("</body>\n</html>\n")
  }

  private mutating func header() {
    html.markup("<header>\n<p class=\"brand\">")
    html.element("a", [("href", links.to("/"))], text: "Bcfg2 reports")
    html.markup("</p>\n<nav aria-label=\"Pages\"><ul>")
    for entry in Self.menu {
      html.markup("<li>")
      let current = entry.key == page.menu ? [("aria-current" as StaticString, "page")] : []
      html.element("a", [("href", links.to(entry.path))] + current, text: entry.title)
      html.markup("</li>")
    }
    html.markup("</ul></nav>\n")
    if page.menu != "search" {
      html.element("form", [("class", "find"), ("role", "search"), ("action", links.to("/search"))]) { html in
        html.markup("<label for=\"find\">Find</label><input id=\"find\" name=\"q\" type=\"search\" maxlength=\"200\">")
        html.markup("<button>Search</button>")
      }
    }
    html.markup("</header>\n")
  }

  /// What limits the page: filters and time.
  private mutating func context() {
    if !page.filters.isEmpty || page.time != nil {
      html.markup("<p class=\"context\">Shown: ")
      for (index, filter) in page.filters.enumerated() {
        if index > 0 { html.markup(", ") }
        html.add("\(filter.name) ")
        html.element("strong", text: filter.value)
      }
      if let time = page.time {
        if !page.filters.isEmpty { html.markup(", ") }
        html.markup("as of ")
        html.element("strong", text: time)
      }
      html.markup(". ")
      html.element("a", [("href", links.to(unlimited))], text: "Show everything, now")
      html.markup("</p>\n")
    }
    guard page.hasTime else { return }
    html.markup("<details class=\"time\"><summary>Show another time</summary>")
    html.element("form", [("method", "post"), ("action", links.to(page.path))]) { html in
      html.markup("<input type=\"hidden\" name=\"op\" value=\"timeview\"><label for=\"cal_date\">As of</label>")
      let value = page.time.map { String($0.prefix(16)).replacing(" ", with: "T") } ?? ""
      html.open(
        "input",
        [("type", "datetime-local"), ("id", "cal_date"), ("name", "cal_date"), ("value", value), ("required", "")])
      html.markup("<button>Show</button>")
    }
    html.markup("</details>\n")
  }

  /// The page without filters and time.
  private var unlimited: String {
    let steps = page.path.split(separator: "/")
    switch steps.first {
    case "elements": return "/" + steps.prefix(2).joined(separator: "/")
    case "entry": return "/" + steps.prefix(3).joined(separator: "/")
    default: return "/" + (steps.first.map(String.init) ?? "")
    }
  }

  private mutating func footer() {
    html.markup("<footer><p>")
    let query = page.query.isEmpty ? "" : "?" + page.query
    html.element("a", [("href", links.to(page.path) + ".json" + query)], text: "This page as JSON")
    if let user {
      html.markup(" <span class=\"user\">Signed in as ")
      html.element("strong", text: user)
      html.markup("</span>")
    }
    html.markup("</p></footer>\n")
  }

  // MARK: Blocks

  private mutating func write(_ block: Block) {
    switch block {
    case .notice(let kind, let text):
      html.element("p", [("class", "notice \(kind.rawValue)")]) { html in
        html.element(
          "span", [("class", "sign"), ("aria-hidden", "true")], text: kind == .good ? "✓" : kind == .bad ? "✗" : "!")
        html.add(text)
      }
    case .heading(let text, let id): html.element("h2", [("id", id)], text: text)
    case .facts(let facts): write(facts)
    case .tiles(let tiles): write(tiles)
    case .table(let table): write(table)
    case .chart(let chart): html.add(chart: chart)
    case .text(let text): write(text)
    case .names(let title, let key, let cells): names(title, key, cells)
    case .choices(let label, let choices): self.choices(label, choices)
    case .form(let form): write(form)
    }
    html.markup("\n")
  }

  private mutating func write(_ facts: [Fact]) {
    html.element("dl", [("class", "facts")]) { html in
      for fact in facts {
        html.markup("<div>")
        html.element("dt", text: fact.name)
        html.element("dd") { $0.add(cell: fact.value) }
        html.markup("</div>")
      }
    }
  }

  private mutating func write(_ tiles: [Tile]) {
    html.element("ul", [("class", "tiles")]) { html in
      for tile in tiles {
        // A tile of nothing is calm.
        html.element("li", [("class", tile.count > 0 ? "m-\(tile.mark.rawValue)" : "m-none")]) { html in
          let body: (inout HTML) -> Void = { html in
            html.element("span", [("class", "number")], text: "\(tile.count)")
            html.element("span", [("class", "label")]) { html in
              html.element(
                "span", [("class", "sign"), ("aria-hidden", "true")], text: tile.key == "clients" ? "" : tile.mark.sign)
              html.add(" " + tile.label)
            }
          }
          if let link = tile.link { html.element("a", [("href", link)], body) } else { body(&html) }
        }
      }
    }
  }

  private mutating func write(_ text: LongText) {
    html.element("section", [("aria-labelledby", "h-\(text.key)")]) { html in
      html.element("h2", [("id", "h-\(text.key)")], text: text.title)
      html.element(
        "pre",
        [
          ("class", text.kind == .diff ? "diff" : "long"), ("tabindex", "0"), ("role", "region"),
          ("aria-labelledby", "h-\(text.key)"),
        ]
      ) { html in
        if text.kind == .diff { html.add(diff: text.text) } else { html.add(DiffLines.limited(text.text)) }
      }
    }
  }

  private mutating func names(_ title: String, _ key: String, _ cells: [Cell]) {
    guard !cells.isEmpty else { return }
    // A long list is closed at first.
    html.element("details", [("class", "names"), ("id", key)] + (cells.count <= 12 ? [("open", "")] : [])) { html in
      html.element("summary", text: "\(title): \(cells.count)")
      html.element("ul") { html in
        for cell in cells { html.element("li") { $0.add(cell: cell) } }
      }
    }
  }

  private mutating func choices(_ label: String, _ choices: [Choice]) {
    html.element("nav", [("class", "choices"), ("aria-label", label)]) { html in
      html.element("span", text: "\(label): ")
      html.add(choices: choices)
    }
  }

  private mutating func write(_ form: Form) {
    html.element("section", [("class", "form"), ("aria-labelledby", "h-\(form.field)")]) { html in
      html.element("h2", [("id", "h-\(form.field)")], text: form.title)
      let role: [(StaticString, String)] = form.type == "search" ? [("role", "search")] : []
      html.element("form", [("action", form.action), ("method", form.isPost ? "post" : "get")] + role) { html in
        html.element("label", [("for", "f-\(form.field)")], text: form.label)
        let bound: [(StaticString, String)] =
          form.type == "number" ? [("min", "1"), ("max", "1000000")] : [("maxlength", "200")]
        html.open(
          "input",
          [("id", "f-\(form.field)"), ("name", form.field), ("type", form.type), ("value", form.value)] + bound)
        for (name, value) in form.hidden { html.open("input", [("type", "hidden"), ("name", name), ("value", value)]) }
        html.element("button", text: form.button)
      }
    }
  }

  // MARK: Tables

  private mutating func write(_ table: Table) {
    let links = links
    let page = page
    html.element("section", [("aria-labelledby", table.key)]) { html in
      html.element("h2", [("id", table.key)], text: table.title)
      guard !table.rows.isEmpty else {
        html.element("p", [("class", "empty")], text: table.empty)
        return
      }
      if table.isGrid { html.add(grid: table) } else { html.add(lines: table) }
      html.element("p", [("class", "under")]) { html in
        if table.pager == nil, let total = table.total, total > table.rows.count {
          html.add("The first \(table.rows.count) are shown, there are more. ")
        }
        if let more = table.more {
          html.element("a", [("href", more)]) { html in
            html.markup("More<span class=\"hidden\">: ")
            html.add(table.title)
            html.markup("</span>")
          }
          html.markup(" ")
        }
        let query = page.query.isEmpty ? "" : "&" + page.query
        html.element("a", [("href", links.to(page.path) + ".csv?table=\(table.key)" + query)]) { html in
          html.markup("CSV<span class=\"hidden\"> of ")
          html.add(table.title)
          html.markup("</span>")
        }
      }
      if let pager = table.pager { html.add(pager: pager, of: table.title) }
    }
  }
}

extension HTML {
  fileprivate mutating func add(lines table: Table) {
    element("div", [("class", "scroll"), ("role", "region"), ("aria-labelledby", table.key), ("tabindex", "0")]) {
      html in
      html.element("table", [("aria-labelledby", table.key)]) { html in
        html.markup("<thead><tr>")
        for column in table.columns {
          var attributes: [(StaticString, String)] = [("scope", "col")]
          if column.isNumber { attributes.append(("class", "n")) }
          if let order = column.order { attributes.append(("aria-sort", order.rawValue)) }
          html.element("th", attributes) { html in
            guard let link = column.sortLink else { return html.add(column.title) }
            html.element("a", [("href", link)]) { html in
              html.add(column.title)
              if let order = column.order {
                html.element("span", [("aria-hidden", "true")], text: order == .ascending ? " ▲" : " ▼")
              }
            }
          }
        }
        html.markup("</tr></thead>\n<tbody>\n")
        for row in table.rows {
          html.markup("<tr>")
          for (index, cell) in row.enumerated() {
            let number: [(StaticString, String)] = table.columns[index].isNumber ? [("class", "n")] : []
            if index == 0 {
              html.element("th", [("scope", "row")] + number) { $0.add(cell: cell) }
            } else {
              html.element("td", number) { $0.add(cell: cell) }
            }
          }
          html.markup("</tr>\n")
        }
        html.markup("</tbody>")
      }
    }
  }

  /// Boxes with the first cell of each row, and its state.
  fileprivate mutating func add(grid table: Table) {
    element("ul", [("class", "grid")]) { html in
      for row in table.rows {
        guard let cell = row.first else { continue }
        html.element("li", [("class", "m-\((cell.mark ?? .unknown).rawValue)")]) { html in
          html.element("a", [("href", cell.link ?? "")]) { html in
            html.element("span", [("class", "sign"), ("aria-hidden", "true")], text: (cell.mark ?? .unknown).sign)
            html.element("bdi", text: cell.text)
            html.element("span", [("class", "hidden")], text: " \((cell.mark ?? .unknown).rawValue)")
          }
        }
      }
    }
  }

  fileprivate mutating func add(cell: Cell) {
    if let button = cell.button {
      element("form", [("method", "post"), ("action", button.action)]) { html in
        for (name, value) in button.fields {
          html.open("input", [("type", "hidden"), ("name", name), ("value", value)])
        }
        html.element("button", [("aria-label", button.description)], text: button.label)
      }
      return
    }
    let body: (inout HTML) -> Void = { html in
      if let mark = cell.mark {
        html.element("span", [("class", "mark m-\(mark.rawValue)")]) { html in
          html.element("span", [("class", "sign"), ("aria-hidden", "true")], text: mark.sign)
          html.add(cell.text)
          // The sign alone says it to who sees it.
          if mark == .stale, cell.text != "stale" { html.element("span", [("class", "hidden")], text: " stale") }
        }
      } else {
        html.element("bdi", text: cell.text)
      }
    }
    if let link = cell.link { element("a", [("href", link)], body) } else if !cell.text.isEmpty { body(&self) }
  }

  fileprivate mutating func add(choices: [Choice]) {
    element("ul") { html in
      for choice in choices {
        html.element("li") { html in
          html.element(
            "a", [("href", choice.link)] + (choice.isCurrent ? [("aria-current", "true")] : []), text: choice.text)
        }
      }
    }
  }

  fileprivate mutating func add(pager: Pager, of title: String) {
    element("nav", [("class", "pager"), ("aria-label", "Pages of \(title)")]) { html in
      html.markup("<ul>")
      let steps: [(String, String?)] = [
        ("First", pager.first), ("Previous", pager.previous), ("Next", pager.next), ("Last", pager.last),
      ]
      for (text, link) in steps.prefix(2) where link != nil {
        html.element("li") { $0.element("a", [("href", link ?? "")], text: text) }
      }
      html.element("li", [("aria-current", "page")], text: "Page \(pager.page) of \(pager.pages)")
      for (text, link) in steps.suffix(2) where link != nil {
        html.element("li") { $0.element("a", [("href", link ?? "")], text: text) }
      }
      html.markup("</ul>")
      if !pager.sizes.isEmpty {
        html.markup("<span>Rows: </span>")
        html.add(choices: pager.sizes)
      }
    }
  }
}

/// Writes a page as JSON: its facts, tables, texts.
struct PageJSON {
  private var text = ""

  static func write(_ page: Page) -> String {
    var writer = PageJSON()
    writer.document(page)
    return writer.text
  }

  private mutating func document(_ page: Page) {
    text = "{\"title\":"
    string(page.title)
    if let time = page.time { member("time", time) }
    for filter in page.filters { member(filter.name, filter.value) }
    var facts: [(String, Cell)] = []
    var notices: [String] = []
    for block in page.blocks {
      switch block {
      case .notice(_, let text): notices.append(text)
      case .facts(let list):
        facts += list.filter { $0.value.link == nil || $0.key != "history" }.map { ($0.key, $0.value) }
      case .tiles(let tiles): facts += tiles.map { ($0.key, Cell($0.count)) }
      default: break
      }
    }
    key("notices")
    list(notices) { $0.string($1) }
    key("facts")
    text += "{"
    for (index, fact) in facts.enumerated() {
      if index > 0 { text += "," }
      string(fact.0)
      text += ":"
      value(fact.1)
    }
    text += "}"
    for block in page.blocks { write(block) }
    text += "}\n"
  }

  private mutating func write(_ block: Block) {
    switch block {
    case .table(let table):
      key(table.key)
      list(table.rows) { $0.row($1, table.columns) }
      if let total = table.total, total > table.rows.count {
        key("\(table.key)_is_partial")
        text += "true"
      }
      if let pager = table.pager {
        key("\(table.key)_page")
        text += "{\"page\":\(pager.page),\"pages\":\(pager.pages)}"
      }
    case .chart(let chart):
      key(chart.key)
      list(chart.bars) { writer, bar in
        writer.text += "{\"day\":"
        writer.string(bar.label)
        for (mark, count) in zip(chart.series, bar.counts) { writer.text += ",\"\(mark.rawValue)\":\(count)" }
        writer.text += "}"
      }
    case .text(let long): member(long.key, long.text)
    case .names(_, let key, let cells):
      self.key(key)
      list(cells) { $0.value($1) }
    case .notice, .facts, .tiles, .heading, .choices, .form: break
    }
  }

  private mutating func row(_ cells: [Cell], _ columns: [Table.Column]) {
    text += "{"
    var isFirst = true
    for (cell, column) in zip(cells, columns) where cell.button == nil {
      if !isFirst { text += "," }
      isFirst = false
      string(column.key)
      text += ":"
      value(cell)
    }
    if let link = cells.first?.link {
      text += ",\"link\":"
      string(link)
    }
    text += "}"
  }

  private mutating func value(_ cell: Cell) {
    switch cell.value {
    case .text(let text): string(text)
    case .number(let number): text += "\(number)"
    case .decimal(let number, let digits): text += Decimals.text(number, digits: digits)
    case .nothing: text += "null"
    }
  }

  private mutating func key(_ name: String) {
    text += ","
    string(name)
    text += ":"
  }

  private mutating func member(_ name: String, _ value: String) {
    key(name)
    string(value)
  }

  private mutating func list<Element>(_ elements: [Element], _ write: (inout PageJSON, Element) -> Void) {
    text += "["
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      write(&self, element)
    }
    text += "]"
  }

  private mutating func string(_ value: String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      // What a browser that took it for HTML could read as such.
      case "<", ">", "&", "\u{0}"..."\u{1f}", "\u{7f}", "\u{2028}", "\u{2029}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

/// Writes one table of a page as CSV (RFC 4180).
enum PageCSV {
  /// - Parameter key: the table; nil: the first one.
  /// - Returns: nil if the page has no such table.
  static func write(_ page: Page, table key: String?) -> String? {
    for block in page.blocks {
      switch block {
      case .table(let table) where key == nil || table.key == key: return write(table)
      case .chart(let chart) where key == chart.key:
        var text = line(["day"] + chart.series.map(\.rawValue))
        for bar in chart.bars { text += line([bar.label] + bar.counts.map(String.init)) }
        return text
      default: continue
      }
    }
    return nil
  }

  private static func write(_ table: Table) -> String {
    let kept = table.columns.indices.filter { index in !table.rows.contains { $0[index].button != nil } }
    var text = line(kept.map { table.columns[$0].key })
    for row in table.rows { text += line(kept.map { field(row[$0]) }) }
    return text
  }

  /// A text that a spreadsheet would take for a formula, as with a sign of full width or behind blanks, begins with an apostrophe.
  private static func field(_ cell: Cell) -> String {
    guard case .text(let text) = cell.value, let first = text.unicodeScalars.first(where: { $0 != " " }),
      "=+-@\t\r\n\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".unicodeScalars.contains(first)
    else { return cell.text }
    return "'" + text
  }

  private static func line(_ fields: [String]) -> String {
    fields.map { field in
      guard field.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }) else { return field }
      return quoted(field)
    }.joined(separator: ",") + "\r\n"
  }

  /// Quotes are doubled by scalars: one with an accent behind it is another character to Swift, and still a quote to readers.
  private static func quoted(_ field: String) -> String {
    var result = String.UnicodeScalarView("\"".unicodeScalars)
    for scalar in field.unicodeScalars {
      if scalar == "\"" { result.append(scalar) }
      result.append(scalar)
    }
    result.append("\"")
    return String(result)
  }
}

import ServerSettings

/// Rows as Bcfg2 prints them: columns as wide as their widest cell and one more, a bar between them, a rule of `=` below the
/// first row.
struct TextTable {
  private var rows: [[String]]

  init(_ header: [String]) { rows = [header] }

  mutating func add(_ row: [String]) { rows.append(row.map { VisibleText.escaped($0) }) }

  /// All lines, the last with its end.
  var text: String {
    let widths = rows[0].indices.map { column in (rows.map { Self.width($0[column]) }.max() ?? 0) + 1 }
    let rule = widths.reduce(0, +) + 3 * widths.count - 1
    var lines = rows.map { row in
      zip(row, widths).map { " \($0.padded($1)) " }.joined(separator: "|")
    }
    lines.insert(String(repeating: "=", count: rule), at: 1)
    return lines.joined(separator: "\n") + "\n"
  }

  private static func width(_ cell: String) -> Int { cell.unicodeScalars.count }
}

extension InfoContext {
  /// Prints rows as JSON, or as a table.
  ///
  /// - Parameter cells: those of a row, as many as the header has.
  func printRows<Row: Encodable>(
    _ rows: [Row], json: Bool, _ header: [String], _ cells: (Row) -> [String]
  ) throws {
    if json { return try printJSON(rows) }
    var table = TextTable(header)
    for row in rows { table.add(cells(row)) }
    printText(table.text)
  }
}

extension String {
  /// With blanks up to a width in characters, behind it or in front of it.
  func padded(_ width: Int, isRight: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - unicodeScalars.count))
    return isRight ? blanks + self : self + blanks
  }
}

import Commands
import ReportRecords
import ReportStore

/// The table that `clients`, `entry` and `entries` print: a line for each client that is not expired.
struct ClientTable {
  /// A client, its run, and what `entry` and `entries` found.
  struct Line {
    var run: ClientRun
    var entry: (name: EntryName, state: ReportedItem.State)?
  }

  var lines: [Line]
  var fields: [String]
  private let time: ReportTime?
  private let now: ReportTime

  init(_ lines: [Line], fields: [String], _ selection: RunSelection) {
    self.lines = lines
    self.fields = fields.contains("name") ? fields : ["name"] + fields
    time = selection.time
    now = selection.time ?? .now()
  }

  /// The lines of clients that are not expired; as of an earlier time, that were not then.
  private var shown: [Line] {
    lines.filter { line in
      guard let expiration = line.run.client.expiration else { return true }
      guard let time, let expired = ReportTime(expiration) else { return false }
      return time < expired
    }
  }

  /// Lines of text: the widths are those of the names of the fields, of the longest client's name and of a time.
  var text: [String] {
    guard !lines.isEmpty else { return ["No match found"] }
    // Bcfg2 counts the names of expired clients, too.
    let longest = lines.reduce(0) { max($0, $1.run.client.name.unicodeScalars.count) }
    let widths = fields.map { field in
      switch field {
      case "name": longest
      case "time": 19
      default: field.unicodeScalars.count
      }
    }
    func line(_ cells: [String]) -> String {
      zip(cells, widths).map { TextRules.padded($0, $1) }.joined(separator: "  ")
    }
    return [line(fields.map(TextRules.title))] + shown.map { shown in line(fields.map { cell($0, shown) }) }
  }

  private func cell(_ field: String, _ line: Line) -> String {
    let (client, run) = (line.run.client, line.run.run)
    switch field {
    case "name": return client.name
    // To the second, as the column is wide.
    case "time": return String(run.timestamp.text.prefix(19))
    case "state": return run.isClean ? "clean" : "dirty"
    case "total": return "\(run.total)"
    case "good": return "\(run.good)"
    case "bad": return "\(run.bad)"
    case "modified": return "\(run.modified)"
    case "extra": return "\(run.extra)"
    case "stale": return run.isStale(at: now) ? "True" : "False"
    case "entry state": return line.entry.map { TextRules.title("\($0.state)") } ?? "N/A"
    case "id", "pk": return "\(client.id)"
    case "creation": return client.creation
    case "expiration": return client.expiration ?? "None"
    case "current_interaction" where run.id == client.currentRun:
      return "With \(client.name) @ \(run.timestamp.isoText)"
    case "current_interaction_id": return client.currentRun.map { "\($0)" } ?? "None"
    default: return "N/A"
    }
  }

  // MARK: JSON

  /// A client with its run, all of it.
  private struct Report: Encodable {
    struct Entry: Encodable {
      var type: String
      var name: String
      var state: String
    }

    var name: String
    var time: String
    var state: String
    var total: Int
    var good: Int
    var bad: Int
    var modified: Int
    var extra: Int
    var stale: Bool
    var server: String
    var revision: String
    var entry: Entry?
  }

  /// Prints the table, or its clients with all that is known of their runs.
  func show(asJSON: Bool) throws {
    guard asJSON else {
      Output.print(text)
      return
    }
    try Output.printJSON(
      shown.map { line in
        let run = line.run.run
        return Report(
          name: line.run.client.name, time: run.timestamp.text, state: run.isClean ? "clean" : "dirty",
          total: run.total,
          good: run.good, bad: run.bad, modified: run.modified, extra: run.extra, stale: run.isStale(at: now),
          server: run.server, revision: run.revision,
          entry: line.entry.map { .init(type: $0.name.type, name: $0.name.name, state: "\($0.state)") })
      })
  }
}

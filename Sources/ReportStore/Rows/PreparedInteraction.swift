import Databases
import ReportRecords

/// An interaction as its rows, all but ids.
struct PreparedInteraction {
  var hostname: String
  var time: String
  /// State, revision, server, counts: columns of `Reporting_interaction` but for those that refer to other tables.
  var values: [SQLValue]
  var profile: String?
  var groups: [String]
  var bundles: [String]
  var rows: [EntryRow]
  var metrics: [(name: String, value: String)]
  var warnings: [String]

  static let columns = [
    "timestamp", "state", "repo_rev_code", "server", "good_count", "total_count", "bad_count", "modified_count",
    "extra_count", "dry_run", "only_important",
  ]

  init(_ interaction: Interaction, _ reader: ItemReader) {
    let limits = reader.limits
    func text(_ text: String, _ length: Int) -> String { limits.fit(text, .varchar(length)) }
    func number(_ number: Int) -> SQLValue { SQLValue(limits.fit(number) ?? Int(Int32.max)) }
    func count(_ state: ReportedItem.State) -> SQLValue {
      number(interaction.items.count { $0.state == state })
    }

    hostname = text(interaction.hostname, 128)
    time = ReportTime(since1970: interaction.microseconds).text
    profile = interaction.profile.isEmpty ? nil : text(interaction.profile, 255)
    groups = Self.unique(interaction.groups.map { text($0, 255) })
    bundles = Self.unique(interaction.bundles.map { text($0, 255) })
    values = [
      .text(time), .text(text(interaction.state, 32)), .text(text(interaction.revision, 64)),
      .text(text(interaction.server, 256)), number(interaction.good), number(interaction.total), count(.bad),
      count(.modified), count(.extra), .bool(interaction.isDryRun), .bool(interaction.isOnlyImportant),
    ]
    rows = []
    warnings = []
    metrics = []
    var seen: Set<EntryKey> = []
    var reasons: Set<String> = []
    for item in interaction.items where item.state != .good {
      switch reader.read(item) {
      case .row(let row): if seen.insert(row.key).inserted { rows.append(row) }
      case .skipped(let reason): if reasons.insert(reason).inserted { warnings.append(reason) }
      }
    }
    for stamp in interaction.stamps {
      if Self.isDecimal(stamp.value) {
        metrics.append((text(stamp.name, 128), stamp.value))
      } else {
        warnings.append("The time \(stamp.name) is no number: \(stamp.value.prefix(40))")
      }
    }
  }

  private static func unique(_ names: [String]) -> [String] {
    var seen: Set<String> = []
    return names.filter { seen.insert($0).inserted }
  }

  /// Whether a column of 32 digits, 16 of them after the point, can have the number. PostgreSQL also refuses exponents of many digits,
  /// those of zero too.
  private static func isDecimal(_ text: String) -> Bool {
    guard text.utf8.count <= 64, text.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }) else { return false }
    guard let number = Double(text) else { return false }
    let exponent = text.utf8.drop { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }
    return number.magnitude < 1e15 && exponent.count <= "e-999".utf8.count
  }
}

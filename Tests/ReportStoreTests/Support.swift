import Databases
import ReportRecords
import ReportStore
import Support

/// A folder with a database.
struct Folder {
  private let folder = TemporaryDirectory()

  var path: String { folder.path }

  func open() throws -> any Database {
    try Databases.open(DatabaseSettings(engine: .sqlite, name: "\(path)/r.sqlite"), createsFile: true)
  }
}

extension ReportStore {
  /// The rows of a statement as text, `null` for NULL, joined by a bar.
  func read(_ sql: String, _ values: [SQLValue] = []) throws -> [String] {
    try database.rows(sql, values).map { $0.map { $0.asText ?? "null" }.joined(separator: "|") }
  }

  func count(_ table: String) throws -> Int {
    try database.first("SELECT COUNT(*) FROM \"Reporting_\(table)\"")?[0].asInt ?? -1
  }
}

/// An entry of `tag` with attributes.
func item(
  _ tag: String, _ state: ReportedItem.State = .bad, _ attributes: KeyValuePairs<String, String>,
  children: [ReportedItem.Child] = []
) -> ReportedItem {
  ReportedItem(state: state, tag: tag, attributes: attributes.map { Attribute($0.key, $0.value) }, children: children)
}

func interaction(_ hostname: String, at seconds: Int64, _ items: [ReportedItem] = []) -> Interaction {
  var interaction = Interaction(hostname: hostname, microseconds: seconds * 1_000_000)
  interaction.items = items
  return interaction
}

func item(_ tag: String, _ attributes: KeyValuePairs<String, String>) -> ReportedItem { item(tag, .bad, attributes) }

public import Databases

/// The reporting database.
///
/// Functions that write remember ids of rows between calls, which other processes may delete meanwhile: SQLite says that another
/// connection has written, and the others refuse a reference to a row that is gone.
public final class ReportStore {
  public let database: any Database
  /// Contents of files with more bytes than this are not stored (`[reporting] file_limit`).
  public var fileLimit = 1 << 20

  /// Ids of entries, by what is in them.
  var entryIDs = IDCache<EntryKey>(limit: 200_000)
  /// Ids of clients, groups and bundles, by table and name.
  var nameIDs = IDCache<NameKey>(limit: 100_000)
  var permissionIDs = IDCache<Permissions>(limit: 20_000)
  /// SQLite's count of changes by others, when the ids were right.
  private var dataVersion: SQLValue?
  /// Statements of several rows, by table and number of rows.
  var statements: [StatementKey: String] = [:]
  /// Rows of entries that were made, and how many there will be when PostgreSQL looks at the table again.
  var madeRows: [String: (count: Int, next: Int)] = [:]
  /// Rows after which it looks at a table for the first time.
  static let analyzedRows = 1000

  struct NameKey: Hashable, Sendable {
    var table: NamedTable
    var name: String
  }

  struct StatementKey: Hashable {
    var name: String
    var rows: Int
  }

  public init(_ database: any Database) { self.database = database }

  func clearCache() {
    entryIDs.removeAll()
    nameIDs.removeAll()
    permissionIDs.removeAll()
  }

  /// Forgets ids if another process may have deleted their rows. Called within a transaction.
  func checkCache() throws(DatabaseError) {
    guard database.engine == .sqlite else { return }
    let version = try database.first("PRAGMA data_version")?.first
    if version != dataVersion { clearCache() }
    dataVersion = version
  }
}

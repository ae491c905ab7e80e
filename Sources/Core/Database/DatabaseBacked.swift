public import Databases
public import Identity
public import LoopDatabases

/// Plugins that keep data of clients in the database: `use_database`.
///
/// Other servers, and Python's, write to the same tables. So before a client's call is answered, each plugin asks the
/// database whether what it has in memory of that client is current: `checks`, `checked`.
public protocol DatabaseBacked: Plugin {
  /// Whether the plugin is configured so.
  var usesDatabase: Bool { get }
  /// The tables of the plugin, made where they are missing.
  var tables: [SQLTable] { get }
  /// Reads what is kept in memory of all clients. Called once the tables are there.
  func databaseOpened() async throws(DatabaseError)
  /// Questions about clients, by their canonical names. Each is run by itself. Their texts must be few:
  /// `SharedDatabase.list`.
  func checks(of clients: [ClientName]) -> [LoopStatement]
  /// Takes the answers, and forgets what is not as it was.
  func checked(_ clients: [ClientName], _ results: [StatementResult])
}

/// A table of the database, as data. `Dialect` writes it for each engine.
///
/// Tables, columns, indexes and constraints are those that Django makes from the models of Bcfg2 1.4; only names of indexes
/// and constraints differ, which Django looks up by their columns.
public struct SQLTable: Sendable {
  public var name: String
  /// Django's name of the part that it belongs to.
  public var app: String
  public var columns: [SQLColumn]
  /// Unique constraints over several columns.
  public var unique: [[String]]
  /// Indexes that Bcfg2's tables lack: Django's bookkeeping does not name them, and Bcfg2's programs take no notice of them.
  public var extraIndexes: [SQLIndex]

  /// - Parameter extra: columns of indexes that Bcfg2's tables lack, by their names.
  public init(
    _ app: String, _ name: String, _ columns: [SQLColumn], unique: [[String]] = [],
    extra: KeyValuePairs<String, [String]> = [:]
  ) {
    self.name = name
    self.app = app
    self.columns = columns
    self.unique = unique
    extraIndexes = extra.map { SQLIndex(table: name, columns: $0.value, isUnique: false, name: $0.key) }
  }

  package func column(_ name: String) -> SQLColumn? { columns.first { $0.name == name } }

  /// All indexes but those of the key and of unique columns, and `extraIndexes`.
  package var indexes: [SQLIndex] {
    unique.map { SQLIndex(table: name, columns: $0, isUnique: true) }
      + columns.filter(\.isIndexed).map { SQLIndex(table: name, columns: [$0.name], isUnique: false) }
  }
}

public struct SQLColumn: Sendable {
  public enum Kind: Sendable, Hashable {
    /// The key, numbered by the engine.
    case id
    case integer
    case bigint
    /// A small integer, not negative.
    case small
    case bool
    case varchar(Int)
    case text
    case datetime
    /// 32 digits, 16 of them after the point.
    case decimal
  }

  public var name: String
  public var kind: Kind
  public var isNull: Bool
  public var isKey: Bool
  public var isUnique: Bool
  public var isIndexed: Bool
  /// The table whose key the column has.
  public var reference: String?
  /// What old rows get when the column is added to a table that has some.
  public var added: String?

  public init(
    _ name: String, _ kind: Kind, null: Bool = false, key: Bool = false, unique: Bool = false, indexed: Bool = false,
    to reference: String? = nil, added: String? = nil
  ) {
    self.name = name
    self.kind = kind
    isNull = null
    isKey = key || kind == .id
    isUnique = unique
    isIndexed = indexed || (reference != nil && !key)
    self.reference = reference
    self.added = added
  }

  public static let id = SQLColumn("id", .id)
}

/// An index, as it is made.
public struct SQLIndex: Sendable, Hashable {
  public var table: String
  public var columns: [String]
  public var isUnique: Bool
  /// PostgreSQL: for LIKE with a prefix.
  public var isForPatterns: Bool
  /// nil: a name made of the table and the columns.
  public var name: String?

  public init(table: String, columns: [String], isUnique: Bool, isForPatterns: Bool = false, name: String? = nil) {
    self.table = table
    self.columns = columns
    self.isUnique = isUnique
    self.isForPatterns = isForPatterns
    self.name = name
  }
}

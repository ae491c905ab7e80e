/// A table of the database, as data. `Dialect` writes it for each engine.
///
/// Tables, columns, indexes and constraints are those that Django makes from the models of Bcfg2 1.4; only names of indexes
/// and constraints differ, which Django looks up by their columns.
struct Table: Sendable {
  var name: String
  /// Django's name of the part that it belongs to.
  var app: String
  var columns: [Column]
  /// Unique constraints over several columns.
  var unique: [[String]] = []

  init(_ app: String, _ name: String, _ columns: [Column], unique: [[String]] = []) {
    self.name = name
    self.app = app
    self.columns = columns
    self.unique = unique
  }

  func column(_ name: String) -> Column? { columns.first { $0.name == name } }
}

struct Column: Sendable {
  enum Kind: Sendable, Hashable {
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

  var name: String
  var kind: Kind
  var isNull = false
  var isKey = false
  var isUnique = false
  var isIndexed = false
  /// The table whose key the column has.
  var reference: String?
  /// What old rows get when the column is added to a table that has some.
  var added: String?

  init(
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

  static let id = Column("id", .id)
}

/// An index, as it is made.
struct Index: Sendable, Hashable {
  var table: String
  var columns: [String]
  var isUnique: Bool
  /// PostgreSQL: for LIKE with a prefix.
  var isForPatterns = false
  /// nil: a name made of the table and the columns.
  var name: String?
}

extension Table {
  /// All indexes but those of the key and of unique columns.
  var indexes: [Index] {
    unique.map { Index(table: name, columns: $0, isUnique: true) }
      + columns.filter(\.isIndexed).map { Index(table: name, columns: [$0.name], isUnique: false) }
  }
}

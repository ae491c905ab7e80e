/// A value that a statement is given, or that a row has.
public enum SQLValue: Sendable, Hashable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  /// Only given: rows have what the engine makes of it, an integer in SQLite and MySQL. `asBool` reads both.
  case bool(Bool)

  public init(_ value: Int) { self = .integer(Int64(value)) }
  public init(_ value: String?) { self = value.map(SQLValue.text) ?? .null }

  public var isNull: Bool { self == .null }

  /// The number; nil where there is none.
  public var asInt: Int? {
    switch self {
    case .integer(let value): Int(value)
    case .real(let value): Int(exactly: value.rounded(.towardZero))
    case .text(let text): Int(text)
    case .bool(let value): value ? 1 : 0
    case .null: nil
    }
  }

  /// The number, also of a column of type decimal, which PostgreSQL and MySQL give as text.
  public var asDouble: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .real(let value): value
    case .text(let text): Double(text)
    case .bool, .null: nil
    }
  }

  /// The text; numbers are written. Nil for null.
  public var asText: String? {
    switch self {
    case .text(let text): text
    case .integer(let value): "\(value)"
    case .real(let value): "\(value)"
    case .bool(let value): value ? "1" : "0"
    case .null: nil
    }
  }

  public var asBool: Bool {
    switch self {
    case .bool(let value): value
    case .integer(let value): value != 0
    case .text(let text): text == "t" || text == "1" || text == "true"
    case .real(let value): value != 0
    case .null: false
    }
  }
}

extension SQLValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .text(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(nilLiteral: ()) { self = .null }
}

/// A row, its values in the order of the columns.
public typealias Row = [SQLValue]

/// What a statement returned.
public struct StatementResult: Sendable, Hashable {
  public var rows: [Row] = []
  /// Rows that the statement changed.
  public var changes = 0

  public init(rows: [Row] = [], changes: Int = 0) {
    self.rows = rows
    self.changes = changes
  }
}

/// Why a database did not do what it was asked for.
public struct DatabaseError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Kind: String, Sendable, Hashable {
    /// The library, server or file cannot be reached.
    case unavailable
    /// Another process has locked the database, or the transaction collided with another one.
    case busy
    /// There is no room on the disk.
    case full
    /// A row is there already, or refers to one that is not.
    case constraint
    /// A value does not fit its column.
    case value
    /// A table or column is missing.
    case missing
    /// The user may not do it.
    case denied
    /// Anything else: a wrong statement, a damaged file.
    case other
  }

  public var kind: Kind
  /// One sentence for the log, which names the database but no password.
  public var text: String
  /// Whether the file, the server or a standby can be read but takes no changes.
  public var isReadOnly = false

  public init(_ kind: Kind, _ text: String) {
    self.kind = kind
    self.text = text
  }

  public var description: String { text }

  /// Whether the same may succeed later, with nothing changed by us.
  public var isTemporary: Bool { kind == .unavailable || kind == .busy || kind == .full }
}

/// Where a transaction is, seen from a connection that may be lost in its midst.
enum TransactionState {
  case none
  case open
  /// The server has given it up: its statements fail until it is rolled back.
  case broken(DatabaseError)
}

/// The statements that a connection has prepared. The oldest leaves where there are too many.
package struct PreparedStatements<Statement> {
  /// Of one connection; the server keeps each in memory.
  package static var limit: Int { 256 }

  private var statements: [String: Statement] = [:]
  private var order: [String] = []

  package init() {}

  package var isEmpty: Bool { statements.isEmpty }
  package var all: Dictionary<String, Statement>.Values { statements.values }

  package subscript(sql: String) -> Statement? { statements[sql] }

  /// Adds one, and returns that which has to leave.
  package mutating func add(_ statement: Statement, for sql: String) -> Statement? {
    statements[sql] = statement
    order.append(sql)
    guard order.count > Self.limit else { return nil }
    return statements.removeValue(forKey: order.removeFirst())
  }

  package mutating func remove(_ sql: String) -> Statement? {
    order.removeAll { $0 == sql }
    return statements.removeValue(forKey: sql)
  }

  package mutating func removeAll() {
    statements = [:]
    order = []
  }
}

extension DatabaseSettings {
  /// How messages name the database, without password.
  package var title: String {
    switch engine {
    case .sqlite: name
    case .postgresql: "PostgreSQL database \(name)" + place
    case .mysql: "MySQL database \(name)" + place
    }
  }

  private var place: String {
    guard let host, !host.isEmpty else { return "" }
    return " on \(host)" + (port.map { ":\($0)" } ?? "")
  }

  /// An error that names the database. A message of several lines becomes one; a password in it is left out: a short one where
  /// it is a word of its own, since its letters are in other words too.
  package func error(_ kind: DatabaseError.Kind, _ message: String) -> DatabaseError {
    var text = message.split(whereSeparator: \.isNewline).map { $0.trimmedBlanks }.filter { !$0.isEmpty }
      .joined(separator: "; ")
    if let password, !password.isEmpty { text = text.leavingOut(password) }
    return DatabaseError(kind, "\(title): \(text)" + (kind == .unavailable ? originNote : ""))
  }

  /// Where an administrator looks who finds that the database cannot be reached.
  var originNote: String { origin.map { " (\($0))" } ?? "" }
}

extension StringProtocol {
  fileprivate var trimmedBlanks: String {
    var part = Substring(self)
    while part.first?.isWhitespace == true { part.removeFirst() }
    while part.last?.isWhitespace == true { part.removeLast() }
    return String(part)
  }
}

extension String {
  /// Passwords of fewer bytes are looked for as words only.
  private static var shortPassword: Int { 6 }

  fileprivate func leavingOut(_ password: String) -> String {
    let bytes = Array(utf8)
    let wanted = Array(password.utf8)
    let isShort = wanted.count < Self.shortPassword
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let end = index + wanted.count
      let isWord = !(index > 0 && bytes[index - 1].isOfWord) && !(end < bytes.count && bytes[end].isOfWord)
      if bytes[index...].starts(with: wanted), isWord || !isShort {
        result += Array("***".utf8)
        index = end
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}

extension UInt8 {
  /// Whether it is a letter or digit, or a part of one that is not ASCII.
  fileprivate var isOfWord: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "a")...UInt8(ascii: "z"), 0x80...:
      true
    default: false
    }
  }
}

/// A time as `YYYY-MM-DD HH:MM:SS[.ffffff]`, from what a server writes: a fraction of another size, a zone's offset.
func timestampText(_ text: Substring.UTF8View) -> String {
  let plainBytes = 19
  guard text.count > plainBytes else { return String(decoding: text, as: UTF8.self) }
  let rest = text.dropFirst(plainBytes)
  guard rest.first == UInt8(ascii: ".") else { return String(decoding: text.prefix(plainBytes), as: UTF8.self) }
  let digits = rest.dropFirst().prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.prefix(6)
  let seconds = String(decoding: text.prefix(plainBytes), as: UTF8.self)
  guard digits.contains(where: { $0 != UInt8(ascii: "0") }) else { return seconds }
  return seconds + "." + String(decoding: digits, as: UTF8.self) + String(repeating: "0", count: 6 - digits.count)
}

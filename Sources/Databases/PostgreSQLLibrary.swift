package import CDatabases
import Glibc
import TextBytes

/// libpq: its functions, and what its strings and numbers mean.
package struct PostgreSQLLibrary {
  package let functions: cdb_postgresql
  private let settings: DatabaseSettings

  // Numbers of libpq's interface.
  package static let connectionOK: Int32 = 0
  package static let connectionBad: Int32 = 1
  package static let commandOK: Int32 = 1
  package static let tuplesOK: Int32 = 2
  /// PGRES_COPY_OUT, _IN, _BOTH: nobody takes part in these.
  package static let copying: Set<Int32> = [3, 4, 8]
  private static let sqlState: Int32 = 67

  /// Loads the library.
  package init(_ settings: DatabaseSettings) throws(DatabaseError) {
    var reason: UnsafePointer<CChar>?
    guard let functions = cdb_load_postgresql(&reason) else {
      let text = reason.map { String(cString: $0) } ?? "?"
      throw settings.error(.unavailable, "libpq.so.5 cannot be loaded, Debian has it in the package libpq5: \(text)")
    }
    self.functions = functions.pointee
    self.settings = settings
  }

  // MARK: Connecting

  /// Calls `body` with keywords and values for PQconnectdbParams and PQconnectStartParams. Of a keyword that is there twice
  /// libpq takes the last.
  ///
  /// - Parameters:
  ///   - hosts: those to connect to, instead of the settings'.
  ///   - addresses: of the hosts, where they were looked up already.
  package func withParameters<Result>(
    hosts: String? = nil, addresses: String? = nil,
    _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> Result
  ) -> Result {
    // A host that is gone without a word is noticed after a minute and a half.
    var pairs = [
      ("connect_timeout", "10"), ("application_name", "bcfg2"), ("keepalives_idle", "30"),
      ("keepalives_interval", "15"),
      ("keepalives_count", "4"), ("tcp_user_timeout", "90000"),
    ]
    pairs += settings.options.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    pairs += [("dbname", settings.name), ("client_encoding", "UTF8")]
    if let user = settings.user { pairs.append(("user", user)) }
    if let password = settings.password { pairs.append(("password", password)) }
    if let host = hosts ?? settings.host { pairs.append(("host", host)) }
    if let port = settings.port { pairs.append(("port", "\(port)")) }
    if let addresses { pairs.append(("hostaddr", addresses)) }
    let keywords = CStrings(pairs.map { Array($0.0.utf8) })
    let values = CStrings(pairs.map { Array($0.1.utf8) })
    return keywords.withPointers { keywords in values.withPointers { body(keywords, $0) } }
  }

  /// What a new connection is told first, in one query.
  package var greeting: String { Self.greeting(zone: LocalTimeZone.name) }

  static func greeting(zone: String?) -> String {
    var settings = ["DateStyle TO ISO", "standard_conforming_strings TO on"]
    if let zone { settings.append("TimeZone TO '\(zone.replacing(each: "'", by: "''"))'") }
    return settings.map { "SET \($0)" }.joined(separator: "; ")
  }

  // MARK: Results

  /// The rows of a result; none if the statement returns none.
  package func rows(_ result: OpaquePointer) -> [Row] {
    let types = (0..<functions.column_count(result)).map { functions.column_type(result, $0) }
    return (0..<functions.row_count(result)).map { row in
      types.enumerated().map { column, type in value(result, row, Int32(column), type) }
    }
  }

  package func columns(_ result: OpaquePointer) -> [String] {
    (0..<functions.column_count(result)).map { column in
      functions.column_name(result, column).map { String(cString: $0) } ?? ""
    }
  }

  /// Rows that a statement without rows of its own has changed.
  package func changes(_ result: OpaquePointer) -> Int {
    guard functions.result_status(result) == Self.commandOK else { return 0 }
    return functions.changes(result).flatMap { Int(String(cString: $0)) } ?? 0
  }

  private func value(_ result: OpaquePointer, _ row: Int32, _ column: Int32, _ type: UInt32) -> SQLValue {
    guard functions.is_null(result, row, column) == 0, let address = functions.value(result, row, column) else {
      return .null
    }
    let count = Int(functions.length(result, row, column))
    let text = UnsafeRawBufferPointer(start: address, count: count).withMemoryRebound(to: UInt8.self) {
      String(decoding: $0, as: UTF8.self)
    }
    // Object identifiers of pg_type: they never change.
    switch type {
    case 16: return .integer(text == "t" ? 1 : 0)
    case 20, 21, 23, 26: return Int64(text).map(SQLValue.integer) ?? .text(text)
    case 700, 701: return Double(text).map(SQLValue.real) ?? .text(text)
    case 1114, 1184: return .text(timestampText(text[...].utf8))
    default: return .text(text)
    }
  }

  // MARK: Errors

  /// The error of a connection that could not be made or was lost.
  package func connectionError(_ connection: OpaquePointer) -> DatabaseError {
    settings.error(.unavailable, functions.error_message(connection).map { String(cString: $0) } ?? "it is lost")
  }

  /// The error that a result is; nil if it is none.
  ///
  /// - Parameter sql: for errors that name no statement.
  package func error(_ result: OpaquePointer, _ sql: String) -> DatabaseError? {
    let status = functions.result_status(result)
    if status == Self.commandOK || status == Self.tuplesOK { return nil }
    let message = functions.result_error_message(result).map { String(cString: $0) } ?? "it failed"
    let kind = Self.kind(state(result))
    var error = settings.error(kind, [.other, .denied].contains(kind) ? "\(message) in: \(sql)" : message)
    error.isReadOnly = state(result) == "25006"
    return error
  }

  /// The SQLSTATE of a failed result.
  package func state(_ result: OpaquePointer) -> String {
    functions.result_error_field(result, Self.sqlState).map { String(cString: $0) } ?? ""
  }

  /// Whether the statement of a failed result has to be prepared again: a table has changed, or it was deallocated.
  package func isOutdated(_ result: OpaquePointer) -> Bool { ["0A000", "26000"].contains(state(result)) }

  /// What an SQLSTATE means (PostgreSQL's manual, Appendix A).
  static func kind(_ state: String) -> DatabaseError.Kind {
    switch state {
    case "08P01": .other
    // Too many connections; no memory; a standby, which cannot be written to.
    case "53300", "53200", "25006": .unavailable
    case "53100": .full
    case "40001", "40P01", "55P03", "57014": .busy
    case "42P01", "42703", "3F000": .missing
    case "42501": .denied
    default:
      switch state.prefix(2) {
      case "08", "57", "58": .unavailable
      case "23": .constraint
      // 54: a value is too large for an index.
      case "22", "54": .value
      default: .other
      }
    }
  }
}

/// The values of a statement as PostgreSQL takes them: text, of which the server knows the types.
package struct PostgreSQLValues {
  private let strings: CStrings

  package init(_ values: [SQLValue], _ settings: DatabaseSettings) throws(DatabaseError) {
    var texts: [[UInt8]?] = []
    texts.reserveCapacity(values.count)
    for value in values {
      switch value {
      case .null: texts.append(nil)
      case .text(let text):
        let bytes = Array(text.utf8)
        if bytes.contains(0) {
          throw settings.error(.value, "a text with a NUL character cannot be stored in PostgreSQL")
        }
        texts.append(bytes)
      case .integer, .real, .bool: texts.append(value.asText.map { Array($0.utf8) })
      }
    }
    strings = CStrings(texts)
  }

  /// No values.
  package static let none = PostgreSQLValues()

  private init() { strings = CStrings([]) }

  package var count: Int { strings.count }

  package func withPointers<Result>(_ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
    strings.withPointers(body)
  }
}

/// Strings for C, behind each other in one buffer, ended by a null pointer.
struct CStrings {
  private var bytes: [UInt8] = []
  private var offsets: [Int?] = []

  init(_ strings: [[UInt8]?]) {
    for string in strings {
      offsets.append(string == nil ? nil : bytes.count)
      guard let string else { continue }
      bytes += string
      bytes.append(0)
    }
    // An empty array has no address.
    bytes.append(0)
  }

  var count: Int { offsets.count }

  func withPointers<Result>(_ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
    bytes.withUnsafeBytes { raw in
      let base = raw.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
      let pointers = offsets.map { offset in offset.map { base + $0 } } + [nil]
      return pointers.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }
  }
}

/// The time zone of this process by its name, for a server that computes times of its own.
enum LocalTimeZone {
  /// TZ, or what /etc/localtime links to; nil if neither tells.
  static var name: String? {
    if let value = getenv("TZ") {
      let text = String(cString: value)
      if !text.isEmpty { return name(of: text.dropping(prefix: ":").map(String.init) ?? text) }
    }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = readlink("/etc/localtime", &buffer, buffer.count)
    guard count > 0 else { return access("/etc/localtime", F_OK) == 0 ? nil : "UTC" }
    return name(of: String(decoding: buffer[..<count], as: UTF8.self))
  }

  /// The part of a path behind `zoneinfo/`; anything that is no path is a name.
  private static func name(of text: String) -> String? {
    guard text.utf8.contains(UInt8(ascii: "/")), text.begins(with: "/") || text.begins(with: ".") else { return text }
    let folder = Array("zoneinfo/".utf8)
    let bytes = Array(text.utf8)
    guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: folder) }) else { return nil }
    return String(decoding: bytes[(start + folder.count)...], as: UTF8.self)
  }
}

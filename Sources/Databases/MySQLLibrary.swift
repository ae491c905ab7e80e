import CDatabases

/// libmariadb: its functions, options and errors.
struct MySQLLibrary {
  let functions: cdb_mysql
  private let settings: DatabaseSettings

  // Numbers of Connector/C's interface: MYSQL_OPT_..., CLIENT_...
  private static let numberOptions = ["connect_timeout": Int32(0), "read_timeout": 11, "write_timeout": 12]
  private static let textOptions = [
    "init_command": Int32(3), "read_default_file": 4, "read_default_group": 5, "ssl_key": 25, "ssl_cert": 26,
    "ssl_ca": 27, "ssl_capath": 28, "ssl_cipher": 29,
  ]
  private static let charsetName: Int32 = 7
  private static let verifyServer: Int32 = 21
  private static let enforceTLS: Int32 = 38
  /// An UPDATE counts the rows that it found, as with the other engines.
  private static let foundRows: UInt = 2

  /// Names between double quotes, `||`, and backslashes as in the SQL standard; a value that does not fit is an error.
  private static let session = [
    """
    SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'
    """,
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
  ]

  init(_ settings: DatabaseSettings) throws(DatabaseError) {
    var reason: UnsafePointer<CChar>?
    guard let functions = cdb_load_mysql(&reason) else {
      let text = reason.map { String(cString: $0) } ?? "?"
      throw settings.error(
        .unavailable, "libmariadb.so.3 cannot be loaded, Debian has it in the package libmariadb3: \(text)")
    }
    self.functions = functions.pointee
    self.settings = settings
  }

  // MARK: Connecting

  func connect() throws(DatabaseError) -> OpaquePointer {
    guard let connection = functions.`init`(nil) else { throw settings.error(.unavailable, "out of memory") }
    do throws(DatabaseError) {
      try setOptions(connection)
      let host = settings.host.flatMap { $0.isEmpty ? nil : $0 }
      let isSocket = host?.hasPrefix("/") == true
      let opened = functions.real_connect(
        connection, isSocket ? nil : host, settings.user, settings.password, settings.name,
        UInt32(settings.port ?? 0), isSocket ? host : nil, Self.foundRows)
      guard opened != nil else {
        throw settings.error(.unavailable, functions.error_text(connection).map { String(cString: $0) } ?? "no answer")
      }
      for sql in Self.session where functions.query(connection, sql, UInt(sql.utf8.count)) != 0 {
        throw error(functions.error_number(connection), functions.error_text(connection), sql)
      }
    } catch {
      functions.close(connection)
      throw error
    }
    return connection
  }

  private func setOptions(_ connection: OpaquePointer) throws(DatabaseError) {
    _ = functions.options(connection, Self.charsetName, "utf8mb4")
    var options = settings.options
    // A server that hangs is as one that is away.
    for (name, seconds) in [("connect_timeout", "10"), ("read_timeout", "600"), ("write_timeout", "600")] {
      options[name] = options[name] ?? seconds
    }
    for (name, value) in options.sorted(by: { $0.key < $1.key }) {
      if let number = Self.numberOptions[name] {
        guard var seconds = UInt32(value) else { throw wrong(name, value, "a number of seconds") }
        _ = functions.options(connection, number, &seconds)
      } else if let number = Self.textOptions[name] {
        _ = functions.options(connection, number, value)
      } else if name == "ssl_mode" {
        try setTLS(connection, value)
      } else if name == "charset" {
        // It is always utf8mb4, which holds all of utf8.
        guard ["utf8mb4", "utf8"].contains(value) else { throw wrong(name, value, "utf8mb4") }
      } else {
        let known = Array(Self.numberOptions.keys) + Array(Self.textOptions.keys) + ["charset", "ssl_mode"]
        throw settings.error(.other, "there is no option \(name), but \(known.sorted().joined(separator: ", "))")
      }
    }
  }

  private func setTLS(_ connection: OpaquePointer, _ mode: String) throws(DatabaseError) {
    var yes: CChar = 1
    switch mode {
    case "REQUIRED": _ = functions.options(connection, Self.enforceTLS, &yes)
    case "VERIFY_IDENTITY":
      _ = functions.options(connection, Self.enforceTLS, &yes)
      _ = functions.options(connection, Self.verifyServer, &yes)
    case "PREFERRED": break
    default: throw wrong("ssl_mode", mode, "PREFERRED, REQUIRED or VERIFY_IDENTITY")
    }
  }

  private func wrong(_ option: String, _ value: String, _ allowed: String) -> DatabaseError {
    settings.error(.other, "the option \(option) is \(value), but must be \(allowed)")
  }

  // MARK: Errors

  func error(_ number: UInt32, _ text: UnsafePointer<CChar>?, _ sql: String) -> DatabaseError {
    let message = text.map { String(cString: $0) } ?? ""
    let kind = Self.kind(number, message)
    let end = [.other, .denied].contains(kind) ? " in: \(sql)" : ""
    var error = settings.error(kind, "\(message.isEmpty ? "error \(number)" : message)\(end)")
    error.isReadOnly = [1290, 1792, 1836].contains(number)
    return error
  }

  /// What an error number of the server (1000...) or the library (2000...) means.
  static func kind(_ number: UInt32, _ message: String) -> DatabaseError.Kind {
    switch number {
    // 1615, 2057: a table changed meanwhile.
    case 1020, 1205, 1213, 1615, 1969, 2057, 3024: .busy
    // The library: wrong calls, which are errors of ours; all else is the connection.
    case 2014, 2030...2036, 2050...2053: .other
    case 2000...2999: .unavailable
    // Shutting down, no connections left, read only, killed.
    case 1040, 1053, 1077, 1079, 1129, 1152, 1158...1161, 1203, 1290, 1792, 1836, 1927: .unavailable
    case 1021, 1114: .full
    case 3 where message.hasNoSpace, 1026 where message.hasNoSpace, 1030 where message.hasNoSpace: .full
    case 1022, 1048, 1062, 1169, 1216, 1217, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025: .constraint
    case 1153, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1690, 3140, 4078: .value
    case 1049, 1051, 1054, 1109, 1146: .missing
    case 1142, 1143, 1227: .denied
    default: .other
    }
  }
}

extension String {
  /// Whether a message has the text, or the number, of ENOSPC.
  fileprivate var hasNoSpace: Bool {
    let bytes = Array(utf8)
    let texts = ["No space left", "rror 28", "rrcode: 28"].map { Array($0.utf8) }
    return bytes.indices.contains { start in texts.contains { bytes[start...].starts(with: $0) } }
  }
}

import Databases
import EventLoop

/// How statements and their results are written for the helper process: numbers little-endian, texts with their length.
///
/// Both ends are the same executable, so the form may change with it. What is read is checked all the same: a helper that has
/// lost its senses must not take the daemon with it.
nonisolated enum StatementFrames {
  /// The most bytes of a question or an answer.
  static let limitBytes = 64 << 20
  /// Statements of a transaction.
  static let statementLimit = 65_536

  enum Kind {
    static let settings: UInt8 = 1
    static let statements: UInt8 = 2
    static let results: UInt8 = 3
    static let failure: UInt8 = 4
  }

  struct Malformed: Error {}

  // MARK: Settings

  static func bytes(of settings: DatabaseSettings) -> [UInt8] {
    var writer = FrameWriter()
    writer.write(settings.engine.rawValue)
    writer.write(settings.name)
    writer.write(settings.user)
    writer.write(settings.password)
    writer.write(settings.host)
    writer.write(settings.port.map { "\($0)" })
    writer.write(number: settings.options.count)
    for (name, value) in settings.options {
      writer.write(name)
      writer.write(value)
    }
    return writer.bytes
  }

  static func settings(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> DatabaseSettings {
    var reader = FrameReader(bytes)
    guard let engine = DatabaseEngine(rawValue: try reader.text()) else { throw Malformed() }
    var settings = DatabaseSettings(engine: engine, name: try reader.text())
    settings.user = try reader.optionalText()
    settings.password = try reader.optionalText()
    settings.host = try reader.optionalText()
    settings.port = try reader.optionalText().flatMap { Int($0) }
    for _ in 0..<(try reader.count(atLeast: 8)) {
      let name = try reader.text()
      settings.options[name] = try reader.text()
    }
    return settings
  }

  // MARK: Statements

  static func bytes(of statements: [LoopStatement]) -> [UInt8] {
    var writer = FrameWriter()
    writer.write(number: statements.count)
    for statement in statements {
      writer.write(statement.sql)
      writer.write(statement.values)
    }
    return writer.bytes
  }

  static func statements(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> [LoopStatement] {
    var reader = FrameReader(bytes)
    var statements: [LoopStatement] = []
    for _ in 0..<(try reader.count(atLeast: 8)) {
      statements.append(LoopStatement(try reader.text(), try reader.values()))
    }
    return statements
  }

  // MARK: Answers

  static func bytes(of results: [StatementResult]) -> [UInt8] {
    var writer = FrameWriter()
    writer.write(number: results.count)
    for result in results {
      writer.write(number: result.rows.count)
      for row in result.rows { writer.write(row) }
      writer.write(number: result.changes)
    }
    return writer.bytes
  }

  static func results(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> [StatementResult] {
    var reader = FrameReader(bytes)
    var results: [StatementResult] = []
    for _ in 0..<(try reader.count(atLeast: 8)) {
      var result = StatementResult()
      for _ in 0..<(try reader.count(atLeast: 4)) { result.rows.append(try reader.values()) }
      result.changes = try reader.number()
      results.append(result)
    }
    guard reader.isAtEnd else { throw Malformed() }
    return results
  }

  static func bytes(of error: DatabaseError) -> [UInt8] {
    var writer = FrameWriter()
    writer.write(error.kind.rawValue)
    writer.write(error.text)
    return writer.bytes
  }

  static func failure(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> DatabaseError {
    var reader = FrameReader(bytes)
    guard let kind = DatabaseError.Kind(rawValue: try reader.text()) else { throw Malformed() }
    return DatabaseError(kind, try reader.text())
  }

  /// A header and what it announces.
  static func frame(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
    FrameHeader.frame(kind: kind, request: 0, payload)
  }
}

/// Writes a payload.
nonisolated struct FrameWriter {
  private(set) var bytes: [UInt8] = []

  mutating func write(number: Int) {
    withUnsafeBytes(of: UInt32(clamping: number).littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func write(_ text: String) {
    write(number: text.utf8.count)
    bytes.append(contentsOf: text.utf8)
  }

  mutating func write(_ text: String?) {
    bytes.append(text == nil ? 0 : 1)
    if let text { write(text) }
  }

  mutating func write(_ values: [SQLValue]) {
    write(number: values.count)
    for value in values {
      switch value {
      case .null: bytes.append(0)
      case .integer(let number): write(tag: 1, UInt64(bitPattern: number))
      case .real(let number): write(tag: 2, number.bitPattern)
      case .text(let text):
        bytes.append(3)
        write(text)
      case .bool(let flag): bytes.append(flag ? 5 : 4)
      }
    }
  }

  private mutating func write(tag: UInt8, _ word: UInt64) {
    bytes.append(tag)
    withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
  }
}

/// Reads a payload; every count is checked against the bytes that are left.
nonisolated struct FrameReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func number() throws(StatementFrames.Malformed) -> Int { Int(try word(4)) }

  /// A number of things that take at least so many bytes each.
  mutating func count(atLeast size: Int) throws(StatementFrames.Malformed) -> Int {
    let count = try number()
    guard count <= rest.count / size else { throw StatementFrames.Malformed() }
    return count
  }

  mutating func text() throws(StatementFrames.Malformed) -> String {
    String(decoding: try take(try number()), as: UTF8.self)
  }

  mutating func optionalText() throws(StatementFrames.Malformed) -> String? {
    try byte() == 0 ? nil : try text()
  }

  mutating func values() throws(StatementFrames.Malformed) -> [SQLValue] {
    var values: [SQLValue] = []
    for _ in 0..<(try count(atLeast: 1)) {
      switch try byte() {
      case 0: values.append(.null)
      case 1: values.append(.integer(Int64(bitPattern: try word(8))))
      case 2: values.append(.real(Double(bitPattern: try word(8))))
      case 3: values.append(.text(try text()))
      case 4: values.append(.bool(false))
      case 5: values.append(.bool(true))
      default: throw StatementFrames.Malformed()
      }
    }
    return values
  }

  private mutating func byte() throws(StatementFrames.Malformed) -> UInt8 {
    guard let byte = rest.popFirst() else { throw StatementFrames.Malformed() }
    return byte
  }

  private mutating func word(_ size: Int) throws(StatementFrames.Malformed) -> UInt64 {
    try take(size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func take(_ count: Int) throws(StatementFrames.Malformed) -> ArraySlice<UInt8> {
    guard count <= rest.count else { throw StatementFrames.Malformed() }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }
}

/// Why bytes are no record.
public struct RecordError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

extension Interaction {
  /// Reads the encoded values of a record, without its length and checksum.
  ///
  /// - Throws: `RecordError` for a version that is not known, and for anything that `record()` does not write.
  public init(encoded bytes: ArraySlice<UInt8>) throws(RecordError) {
    let result = bytes.withUnsafeBytes { raw in
      var reader = RecordReader(raw)
      return Result { () throws(RecordError) in try Interaction(&reader) }
    }
    self = try result.get()
  }

  private init(_ reader: inout RecordReader) throws(RecordError) {
    let version = try reader.byte()
    guard version == Self.version else { throw RecordError("version \(version) of the encoding is not known") }
    let microseconds = Int64(bitPattern: try reader.number())
    self.init(hostname: try reader.text(), microseconds: microseconds)
    server = try reader.text()
    profile = try reader.text()
    state = try reader.text()
    revision = try reader.text()
    good = try reader.foldedNumber()
    total = try reader.foldedNumber()
    let flags = try reader.byte()
    guard flags < 4 else { throw RecordError("a flag is not known") }
    isDryRun = flags & 1 != 0
    isOnlyImportant = flags & 2 != 0
    groups = try reader.list { reader throws(RecordError) in try reader.text() }
    bundles = try reader.list { reader throws(RecordError) in try reader.text() }
    stamps = try reader.attributes()
    items = try reader.list { reader throws(RecordError) in
      guard let state = ReportedItem.State(rawValue: try reader.byte()) else {
        throw RecordError("the state of an entry is not known")
      }
      return ReportedItem(
        state: state, tag: try reader.text(), attributes: try reader.attributes(),
        children: try reader.list { reader throws(RecordError) in
          ReportedItem.Child(tag: try reader.text(), attributes: try reader.attributes())
        })
    }
    guard reader.isAtEnd else { throw RecordError("there is something behind the last entry") }
  }
}

/// Reads values of a record. Nothing is allocated for more than the bytes that are there.
private struct RecordReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { left == 0 }
  private var left: Int { bytes.count - position }

  mutating func byte() throws(RecordError) -> UInt8 {
    guard left > 0 else { throw RecordError("it ends too early") }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func number() throws(RecordError) -> UInt64 {
    var number: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try byte()
      guard shift < 63 || (shift == 63 && byte <= 1) else { throw RecordError("a number has more than 64 bits") }
      number |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 {
        guard byte != 0 || shift == 0 else { throw RecordError("a number is longer than it has to be") }
        return number
      }
      shift += 7
    }
  }

  mutating func foldedNumber() throws(RecordError) -> Int {
    let number = try number()
    return Int(truncatingIfNeeded: number >> 1) ^ -Int(truncatingIfNeeded: number & 1)
  }

  mutating func text() throws(RecordError) -> String {
    let count = try number()
    guard count <= left else { throw RecordError("a text ends too early") }
    let part = UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(count)])
    position += Int(count)
    guard let text = String(validating: part, as: UTF8.self) else { throw RecordError("a text is not in UTF-8") }
    return text
  }

  mutating func list<Part>(
    _ part: (inout RecordReader) throws(RecordError) -> Part
  ) throws(RecordError) -> [Part] {
    let count = try number()
    // A part has at least one byte.
    guard count <= left else { throw RecordError("a list ends too early") }
    var parts: [Part] = []
    parts.reserveCapacity(min(Int(count), 64))
    for _ in 0..<count { parts.append(try part(&self)) }
    return parts
  }

  mutating func attributes() throws(RecordError) -> [Attribute] {
    try list { reader throws(RecordError) in Attribute(try reader.text(), try reader.text()) }
  }
}

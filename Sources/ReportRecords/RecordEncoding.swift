extension Interaction {
  /// The version of the encoding, the first byte of a record.
  static let version: UInt8 = 1

  /// The interaction as a record of the spool: its length and checksum, four bytes each, and the encoded values.
  ///
  /// Numbers have seven bits in each byte, the lowest first; texts and lists begin with their length.
  public func record() -> [UInt8] {
    var writer = RecordWriter()
    writer.add(Self.version)
    writer.add(UInt64(bitPattern: microseconds))
    for text in [hostname, server, profile, state, revision] { writer.add(text) }
    writer.add(RecordWriter.folded(good))
    writer.add(RecordWriter.folded(total))
    writer.add(UInt8((isDryRun ? 1 : 0) + (isOnlyImportant ? 2 : 0)))
    writer.add(groups)
    writer.add(bundles)
    writer.add(stamps)
    writer.add(UInt64(items.count))
    for item in items {
      writer.add(item.state.rawValue)
      writer.add(item.tag)
      writer.add(item.attributes)
      writer.add(UInt64(item.children.count))
      for child in item.children {
        writer.add(child.tag)
        writer.add(child.attributes)
      }
    }
    return writer.finish()
  }
}

/// Writes values into a record.
private struct RecordWriter {
  private var bytes: [UInt8] = []

  init() {
    bytes.reserveCapacity(4096)
    bytes.append(contentsOf: repeatElement(0, count: SpoolSegment.headBytes))
  }

  mutating func add(_ byte: UInt8) { bytes.append(byte) }

  mutating func add(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func add(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      add(UInt64(utf8.count))
      bytes.append(contentsOf: utf8)
    }
  }

  mutating func add(_ texts: [String]) {
    add(UInt64(texts.count))
    for text in texts { add(text) }
  }

  mutating func add(_ attributes: [Attribute]) {
    add(UInt64(attributes.count))
    for attribute in attributes {
      add(attribute.name)
      add(attribute.value)
    }
  }

  /// Puts numbers of small amount, also negative ones, among the small ones.
  static func folded(_ number: Int) -> UInt64 { UInt64(bitPattern: Int64(number << 1 ^ number >> 63)) }

  /// Fills in length and checksum.
  mutating func finish() -> [UInt8] {
    let head = SpoolSegment.headBytes
    let count = UInt32(bytes.count - head)
    let sum = bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[head...])) }
    withUnsafeBytes(of: (count.littleEndian, sum.littleEndian)) { bytes.replaceSubrange(0..<head, with: $0) }
    return bytes
  }
}

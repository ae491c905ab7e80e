import CDatabases

/// Types of a MYSQL_BIND (enum_field_types).
private enum FieldType {
  static let double: Int32 = 5
  static let null: Int32 = 6
  static let integer: Int32 = 8
  static let text: Int32 = 254
  static let timestamps: [Int32] = [7, 12]
  static let bits: Int32 = 16

  /// How a column of a type is asked for.
  static func asked(_ type: Int32) -> Int32 {
    switch type {
    case 1, 2, 3, 8, 9, 13: integer
    case 4, 5: double
    default: text
    }
  }
}

/// The values of a statement, and the bindings that point at them.
struct MySQLParameters {
  private let values: [SQLValue]

  init(_ values: [SQLValue]) { self.values = values }

  /// Calls `body` with the bindings, nil if there are none.
  func withBindings(_ body: (UnsafeMutablePointer<cdb_mysql_bind>?) -> Bool) -> Bool {
    if values.isEmpty { return body(nil) }
    // Numbers first, 8 bytes for each value, then the texts.
    let textsOffset = values.count * 8
    var bytes = [UInt8](repeating: 0, count: textsOffset)
    var offsets: [Int] = []
    for (index, value) in values.enumerated() {
      offsets.append(index * 8)
      switch value {
      case .null: break
      case .integer(let number): store(number, in: &bytes, index)
      case .real(let number): store(number.bitPattern, in: &bytes, index)
      case .bool(let flag): store(Int64(flag ? 1 : 0), in: &bytes, index)
      case .text(let text):
        offsets[index] = bytes.count
        bytes += Array(text.utf8)
      }
    }
    return bytes.withUnsafeMutableBytes { raw in
      var bindings = values.enumerated().map { index, value in
        var binding = cdb_mysql_bind()
        binding.buffer_type = Self.type(value)
        binding.buffer = raw.baseAddress.map { $0 + offsets[index] }
        if case .text(let text) = value {
          // Without a pointer to a length, the length is this.
          binding.length_value = UInt(text.utf8.count)
          binding.buffer_length = binding.length_value
        }
        return binding
      }
      return bindings.withUnsafeMutableBufferPointer { buffer in
        // The length of a text is read through a pointer.
        if let base = buffer.baseAddress {
          for index in buffer.indices {
            let place = UnsafeMutableRawPointer(base + index) + Self.lengthOffset
            buffer[index].length = place.assumingMemoryBound(to: UInt.self)
          }
        }
        return body(buffer.baseAddress)
      }
    }
  }

  private static let lengthOffset = MemoryLayout<cdb_mysql_bind>.offset(of: \.length_value).unsafelyUnwrapped

  private func store(_ number: some FixedWidthInteger, in bytes: inout [UInt8], _ index: Int) {
    withUnsafeBytes(of: number) { bytes.replaceSubrange(index * 8..<index * 8 + 8, with: $0) }
  }

  private static func type(_ value: SQLValue) -> Int32 {
    switch value {
    case .null: FieldType.null
    case .integer, .bool: FieldType.integer
    case .real: FieldType.double
    case .text: FieldType.text
    }
  }
}

/// The buffers that rows are fetched into.
final class MySQLColumns {
  /// Bytes of a text that need no second call.
  private static let slotBytes = 256

  let bindings: UnsafeMutablePointer<cdb_mysql_bind>
  private let fields: [cdb_mysql_field]
  private let slots: UnsafeMutableRawPointer
  private let lengths: UnsafeMutablePointer<UInt>
  /// Whether a value is null, and behind these, whether it was cut.
  private let flags: UnsafeMutablePointer<CChar>

  init(_ fields: [cdb_mysql_field]) {
    self.fields = fields
    bindings = .allocate(capacity: fields.count)
    slots = .allocate(byteCount: fields.count * Self.slotBytes, alignment: 8)
    lengths = .allocate(capacity: fields.count)
    lengths.initialize(repeating: 0, count: fields.count)
    flags = .allocate(capacity: fields.count * 2)
    flags.initialize(repeating: 0, count: fields.count * 2)
    for (index, field) in fields.enumerated() {
      var binding = cdb_mysql_bind()
      binding.buffer_type = FieldType.asked(field.type)
      binding.buffer = slots + index * Self.slotBytes
      binding.buffer_length = UInt(Self.slotBytes)
      binding.length = lengths + index
      binding.is_null = flags + index
      binding.error = flags + fields.count + index
      binding.is_unsigned = field.flags & Self.unsigned != 0 ? 1 : 0
      (bindings + index).initialize(to: binding)
    }
  }

  private static let unsigned: UInt32 = 32

  deinit {
    bindings.deallocate()
    slots.deallocate()
    lengths.deallocate()
    flags.deallocate()
  }

  /// The row that was fetched.
  ///
  /// - Parameter fetch: fetches a column that did not fit, by its index.
  func row(_ fetch: (Int, UnsafeMutablePointer<cdb_mysql_bind>) -> Int32) -> Row {
    fields.indices.map { value($0, fetch) }
  }

  private func value(_ index: Int, _ fetch: (Int, UnsafeMutablePointer<cdb_mysql_bind>) -> Int32) -> SQLValue {
    if flags[index] != 0 { return .null }
    let slot = slots + index * Self.slotBytes
    switch bindings[index].buffer_type {
    case FieldType.integer:
      let number = slot.load(as: Int64.self)
      // An unsigned number that no Int64 holds.
      return bindings[index].is_unsigned != 0 && number < 0 ? .text("\(UInt64(bitPattern: number))") : .integer(number)
    case FieldType.double: return .real(slot.load(as: Double.self))
    default: break
    }
    let bytes = bytes(index, slot, fetch)
    if FieldType.timestamps.contains(fields[index].type) {
      return .text(timestampText(String(decoding: bytes, as: UTF8.self)[...].utf8))
    }
    if fields[index].type == FieldType.bits { return .integer(bytes.reduce(0) { $0 << 8 | Int64($1) }) }
    return .text(String(decoding: bytes, as: UTF8.self))
  }

  private func bytes(
    _ index: Int, _ slot: UnsafeMutableRawPointer, _ fetch: (Int, UnsafeMutablePointer<cdb_mysql_bind>) -> Int32
  ) -> [UInt8] {
    let count = Int(lengths[index])
    guard count > Self.slotBytes else { return [UInt8](UnsafeRawBufferPointer(start: slot, count: count)) }
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      var binding = bindings[index]
      var length: UInt = 0
      binding.buffer = UnsafeMutableRawPointer(buffer.baseAddress)
      binding.buffer_length = UInt(count)
      let code = withUnsafeMutablePointer(to: &length) { place in
        binding.length = place
        return fetch(index, &binding)
      }
      // It fails only for an index that is no column.
      precondition(code == 0, "mysql_stmt_fetch_column")
      used = count
    }
  }
}

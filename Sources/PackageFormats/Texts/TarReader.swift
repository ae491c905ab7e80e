import Glibc

/// Reads a tar archive that arrives in pieces: ustar, pax headers, GNU's long names.
///
/// Only regular files are given. Links, devices and folders are passed over: a database of packages has folders and
/// files. Formats: POSIX.1-2024, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar: "Basic Tar Format".
struct TarReader {
  /// What the reader gives.
  enum Event {
    /// A regular file begins.
    case file(name: ByteText, size: Int)
    /// Bytes of the file, in pieces.
    case bytes(UnsafeRawBufferPointer)
    case end
  }

  private enum State {
    case header
    /// Bytes of a member, and padding behind them, that are still to come.
    case contents(Kind, left: Int, padding: Int)
    case padding(Int)
    /// After the first block of zeros: whatever follows is no member.
    case over
  }

  private enum Kind { case file, passedOver, longName, pax }

  private let file: String
  private var state = State.header
  private var block: [UInt8] = []
  /// What the next member's name is, from GNU's long name or a pax header.
  private var longName: [UInt8]?
  /// Its size, from a pax header.
  private var longSize: Int?
  private var extra: [UInt8] = []
  private var offset = 0
  private var isBegun = false

  static let blockBytes = 512
  /// Most bytes of a long name or a pax header.
  static let extraLimitBytes = 64 << 10

  /// - Parameter file: the archive, for errors.
  init(file: String) { self.file = file }

  mutating func write(
    _ bytes: UnsafeRawBufferPointer, _ body: (Event) throws(FormatError) -> Void
  ) throws(FormatError) {
    var rest = bytes
    func take(_ count: Int) -> UnsafeRawBufferPointer {
      let part = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      return part
    }
    while !rest.isEmpty {
      switch state {
      case .over: return
      case .header:
        isBegun = true
        block += take(Self.blockBytes - block.count)
        guard block.count == Self.blockBytes else { return }
        try withBytes(of: block) { block throws(FormatError) in try header(block, body) }
        block.removeAll(keepingCapacity: true)
      case .contents(let kind, let left, let padding):
        let part = take(left)
        offset += part.count
        switch kind {
        case .file: try body(.bytes(part))
        case .longName, .pax: extra += part
        case .passedOver: break
        }
        state = .contents(kind, left: left - part.count, padding: padding)
        if left == part.count { try finishMember(kind, padding: padding, body) }
      case .padding(let left):
        let count = take(left).count
        offset += count
        state = left == count ? .header : .padding(left - count)
      }
    }
  }

  /// Ends the archive.
  ///
  /// - Throws: if it ends within a member. The two blocks of zeros at the end may be missing, as for GNU tar.
  func finish() throws(FormatError) {
    switch state {
    case .over: break
    case .header:
      guard isBegun, block.isEmpty else { throw truncated }
    case .contents, .padding: throw truncated
    }
  }

  private var truncated: FormatError {
    FormatError(file: file, "the tar archive is truncated at byte \(offset) of its decompressed bytes")
  }

  private func damaged(_ what: String) -> FormatError {
    FormatError(file: file, "\(what), at byte \(offset) of its decompressed bytes")
  }

  // MARK: Headers

  private mutating func header(
    _ block: ByteText, _ body: (Event) throws(FormatError) -> Void
  ) throws(FormatError) {
    if block.allSatisfy({ $0 == 0 }) {
      state = .over
      return
    }
    guard Self.hasRightChecksum(block) else {
      throw damaged(offset == 0 ? "is no tar archive" : "the tar archive is damaged: a header has a wrong checksum")
    }
    offset += Self.blockBytes
    guard var size = Self.number(block.part(124..<136)) else {
      throw damaged("the tar archive is damaged: a header has no size")
    }
    let type = block[156]
    let kind: Kind
    switch type {
    case UInt8(ascii: "0"), 0, UInt8(ascii: "7"): kind = .file
    case UInt8(ascii: "L"): kind = .longName
    case UInt8(ascii: "x"): kind = .pax
    case UInt8(ascii: "1")...UInt8(ascii: "6"):
      // A link, a device, a folder: their size means nothing.
      kind = .passedOver
      size = 0
    default: kind = .passedOver
    }
    switch kind {
    case .longName, .pax:
      guard size <= Self.extraLimitBytes else {
        throw damaged("a long name of the tar archive has \(size) bytes, the limit is \(Self.extraLimitBytes)")
      }
      extra.removeAll()
    case .file:
      size = longSize ?? size
      let name = longName ?? Self.name(block)
      clearLong()
      try withBytes(of: name) { name throws(FormatError) in try body(.file(name: name, size: size)) }
    case .passedOver: clearLong()
    }
    let padding = (Self.blockBytes - size % Self.blockBytes) % Self.blockBytes
    state = .contents(kind, left: size, padding: padding)
    if size == 0 { try finishMember(kind, padding: 0, body) }
  }

  private mutating func clearLong() {
    longName = nil
    longSize = nil
  }

  private mutating func finishMember(
    _ kind: Kind, padding: Int, _ body: (Event) throws(FormatError) -> Void
  ) throws(FormatError) {
    state = padding > 0 ? .padding(padding) : .header
    switch kind {
    case .file: try body(.end)
    case .passedOver: break
    case .longName: longName = Array(extra.prefix { $0 != 0 })
    case .pax: try readPax()
    }
  }

  /// Reads records of the form `LENGTH NAME=VALUE\n`, of which the path and the size matter here.
  private mutating func readPax() throws(FormatError) {
    var rest = extra[...]
    while !rest.isEmpty {
      let digits = rest.prefix { $0 != UInt8(ascii: " ") }
      guard digits.count <= 6, let length = decimal(digits), length > digits.count + 2, length <= rest.count,
        rest[rest.startIndex + length - 1] == 0x0A
      else { throw damaged("the tar archive is damaged: a pax header cannot be read") }
      let record = rest.prefix(length - 1).dropFirst(digits.count + 1)
      rest = rest.dropFirst(length)
      guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
        throw damaged("the tar archive is damaged: a pax header cannot be read")
      }
      let value = record[(equals + 1)...]
      let name = record[..<equals]
      if name.elementsEqual("path".utf8) {
        longName = Array(value)
      } else if name.elementsEqual("size".utf8) {
        guard let size = decimal(value), size < 1 << 40 else {
          throw damaged("the tar archive is damaged: a pax header has no size")
        }
        longSize = size
      }
    }
  }

  /// The name of a member: prefix and name of ustar, without zeros.
  private static func name(_ block: ByteText) -> [UInt8] {
    let name = block.part(0..<100).prefix { $0 != 0 }
    guard block.part(257..<263).equals("ustar\0"), block[345] != 0 else { return Array(name) }
    return block.part(345..<500).prefix { $0 != 0 } + [UInt8(ascii: "/")] + name
  }

  /// The sum of the header's bytes, those of the sum counted as blanks.
  private static func hasRightChecksum(_ block: ByteText) -> Bool {
    guard let stored = number(block.part(148..<156)) else { return false }
    var sum = 0
    for index in 0..<blockBytes { sum += (148..<156).contains(index) ? 0x20 : Int(block[index]) }
    return sum == stored
  }

  /// A number in octal digits, or in GNU's binary form; nil for another form, and beyond 2^40.
  private static func number(_ field: ByteText) -> Int? {
    if field[0] == 0x80 {
      var number = 0
      for byte in field.dropFirst() {
        number = number << 8 | Int(byte)
        if number >= 1 << 40 { return nil }
      }
      return number
    }
    var number = 0
    var digits = 0
    for byte in field.part(from: field.firstIndex { $0 != 0x20 } ?? 0) {
      guard byte &- 0x30 < 8 else {
        guard byte == 0 || byte == 0x20 else { return nil }
        break
      }
      number = number * 8 + Int(byte - 0x30)
      digits += 1
    }
    return digits > 0 && digits <= 13 && number < 1 << 40 ? number : nil
  }
}

import Glibc

/// Why an index file cannot be used.
public enum IndexOpenError: Error, CustomStringConvertible {
  /// No such file, or the like; the number of the error.
  case unreadable(path: String, errno: Int32)
  /// Written in another version of the format.
  case otherFormat(path: String)
  case damaged(path: String, what: String)
  /// It belongs to a source with other addresses.
  case otherSource(path: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let errno): "\(path): \(String(cString: strerror(errno)))"
    case .otherFormat(let path): "\(path): the index has another format"
    case .damaged(let path, let what): "\(path): the index is damaged: \(what)"
    case .otherSource(let path): "\(path): the index is of another source"
    }
  }

  /// Whether there is no such file.
  public var isMissing: Bool {
    if case .unreadable(_, ENOENT) = self { true } else { false }
  }
}

/// The index of one source, read in place.
///
/// Opening it maps the file and checks its header: the kernel reads what is used, and processes share the pages. A number out
/// of range, which only a damaged file has, reads as "none". Files are replaced as a whole, never changed, so a mapping stays good
/// until it is closed.
public final class PackageIndex {
  private let mapping: UnsafeRawBufferPointer
  private let isMapped: Bool
  /// Each table's place in the file, and its number of rows.
  private let tables: [(offset: Int, count: Int)]
  /// When the index was made, in seconds since 1970.
  public let time: Int64
  public var size: Int { mapping.count }

  /// Maps an index file.
  /// - Parameter key: `PackageSource.key` of the source that it must belong to; nil takes any.
  public convenience init(path: String, key: [UInt8]? = nil) throws(IndexOpenError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw .unreadable(path: path, errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .unreadable(path: path, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_size >= IndexFormat.headerSize else {
      throw .damaged(path: path, what: "it is too short")
    }
    let size = Int(status.st_size)
    guard let address = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), address != MAP_FAILED else {
      throw .unreadable(path: path, errno: errno)
    }
    try self.init(UnsafeRawBufferPointer(start: address, count: size), isMapped: true, path: path, key: key)
  }

  /// Reads an index from memory.
  public convenience init(bytes: [UInt8]) throws(IndexOpenError) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
    copy.copyBytes(from: bytes)
    let slice = UnsafeRawBufferPointer(rebasing: copy[..<bytes.count])
    guard slice.count >= IndexFormat.headerSize else {
      copy.deallocate()
      throw .damaged(path: "index", what: "it is too short")
    }
    try self.init(slice, isMapped: false, path: "index", key: nil)
  }

  private init(_ mapping: UnsafeRawBufferPointer, isMapped: Bool, path: String, key: [UInt8]?)
    throws(IndexOpenError)
  {
    self.mapping = mapping
    self.isMapped = isMapped
    time = Int64(bitPattern: Self.number64(mapping, IndexFormat.timeOffset))
    var tables: [(offset: Int, count: Int)] = []
    var damage: String?
    let isOurs = mapping.prefix(8).elementsEqual(IndexFormat.magic)
    let isCurrent =
      Self.number(mapping, IndexFormat.versionOffset) == IndexFormat.version
      && Int(Self.number(mapping, IndexFormat.tableCountOffset)) == IndexTable.allCases.count
    if isOurs, isCurrent {
      if Self.number64(mapping, IndexFormat.sizeOffset) != UInt64(mapping.count) { damage = "its size is wrong" }
      for table in IndexTable.allCases {
        let place = IndexFormat.fixedHeaderSize + table.rawValue * 16
        let offset = Self.number64(mapping, place)
        let count = Self.number64(mapping, place + 8)
        let fits =
          offset <= UInt64(mapping.count)
          && count <= (UInt64(mapping.count) - offset) / UInt64(table.stride)
        if !fits { damage = "a table ends outside" }
        tables.append(fits ? (Int(offset), Int(count)) : (0, 0))
      }
    }
    self.tables = tables.count == IndexTable.allCases.count ? tables : IndexTable.allCases.map { _ in (0, 0) }
    guard isOurs else { throw .damaged(path: path, what: "it is no index") }
    guard isCurrent else { throw .otherFormat(path: path) }
    if let damage { throw .damaged(path: path, what: damage) }
    let slots = count(.slots)
    guard count(.texts) > 0, count(.names) == count(.texts), slots.nonzeroBitCount == 1, slots > count(.texts) else {
      throw .damaged(path: path, what: "its tables do not fit together")
    }
    if let key, fact("key") != key { throw .otherSource(path: path) }
  }

  deinit {
    if isMapped {
      munmap(UnsafeMutableRawPointer(mutating: mapping.baseAddress!), mapping.count)
    } else {
      mapping.deallocate()
    }
  }

  /// Takes the file's pages out of the process; they stay in the kernel's cache and come back when they are read.
  ///
  /// A resolution reads a small part of a file, but the kernel maps 16 pages around each that is read.
  func forgetPages() {
    if isMapped { madvise(UnsafeMutableRawPointer(mutating: mapping.baseAddress!), mapping.count, MADV_DONTNEED) }
  }

  /// Whether the file is as it was written. Reads all of it.
  public func isIntact() -> Bool {
    let rest = UnsafeRawBufferPointer(rebasing: mapping[IndexFormat.fixedHeaderSize...])
    return TextHash.of(rest) == Self.number64(mapping, IndexFormat.checksumOffset)
  }

  // MARK: Numbers of the file

  private static func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  private static func number64(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  func count(_ table: IndexTable) -> Int { tables[table.rawValue].count }

  /// The number at a place of a row; nil if there is no such row.
  @inline(__always)
  func number(_ table: IndexTable, _ row: Int, _ place: Int) -> UInt32? {
    let (offset, count) = tables[table.rawValue]
    guard row >= 0, row < count else { return nil }
    return Self.number(mapping, offset + row * table.stride + place * 4)
  }

  /// A range of rows as far as the table has them.
  func rows(_ table: IndexTable, _ start: UInt32, _ length: UInt32) -> Range<UInt32> {
    let end = UInt32(clamping: count(table))
    let first = min(start, end)
    return first..<first + min(length, end - first)
  }

  // MARK: Texts

  public var textCount: Int { count(.texts) }

  /// A text's bytes, valid as long as the index is.
  public func bytes(of id: TextID) -> UnsafeRawBufferPointer {
    let row = Int(id.number)
    guard let start = number(.texts, row, 0), let length = number(.texts, row, 1) else {
      return UnsafeRawBufferPointer(start: nil, count: 0)
    }
    let range = rows(.bytes, start, length)
    let offset = tables[IndexTable.bytes.rawValue].offset
    return UnsafeRawBufferPointer(rebasing: mapping[offset + Int(range.lowerBound)..<offset + Int(range.upperBound)])
  }

  public func string(of id: TextID) -> String { String(decoding: bytes(of: id), as: UTF8.self) }

  /// The hash of a text, from the file.
  public func hash(of id: TextID) -> UInt64 {
    let row = Int(id.number)
    return UInt64(number(.texts, row, 2) ?? 0) | UInt64(number(.texts, row, 3) ?? 0) << 32
  }

  /// The number of a text; nil if no row of the index has it.
  public func find(_ text: UnsafeRawBufferPointer) -> TextID? { find(text, hash: TextHash.of(text)) }

  /// - Parameter hash: `TextHash.of(text)`.
  public func find(_ text: UnsafeRawBufferPointer, hash: UInt64) -> TextID? {
    if text.isEmpty { return TextID.none }
    let mask = count(.slots) - 1
    var slot = TextHash.slot(hash, mask: mask)
    for _ in 0..<TextHash.longestSearch {
      guard let found = number(.slots, slot, 0), found != 0 else { return nil }
      let id = TextID(found)
      if self.hash(of: id) == hash, isSame(bytes(of: id), text) { return id }
      slot = (slot + 1) & mask
    }
    return nil
  }

  public func find(_ text: String) -> TextID? {
    var text = text
    return text.withUTF8 { find(UnsafeRawBufferPointer($0)) }
  }

  /// What the builder added about the index itself.
  public func fact(_ name: String) -> [UInt8]? {
    guard let id = find(name) else { return nil }
    for row in 0..<count(.facts) where number(.facts, row, 0) == id.number {
      return Array(bytes(of: TextID(number(.facts, row, 1) ?? 0)))
    }
    return nil
  }
}

/// The layout of an index file: a header, then tables of fixed-size rows of little-endian 32-bit numbers, then the texts.
///
/// Texts are stored once and named by number; text 0 is empty and means "none". Rows of one package follow each other.
enum IndexFormat {
  static let magic: [UInt8] = Array("BCFG2IDX".utf8)
  /// Another number is another format: such a file is made again.
  static let version: UInt32 = 1
  /// Magic, version, number of tables, size of the file, time, checksum.
  static let fixedHeaderSize = 40
  static let headerSize = fixedHeaderSize + IndexTable.allCases.count * 16

  /// Places of the header's fields.
  static let versionOffset = 8
  static let tableCountOffset = 12
  static let sizeOffset = 16
  static let timeOffset = 24
  static let checksumOffset = 32
}

/// The tables of an index file, in their order.
enum IndexTable: Int, CaseIterable {
  /// Of each text: offset and length in `bytes`, two halves of its hash.
  case texts
  /// Of each text: where its rows in `recordsByName` begin, and how many; the same for `providersByName`.
  case names
  /// The texts' numbers by their hash; 0 is an empty slot.
  case slots
  case parts, records, relations, provides
  /// Numbers of records, by their name, then in their order.
  case recordsByName
  /// Numbers of provides, by their name, then in their order.
  case providersByName
  /// Numbers of records that say something about being essential.
  case essentials
  case groups, members
  /// Names and values about the index itself.
  case facts
  /// The texts' bytes.
  case bytes

  /// Bytes of a row.
  var stride: Int {
    switch self {
    case .texts, .names, .provides, .relations: 16
    case .slots, .recordsByName, .providersByName, .essentials: 4
    case .parts: 24
    case .records: 32
    case .groups: 20
    case .members: 12
    case .facts: 8
    case .bytes: 1
    }
  }
}

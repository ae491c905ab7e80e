import Glibc

/// The texts of an index under construction: each stands once, and has a number.
struct TextTable {
  /// Offset, length and hash of each text, as in the file.
  private(set) var rows: [UInt32] = []
  private(set) var bytes: [UInt8] = []
  /// Numbers of texts by hash, in a table of 2^n slots; 0 is an empty slot. Text 0, the empty one, is in none.
  private(set) var slots: [UInt32]

  var count: Int { rows.count / 4 }

  private let limit: Int
  private let limitBytes: Int

  init(limit: Int, limitBytes: Int) {
    self.limit = limit
    self.limitBytes = limitBytes
    slots = [UInt32](repeating: 0, count: 1 << 12)
    append(UnsafeRawBufferPointer(start: nil, count: 0), TextHash.of(UnsafeRawBufferPointer(start: nil, count: 0)))
  }

  func withBytes<Value>(of id: TextID, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    let row = Int(id.number) * 4
    let range = Int(rows[row])..<Int(rows[row]) + Int(rows[row + 1])
    return bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  func existing(_ text: UnsafeRawBufferPointer) -> TextID? {
    if text.isEmpty { return TextID.none }
    return search(text, TextHash.of(text)).found
  }

  mutating func number(of text: UnsafeRawBufferPointer) throws(IndexBuildError) -> TextID {
    if text.isEmpty { return .none }
    let hash = TextHash.of(text)
    let (found, slot) = search(text, hash)
    if let found { return found }
    guard let slot else { throw .collidingTexts }
    guard bytes.count + text.count <= limitBytes, count < limit else { throw .tooLarge(table: "names") }
    let number = UInt32(count)
    append(text, hash)
    slots[slot] = number
    if count * 2 > slots.count { try grow() }
    return TextID(number)
  }

  private mutating func append(_ text: UnsafeRawBufferPointer, _ hash: UInt64) {
    rows += [
      UInt32(bytes.count), UInt32(text.count), UInt32(truncatingIfNeeded: hash), UInt32(truncatingIfNeeded: hash >> 32),
    ]
    bytes.append(contentsOf: text)
  }

  /// The text's number, or the empty slot for it; neither if the search is too long.
  private func search(_ text: UnsafeRawBufferPointer, _ hash: UInt64) -> (found: TextID?, slot: Int?) {
    let mask = slots.count - 1
    var slot = TextHash.slot(hash, mask: mask)
    for _ in 0..<TextHash.longestSearch {
      let number = slots[slot]
      if number == 0 { return (nil, slot) }
      if self.hash(of: number) == hash, withBytes(of: TextID(number), { isSame($0, text) }) {
        return (TextID(number), nil)
      }
      slot = (slot + 1) & mask
    }
    return (nil, nil)
  }

  private func hash(of number: UInt32) -> UInt64 {
    UInt64(rows[Int(number) * 4 + 2]) | UInt64(rows[Int(number) * 4 + 3]) << 32
  }

  private mutating func grow() throws(IndexBuildError) {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    let mask = slots.count - 1
    for number in 1..<UInt32(count) {
      var slot = TextHash.slot(hash(of: number), mask: mask)
      var steps = 0
      while slots[slot] != 0 {
        slot = (slot + 1) & mask
        steps += 1
        if steps == TextHash.longestSearch { throw .collidingTexts }
      }
      slots[slot] = number
    }
  }
}

/// Whether two texts have the same bytes.
func isSame(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
  guard one.count == other.count, let first = one.baseAddress, let second = other.baseAddress else {
    return one.count == other.count
  }
  return memcmp(first, second, one.count) == 0
}

/// Many short texts in one array, each known by its offset: a text costs its bytes and one or two for its length.
///
/// What a repository with tens of thousands of clients says of each is kept in this form: a `String` of more than 15 bytes
/// is an object of its own, of at least 48.
struct TextPool {
  /// A text of the pool: the offset of its length.
  struct Text: Equatable {
    fileprivate let offset: UInt32
    /// No text. Nothing stands at offset 0.
    static let none = Text(offset: 0)
  }

  private var bytes: [UInt8] = [0]

  /// Makes room for so many bytes, with those of the lengths.
  init(bytes count: Int = 0) { bytes.reserveCapacity(1 + count) }

  /// How many bytes of a pool a text takes.
  static func size(of string: String) -> Int {
    let count = string.utf8.count
    return count + lengthBytes(count)
  }

  private static func lengthBytes(_ count: Int) -> Int {
    max(1, (Int.bitWidth - count.leadingZeroBitCount + 6) / 7)
  }

  /// Adds a text. The pool holds 4 GiB: sixteen times the largest file that is read.
  mutating func add(_ string: String) -> Text {
    let text = Text(offset: UInt32(bytes.count))
    var left = string.utf8.count
    while left > 0x7F {
      bytes.append(UInt8(left & 0x7F) | 0x80)
      left >>= 7
    }
    bytes.append(UInt8(left))
    bytes.append(contentsOf: string.utf8)
    return text
  }

  /// A text as a string; nil for `Text.none`.
  subscript(_ text: Text) -> String? {
    text == .none ? nil : withBytes(of: text) { String(decoding: $0, as: UTF8.self) }
  }

  /// The bytes of a text that was added.
  func withBytes<R>(of text: Text, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
    bytes.withUnsafeBufferPointer { all in
      var at = Int(text.offset)
      var count = 0
      var shift = 0
      while all[at] > 0x7F {
        count |= Int(all[at] & 0x7F) << shift
        shift += 7
        at += 1
      }
      count |= Int(all[at]) << shift
      return body(UnsafeBufferPointer(rebasing: all[(at + 1)..<(at + 1 + count)]))
    }
  }
}

/// Finds rows of a table by texts of its pool: open addressing, eight bytes a slot, at most two thirds of them taken.
struct TextIndex {
  /// The row of a slot that was emptied; those behind it are still found.
  private static let removed = UInt32.max
  private var slots: [(text: TextPool.Text, row: UInt32)]
  /// Slots that are not free: taken, or emptied.
  private var used = 0

  /// Makes room for so many texts.
  init(capacity: Int = 0) {
    slots = []
    if capacity > 0 { slots = Self.emptySlots(for: capacity) }
  }

  private static func emptySlots(for count: Int) -> [(text: TextPool.Text, row: UInt32)] {
    var size = 8
    while size * 2 < count * 3 { size *= 2 }
    return Array(repeating: (.none, 0), count: size)
  }

  /// The row that a text stands for; nil where there is none.
  func row(of string: String, in pool: TextPool) -> Int? {
    slot(of: string, in: pool).map { Int(slots[$0].row) }
  }

  /// Has a text stand for a row, in place of the one that it stood for. The text is added to the pool where it is new.
  mutating func set(_ string: String, to row: Int, in pool: inout TextPool) -> TextPool.Text {
    if let slot = slot(of: string, in: pool) {
      slots[slot].row = UInt32(row)
      return slots[slot].text
    }
    let text = pool.add(string)
    set(string, text, to: row, in: pool)
    return text
  }

  /// Has a new text stand for a row.
  private mutating func set(_ string: String, _ text: TextPool.Text, to row: Int, in pool: TextPool) {
    if (used + 1) * 3 > slots.count * 2 { grow(pool) }
    var slot = Self.hash(string) & (slots.count - 1)
    while slots[slot].text != .none { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = (text, UInt32(row))
    used += 1
  }

  /// Forgets what a text stands for.
  mutating func remove(_ string: String, in pool: TextPool) {
    if let slot = slot(of: string, in: pool) { slots[slot].row = Self.removed }
  }

  private func slot(of string: String, in pool: TextPool) -> Int? {
    guard !slots.isEmpty else { return nil }
    var string = string
    return string.withUTF8 { wanted in
      var slot = Self.hash(wanted) & (slots.count - 1)
      while slots[slot].text != .none {
        if slots[slot].row != Self.removed,
          pool.withBytes(of: slots[slot].text, { $0.count == wanted.count && $0.elementsEqual(wanted) })
        {
          return slot
        }
        slot = (slot + 1) & (slots.count - 1)
      }
      return nil
    }
  }

  private mutating func grow(_ pool: TextPool) {
    let old = slots
    slots = Self.emptySlots(for: 2 * old.count { $0.text != .none && $0.row != Self.removed } + 1)
    used = 0
    for (text, row) in old where text != .none && row != Self.removed {
      var slot = pool.withBytes(of: text) { Self.hash($0) } & (slots.count - 1)
      while slots[slot].text != .none { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = (text, row)
      used += 1
    }
  }

  private static func hash(_ string: String) -> Int {
    var string = string
    return string.withUTF8 { hash($0) }
  }

  /// Seeded by the process, as that of every `Hashable`: nobody can choose names that meet.
  private static func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
    return hasher.finalize()
  }
}

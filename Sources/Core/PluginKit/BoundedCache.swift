import DequeModule

/// Values that can be made again, in bounded memory: those that were put in first make room.
package struct BoundedCache<Key: Hashable, Value> {
  /// What an entry takes beside its value.
  private static var entryBytes: Int { 256 }

  private struct Entry {
    let value: Value
    let bytes: Int
    /// Tells an entry from an older one of its key.
    let number: UInt64
  }

  /// Most bytes of all values; what is larger alone is not kept.
  package var limitBytes = 0 {
    didSet { makeRoom() }
  }
  /// Bytes of the values that are kept, as they were given.
  private(set) var heldBytes = 0
  private var entries: [Key: Entry] = [:]
  /// In the order in which they were put in; one that was replaced or removed is passed over.
  private var order: Deque<(key: Key, number: UInt64)> = []
  private var lastNumber: UInt64 = 0

  package init() {}

  package subscript(key: Key) -> Value? { entries[key]?.value }

  /// Keeps a value that takes so many bytes, where there is room for it.
  package mutating func insert(_ value: Value, for key: Key, bytes: Int) {
    remove(key)
    lastNumber += 1
    let entry = Entry(value: value, bytes: bytes + Self.entryBytes, number: lastNumber)
    guard entry.bytes <= limitBytes else { return }
    entries[key] = entry
    order.append((key, lastNumber))
    heldBytes += entry.bytes
    makeRoom()
  }

  package mutating func remove(_ key: Key) {
    if let old = entries.removeValue(forKey: key) { heldBytes -= old.bytes }
    // Entries that are gone do not gather.
    if order.count > 2 * entries.count + 64 {
      let present = entries
      order.removeAll { present[$0.key]?.number != $0.number }
    }
  }

  package mutating func removeAll() {
    entries.removeAll()
    order.removeAll()
    heldBytes = 0
  }

  private mutating func makeRoom() {
    while heldBytes > limitBytes, let first = order.popFirst() {
      if entries[first.key]?.number == first.number { remove(first.key) }
    }
  }
}

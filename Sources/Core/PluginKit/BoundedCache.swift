import DequeModule

/// Caches recomputable values in bounded memory and drops the oldest first.
package struct BoundedCache<Key: Hashable, Value> {
  /// Bytes of an entry besides its value.
  private static var entryBytes: Int { 256 }

  private struct Entry {
    let value: Value
    let bytes: Int
    /// Distinguishes an entry from an older one with its key.
    let number: UInt64
  }

  /// Most bytes of all values; a larger value is not cached.
  package var limitBytes = 0 {
    didSet { makeRoom() }
  }
  /// Bytes of the cached values, as declared at insertion.
  private(set) var heldBytes = 0
  private var entries: [Key: Entry] = [:]
  /// Keys in insertion order, including replaced and removed ones, which are skipped.
  private var order: Deque<(key: Key, number: UInt64)> = []
  private var lastNumber: UInt64 = 0

  package init() {}

  package subscript(key: Key) -> Value? { entries[key]?.value }

  /// The keys of what is cached, in no order.
  package var keys: [Key] { Array(entries.keys) }

  /// Caches a value of `bytes` bytes, and drops the oldest to make room.
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
    // Bounds the stale keys in `order`.
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

/// A dictionary that lists its items in the order of a `dict` of Python 2.7 on 64 bits.
///
/// Bcfg2 writes files from dictionaries: options of a host for Nagios, options of a yum repository. Their order decides
/// whether a client's file changes when its server does. Without deletions, a Python set has the same order.
///
/// Source of the behaviour: python/cpython 2.7: Objects/dictobject.c, Objects/stringobject.c (`string_hash`).
package nonisolated struct PythonDictionary<Value> {
  private typealias Slot = (hash: Int, name: String, value: Value)

  /// The table, a power of two of slots, less than two thirds of them in use.
  private var slots: [Slot?]
  package private(set) var count = 0

  package init() { slots = Array(repeating: nil, count: 8) }

  /// The items in Python's order.
  package var items: [(name: String, value: Value)] { slots.lazy.compactMap(\.self).map { ($0.name, $0.value) } }

  /// The value of a name; names are compared by their bytes.
  package subscript(name: String) -> Value? { slots[index(of: name, hash: Self.hash(name))]?.value }

  /// `self[name] = value`: a name that is there keeps its place.
  package mutating func set(_ name: String, _ value: Value) {
    let before = count
    put((Self.hash(name), name, value))
    if count > before, count * 3 >= slots.count * 2 { resize(beyond: count * (count > 50_000 ? 2 : 4)) }
  }

  /// `self.update(other)`, which makes room for all of the other before it begins.
  package mutating func merge(_ other: Self) {
    if (count + other.count) * 3 >= slots.count * 2 { resize(beyond: (count + other.count) * 2) }
    for case .some(let slot) in other.slots { put(slot) }
  }

  private mutating func put(_ slot: Slot) {
    let place = index(of: slot.name, hash: slot.hash)
    if slots[place] == nil { count += 1 }
    slots[place] = slot
  }

  private mutating func resize(beyond minimum: Int) {
    var size = 8
    while size <= minimum { size *= 2 }
    let old = slots
    slots = Array(repeating: nil, count: size)
    for case .some(let slot) in old { slots[index(of: slot.name, hash: slot.hash)] = slot }
  }

  /// The slot that has the name, or the free one that it would get. One is always free.
  private func index(of name: String, hash: Int) -> Int {
    let mask = UInt(slots.count - 1)
    var probe = UInt(bitPattern: hash)
    var perturbation = probe
    while let slot = slots[Int(probe & mask)], slot.hash != hash || !slot.name.utf8.elementsEqual(name.utf8) {
      probe = (probe << 2) &+ probe &+ perturbation &+ 1
      perturbation >>= 5
    }
    return Int(probe & mask)
  }

  /// Python's hash of a text, without `-R`.
  static func hash(_ text: String) -> Int {
    guard let first = text.unicodeScalars.first else { return 0 }
    var hash = Int(first.value) << 7
    var length = 0
    for scalar in text.unicodeScalars {
      hash = (1_000_003 &* hash) ^ Int(scalar.value)
      length += 1
    }
    hash ^= length
    return hash == -1 ? -2 : hash
  }
}

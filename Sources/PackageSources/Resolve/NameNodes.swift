import Glibc

/// The names that a resolution meets, numbered from 0 across the indexes of a collection.
///
/// A name of an index costs one look-up in each other index when it is met first, by the hash that its file has of it, and one
/// load from then on.
final class NameNodes {
  let indexes: [PackageIndex?]
  private(set) var count = 0
  /// Of each node, its text in each index; 0 where the index does not have it.
  private var texts: [UInt32] = []
  /// Of each index, the nodes of its texts plus 1; 0 where a text was not met. The kernel gives these pages when they are touched.
  private let memos: [UnsafeMutablePointer<UInt32>?]
  /// Names that no index has, by hash.
  private var strangers: [UInt64: [Int]] = [:]
  private var strangerNames: [Int: [UInt8]] = [:]

  init(_ indexes: [PackageIndex?]) {
    self.indexes = indexes
    memos = indexes.map { index in
      guard let index else { return nil }
      guard let memory = calloc(index.textCount, MemoryLayout<UInt32>.stride) else { fatalError("out of memory") }
      return memory.bindMemory(to: UInt32.self, capacity: index.textCount)
    }
  }

  deinit { for memo in memos { free(memo) } }

  /// The node of a text of an index.
  @inline(__always)
  func node(_ member: Int, _ text: TextID) -> Int {
    guard let index = indexes[member], let memo = memos[member], text.number < UInt32(clamping: index.textCount) else {
      return node(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    let known = memo[Int(text.number)]
    return known != 0 ? Int(known) - 1 : meet(member, index, text)
  }

  private func meet(_ member: Int, _ index: PackageIndex, _ text: TextID) -> Int {
    indexes.count == 1
      ? add { _, _ in text }
      : node(index.bytes(of: text), hash: index.hash(of: text))
  }

  /// The node of a name.
  func node(_ name: UnsafeRawBufferPointer) -> Int { node(name, hash: TextHash.of(name)) }

  func node(_ name: [UInt8]) -> Int { name.withUnsafeBytes { node($0) } }

  private func node(_ name: UnsafeRawBufferPointer, hash: UInt64) -> Int {
    for (member, index) in indexes.enumerated() {
      guard let index, let text = index.find(name, hash: hash), let memo = memos[member] else { continue }
      let known = memo[Int(text.number)]
      // The empty text is in every index.
      if known != 0 { return Int(known) - 1 }
      return add { other, index in other < member ? nil : other == member ? text : index.find(name, hash: hash) }
    }
    for node in strangers[hash, default: []] {
      if let other = strangerNames[node], other.withUnsafeBytes({ isSame($0, name) }) { return node }
    }
    let node = add { _, _ in nil }
    strangers[hash, default: []].append(node)
    strangerNames[node] = Array(name)
    return node
  }

  private func add(_ find: (Int, PackageIndex) -> TextID?) -> Int {
    let node = count
    count += 1
    for (member, index) in indexes.enumerated() {
      guard let index, let text = find(member, index), let memo = memos[member] else {
        texts.append(0)
        continue
      }
      texts.append(text.number)
      memo[Int(text.number)] = UInt32(node) + 1
    }
    return node
  }

  /// The text of a node in an index; nil where the index does not have the name.
  @inline(__always)
  func text(of node: Int, in member: Int) -> TextID? {
    let number = texts[node * indexes.count + member]
    return number == 0 ? nil : TextID(number)
  }

  /// The bytes of a name, valid as long as this table is.
  func withName<Value>(of node: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
    for (member, index) in indexes.enumerated() {
      if let index, let text = text(of: node, in: member) { return body(index.bytes(of: text)) }
    }
    return (strangerNames[node] ?? []).withUnsafeBytes(body)
  }

  func name(of node: Int) -> [UInt8] { withName(of: node) { Array($0) } }

  /// Names of nodes, sorted by bytes.
  func sortedNames(_ nodes: [Int]) -> [[UInt8]] {
    var names = nodes.map { name(of: $0) }
    names.sort { isBefore($0, $1) }
    return names
  }
}

/// The order of Python's byte strings.
func isBefore(_ one: [UInt8], _ other: [UInt8]) -> Bool {
  one.withUnsafeBytes { one in
    other.withUnsafeBytes { other in
      let shared = min(one.count, other.count)
      let order = shared == 0 ? 0 : memcmp(one.baseAddress!, other.baseAddress!, shared)
      return order != 0 ? order < 0 : one.count < other.count
    }
  }
}

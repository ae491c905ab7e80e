/// Values by names that come from outside. As a `Dictionary` of strings, but names are compared by their bytes.
public nonisolated struct NameTable<Value> {
  private var table: [Name: Value]

  public init() { table = [:] }

  public var isEmpty: Bool { table.isEmpty }
  public var count: Int { table.count }
  /// The names, in no order.
  public var keys: [String] { table.keys.map(\.text) }
  /// The values, in no order.
  public var values: Dictionary<Name, Value>.Values { table.values }

  public subscript(_ name: String) -> Value? {
    get { table[Name(name)] }
    set { table[Name(name)] = newValue }
    _modify { yield &table[Name(name)] }
  }

  public subscript(_ name: String, default value: @autoclosure () -> Value) -> Value {
    get { table[Name(name)] ?? value() }
    _modify { yield &table[Name(name), default: value()] }
  }

  /// Removes and returns a value.
  @discardableResult
  public mutating func removeValue(forKey name: String) -> Value? { table.removeValue(forKey: Name(name)) }

  public mutating func removeAll() { table.removeAll() }

  /// Names and values in the order of the names' bytes.
  public func sorted() -> [(key: String, value: Value)] {
    table.sorted { $0.key < $1.key }.map { ($0.key.text, $0.value) }
  }
}

nonisolated extension NameTable: Sequence {
  public struct Iterator: IteratorProtocol {
    fileprivate var values: Dictionary<Name, Value>.Iterator

    public mutating func next() -> (key: String, value: Value)? { values.next().map { ($0.key.text, $0.value) } }
  }

  public func makeIterator() -> Iterator { Iterator(values: table.makeIterator()) }
}

nonisolated extension NameTable: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, Value)...) {
    table = Dictionary(uniqueKeysWithValues: elements.map { (Name($0), $1) })
  }
}

nonisolated extension NameTable: Sendable where Value: Sendable {}
nonisolated extension NameTable: Equatable where Value: Equatable {}

/// Names that come from outside, each once. As a `Set` of strings, but names are compared by their bytes.
public nonisolated struct NameSet: Hashable, Sendable {
  private var names: Set<Name>

  public init() { names = [] }
  public init(_ names: some Sequence<String>) { self.names = Set(names.lazy.map { Name($0) }) }
  private init(names: Set<Name>) { self.names = names }

  public var isEmpty: Bool { names.isEmpty }
  public var count: Int { names.count }

  public func contains(_ name: String) -> Bool { names.contains(Name(name)) }

  /// Adds a name; `inserted` is false where it was there.
  @discardableResult
  public mutating func insert(_ name: String) -> (inserted: Bool, memberAfterInsert: String) {
    let result = names.insert(Name(name))
    return (result.inserted, result.memberAfterInsert.text)
  }

  /// Removes a name; nil where it was not there.
  @discardableResult
  public mutating func remove(_ name: String) -> String? { names.remove(Name(name))?.text }

  public mutating func removeAll() { names.removeAll() }

  public mutating func formUnion(_ other: some Sequence<String>) { names.formUnion(other.lazy.map { Name($0) }) }
  public mutating func formUnion(_ other: NameSet) { names.formUnion(other.names) }
  public func union(_ other: NameSet) -> NameSet { NameSet(names: names.union(other.names)) }
  public func intersection(_ other: NameSet) -> NameSet { NameSet(names: names.intersection(other.names)) }
  public func isSuperset(of other: some Sequence<String>) -> Bool { other.allSatisfy { contains($0) } }
  public func filter(_ isIncluded: (String) throws -> Bool) rethrows -> NameSet {
    NameSet(names: try names.filter { try isIncluded($0.text) })
  }

  /// In the order of their bytes.
  public func sorted() -> [String] { names.sorted().map(\.text) }
  /// The first one in the order of their bytes.
  public func min() -> String? { names.min()?.text }
}

nonisolated extension NameSet: Sequence {
  public struct Iterator: IteratorProtocol {
    fileprivate var names: Set<Name>.Iterator

    public mutating func next() -> String? { names.next()?.text }
  }

  public func makeIterator() -> Iterator { Iterator(names: names.makeIterator()) }
}

nonisolated extension NameSet: ExpressibleByArrayLiteral {
  public init(arrayLiteral elements: String...) { self.init(elements) }
}

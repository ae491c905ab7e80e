/// Resolves as a version of Bcfg2 does, result for result.
///
/// Bcfg2 works in rounds over Python's sets. What it finds does not depend on their order: what is in the answer only grows; a name that is a
/// package and provided by others waits until nothing else is left to do; and then all that wait, and have no provider in the
/// answer, become packages at once. So the rounds are played here as such levels.
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/Collection.py, Collection.complete.
public struct Bcfg2Resolver {
  public let collection: PackageCollection
  public let version: Bcfg2Version

  public init(_ collection: PackageCollection, version: Bcfg2Version) {
    self.collection = collection
    self.version = version
  }

  /// - Parameters:
  ///   - base: what the client's bundles name, its groups' packages and the essential ones.
  ///   - recommended: what entries say of the packages that their package recommends; 1.3.4 has no such attribute.
  public func complete(_ base: [[UInt8]], recommended: [[UInt8]: Bool] = [:]) throws(ResolutionFailure) -> Resolution {
    let run = Bcfg2Run(collection, version)
    for (name, value) in recommended { run.recommended[run.nodes.node(name)] = value }
    try run.complete(base)
    var resolution = Resolution()
    resolution.packages = run.nodes.sortedNames(run.packages)
    let unknown = run.unknown.filter { node in
      run.nodes.withName(of: node) { name in !run.sources.contains { $0.hidesUnknown(name) } }
    }
    resolution.unknown = run.nodes.sortedNames(unknown).map { UnknownName(name: $0) }
    return resolution
  }

  /// The packages that sources mark as essential, sorted by bytes.
  public func essentials() -> [[UInt8]] {
    let run = Bcfg2Run(collection, version)
    return run.nodes.sortedNames(Array(Set(run.sources.flatMap { $0.essentials(run.nodes) })))
  }

  /// The packages of a group, of the first source that has any; nil if none has, or if sources of this kind have no groups.
  public func group(_ id: [UInt8], type: String?) -> [[UInt8]]? {
    guard supportsGroups else { return nil }
    let run = Bcfg2Run(collection, version)
    return id.withUnsafeBytes { id in
      for source in run.sources {
        let names = source.group(id, type: type)
        if !names.isEmpty { return names }
      }
      return nil
    }
  }

  /// Whether the collection's class has groups: not that of apt, nor the one for sources of several kinds.
  public var supportsGroups: Bool {
    guard let kind = collection.members.first?.source.kind,
      collection.members.allSatisfy({ $0.source.kind == kind })
    else { return false }
    return kind == .yum || (kind == .pac && version == .version14)
  }

  /// Whether some source of the collection has a package of this name.
  public func isPackage(_ name: [UInt8]) throws(ResolutionFailure) -> Bool {
    let run = Bcfg2Run(collection, version)
    return try run.isPackage(run.nodes.node(name))
  }

  /// The architectures of a source for which Bcfg2 logs that it provides no packages.
  public func emptyArches(of member: Int) -> [String] {
    let source = Bcfg2Run(collection, version).sources[member]
    return (source.isBroken && source.kind != .yum ? ["global"] : [])
      + source.clientArches.filter { $0.place == nil }.map(\.name)
  }
}

/// One resolution under way.
final class Bcfg2Run {
  let nodes: NameNodes
  private(set) var sources: [Bcfg2Source] = []
  var recommended: [Int: Bool] = [:]
  /// Where the alternatives of the package at hand begin.
  var choices: [UInt32] = []
  private(set) var packages: [Int] = []
  private(set) var unknown: [Int] = []
  /// Names to classify.
  private var required: [Int] = []
  /// Packages that others provide too.
  private var waiting: [Int] = []
  private var isMet = BitSet()
  private var isInAnswer = BitSet()
  /// Of each node that was asked for, its providers in `allProviders`; nil if it is no virtual name.
  private var providers: [Int: Range<Int>] = [:]
  private var allProviders: [Int] = []
  /// Of each node, the name that it was last seen to provide.
  private var seen: [Int] = []
  private var scratch: [UInt8] = []

  init(_ collection: PackageCollection, _ version: Bcfg2Version) {
    nodes = NameNodes(collection.members.map(\.index))
    sources = collection.members.indices.map { Bcfg2Source(collection, $0, version, nodes) }
  }

  func complete(_ base: [[UInt8]]) throws(ResolutionFailure) {
    let base = base.map { nodes.node($0) }
    for node in base { require(node) }
    // What is asked for is taken as a package, whether or not a source has it.
    for node in base { try add(node) }
    repeat {
      while let node = required.popLast() { try classify(node) }
    } while try forceWaiting()
  }

  @inline(__always)
  func require(_ node: Int) {
    if isMet.insert(node) { required.append(node) }
  }

  /// The node of a name with what follows its colon.
  func node(_ name: UnsafeRawBufferPointer, qualifier: UnsafeRawBufferPointer) -> Int {
    scratch.removeAll(keepingCapacity: true)
    scratch.append(contentsOf: name)
    scratch.append(UInt8(ascii: ":"))
    scratch.append(contentsOf: qualifier)
    return nodes.node(scratch)
  }

  func isPackage(_ node: Int) throws(ResolutionFailure) -> Bool {
    for source in sources where try source.isPackage(node, nodes) { return true }
    return false
  }

  private func classify(_ node: Int) throws(ResolutionFailure) {
    let isPackage = try isPackage(node)
    guard let providers = findProviders(of: node) else {
      if isPackage { try add(node) } else { unknown.append(node) }
      return
    }
    if isPackage {
      if !isInAnswer.contains(node) { waiting.append(node) }
    } else if providers.count == 1 {
      require(allProviders[providers.lowerBound])
    }
    // Several providers: satisfied, whether or not one of them is in the answer.
  }

  /// Takes a package into the answer and requires what it needs.
  private func add(_ node: Int) throws(ResolutionFailure) {
    guard isInAnswer.insert(node) else { return }
    packages.append(node)
    for source in sources where try source.isPackage(node, nodes) {
      return try source.requireDependencies(of: node, recommended: recommended[node], self)
    }
  }

  /// Nothing else is left: those that wait become packages, unless one of their providers is in the answer.
  private func forceWaiting() throws(ResolutionFailure) -> Bool {
    let forced = waiting.filter { node in
      !(providers[node] ?? 0..<0).contains { isInAnswer.contains(allProviders[$0]) }
    }
    waiting = []
    for node in forced { try add(node) }
    return !forced.isEmpty
  }

  /// The packages that provide a name in some source; nil if none has it as a virtual name.
  private func findProviders(of node: Int) -> Range<Int>? {
    let start = allProviders.count
    var isVirtual = false
    for source in sources where source.addProviders(of: node, nodes, to: &allProviders) { isVirtual = true }
    guard isVirtual else { return nil }
    // Once each.
    var end = start
    for place in start..<allProviders.count {
      let provider = allProviders[place]
      while provider >= seen.count { seen.append(-1) }
      if seen[provider] == node { continue }
      seen[provider] = node
      allProviders[end] = provider
      end += 1
    }
    allProviders.removeSubrange(end...)
    providers[node] = start..<end
    return start..<end
  }
}

/// A set of small numbers.
struct BitSet {
  private var words: [UInt64] = []

  @inline(__always)
  func contains(_ number: Int) -> Bool {
    number >> 6 < words.count && words[number >> 6] & (1 << UInt64(number & 63)) != 0
  }

  /// - Returns: whether it was not there.
  @inline(__always)
  mutating func insert(_ number: Int) -> Bool {
    while number >> 6 >= words.count { words.append(0) }
    let bit: UInt64 = 1 << UInt64(number & 63)
    if words[number >> 6] & bit != 0 { return false }
    words[number >> 6] |= bit
    return true
  }
}

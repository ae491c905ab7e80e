/// Resolves as package tools do: versions count, of alternatives one is taken, rich and weak dependencies are understood.
///
/// First everything comes in that has no choice. Then the choices are made one after the other, in the order in which they were met; one that a
/// package of the answer satisfies needs none. Then conditions (`if`, `unless`), and last what is only recommended. Each package
/// that comes in brings its own dependencies before the next choice. So the answer depends on the base set and the
/// sources alone.
public struct StrictResolver {
  public let collection: PackageCollection

  public init(_ collection: PackageCollection) { self.collection = collection }

  /// - Parameters:
  ///   - base: what the client's bundles name, its groups' packages and the essential ones.
  ///   - recommended: what entries say of the packages that their package recommends.
  /// - Throws: if sources were made to take too long.
  public func complete(_ base: [[UInt8]], recommended: [[UInt8]: Bool] = [:]) throws(ResolutionFailure) -> Resolution {
    let run = StrictRun(StrictCatalog(collection))
    for (name, value) in recommended { run.recommended[run.catalog.nodes.node(name)] = value }
    try run.complete(base)
    return run.resolution()
  }

  /// The packages that sources mark as essential for the client's architectures, sorted by bytes.
  public func essentials() -> [[UInt8]] {
    let catalog = StrictCatalog(collection)
    return catalog.nodes.sortedNames(catalog.essentials())
  }

  /// The packages of a group in all sources together; nil if none has the group. A conditional member counts if it has no condition.
  public func group(_ id: [UInt8], type: String?) -> [[UInt8]]? {
    id.withUnsafeBytes { StrictCatalog(collection).group($0, type: type) }
  }
}

/// What a package needs, of which some package of the answer must satisfy each part.
indirect enum Need {
  /// Any of these packages, the preferred one first.
  case any([Int])
  case all([Need])
  case either([Need])
  /// The first if the condition holds, else the other; `unless` turns it round.
  case choice(then: Need, condition: Need, otherwise: Need?, isUnless: Bool)
}

/// One resolution under way.
final class StrictRun {
  let catalog: StrictCatalog
  var recommended: [Int: Bool] = [:]
  private var answer: [Int] = []
  private var isInAnswer = BitSet()
  /// Packages whose dependencies were not looked at yet, from `next` on.
  private var incoming: [Int] = []
  private var next = 0
  private var choices: [Pending] = []
  private var conditions: [Pending] = []
  private var wishes: [Pending] = []
  private var unknown: [UnknownName] = []
  private var isToldUnknown: Set<[UInt8]> = []
  /// The most that `StrictCatalog.steps` may count, some seconds: 3,000 packages of Debian count a hundred thousand.
  var stepLimit = 100_000_000

  /// A need that waits until nothing else is left to do.
  private struct Pending {
    var need: Need
    /// For the report if it cannot be satisfied.
    var text: String
    var reason = UnknownName.Reason.notFound
    var owner: Int
  }

  init(_ catalog: StrictCatalog) { self.catalog = catalog }

  func complete(_ base: [[UInt8]]) throws(ResolutionFailure) {
    // Sorted, so that the order of the base set does not count.
    let base = Set(base).sorted { isBefore($0, $1) }.map { catalog.nodes.node($0) }
    for node in base {
      if catalog.package(node) != nil {
        add(node)
      } else {
        askedForWithoutPackage(node)
      }
    }
    try settle()
    // What the sources say should be there with packages of the answer.
    var supplements: [(node: Int, need: Need)] = []
    for (member, entry) in catalog.collection.members.enumerated() where entry.source.usesRecommended {
      guard let index = entry.index else { continue }
      for (node, rows) in catalog.relations(.supplements, member) {
        for row in rows { supplements.append((node, pending(member, index, [row], owner: node).need)) }
      }
    }
    var hasGrown = true
    while hasGrown {
      hasGrown = false
      for (node, need) in supplements where !isInAnswer.contains(node) && isSatisfied(need) {
        add(node)
        try settle()
        hasGrown = true
      }
    }
  }

  func resolution() -> Resolution {
    var resolution = Resolution()
    resolution.packages = catalog.nodes.sortedNames(answer)
    resolution.unknown = unknown.sorted { isBefore($0.name, $1.name) }
    resolution.conflicts = conflicts()
    resolution.missingParts = catalog.missingParts()
    return resolution
  }

  // MARK: What comes in

  private func add(_ node: Int) {
    guard isInAnswer.insert(node) else { return }
    answer.append(node)
    incoming.append(node)
  }

  /// A name of the base set that is no package: provided by some, or not there. It is in the answer as Bcfg2 has it.
  private func askedForWithoutPackage(_ node: Int) {
    answer.append(node)
    let kind = catalog.collection.members.first?.source.kind ?? .apt
    let options = catalog.options(StrictCatalog.Target(node: node, kind: kind))
    if options.isEmpty {
      let reason: UnknownName.Reason = catalog.isExcluded(node) ? .excluded : .notFound
      tell(UnknownName(name: catalog.nodes.name(of: node), reason: reason))
    } else {
      choices.append(Pending(need: .any(options), text: "", owner: node))
    }
  }

  /// Brings in everything that the answer needs.
  private func settle() throws(ResolutionFailure) {
    repeat {
      try bringIn()
      try checkSteps()
      if makeChoice() { continue }
      if meetCondition() { continue }
      if grantWish() { continue }
      break
    } while true
  }

  private func bringIn() throws(ResolutionFailure) {
    while next < incoming.count {
      next += 1
      try look(at: incoming[next - 1])
    }
    incoming = []
    next = 0
  }

  private func checkSteps() throws(ResolutionFailure) {
    if catalog.steps > stepLimit { throw ResolutionFailure(steps: stepLimit) }
  }

  private func look(at node: Int) throws(ResolutionFailure) {
    guard let package = catalog.package(node), let index = catalog.index(package.member) else { return }
    let wantsRecommended =
      recommended[node] ?? catalog.collection.members[package.member].source.usesRecommended
    var alternatives: [UInt32] = []
    for row in index.relationsOfRecord(package.record) {
      let kind = index.kindOfRelation(row)
      guard kind == .depends || kind == .preDepends || (kind == .recommends && wantsRecommended) else { continue }
      alternatives.append(row)
      catalog.steps += 1
      try checkSteps()
      if index.flagsOfRelation(row).contains(.orNext) { continue }
      let made = pending(package.member, index, alternatives, owner: node)
      alternatives = []
      if kind == .recommends { wishes.append(made) } else { require(made) }
    }
  }

  /// Satisfies a need at once if there is one way only; else it waits.
  private func require(_ pending: Pending) {
    switch pending.need {
    case .any(let options):
      if options.isEmpty {
        report(pending)
      } else if options.count == 1 {
        add(options[0])
      } else if !isSatisfied(pending.need) {
        choices.append(pending)
      }
    case .all(let parts):
      for part in parts {
        var one = pending
        one.need = part
        require(one)
      }
    case .either: choices.append(pending)
    case .choice: conditions.append(pending)
    }
  }

  // MARK: What waits

  /// - Returns: whether something came in.
  private func makeChoice() -> Bool {
    var place = 0
    defer { choices.removeFirst(place) }
    while place < choices.count {
      let pending = choices[place]
      place += 1
      if isSatisfied(pending.need) { continue }
      satisfy(pending.need, pending)
      if !incoming.isEmpty { return true }
    }
    return false
  }

  private func meetCondition() -> Bool {
    // All of them again: what came in since may have made a condition true.
    var place = 0
    while place < conditions.count {
      let pending = conditions[place]
      if isSatisfied(pending.need) {
        place += 1
        continue
      }
      satisfy(pending.need, pending)
      if !incoming.isEmpty { return true }
      // Nothing can satisfy it, as was told.
      conditions.remove(at: place)
    }
    return false
  }

  private func grantWish() -> Bool {
    var place = 0
    defer { wishes.removeFirst(place) }
    while place < wishes.count {
      let pending = wishes[place]
      place += 1
      if isSatisfied(pending.need) || !isPossible(pending.need) { continue }
      satisfy(pending.need, pending)
      if !incoming.isEmpty { return true }
    }
    return false
  }

  private func isSatisfied(_ need: Need) -> Bool {
    catalog.steps += 1
    switch need {
    case .any(let options):
      catalog.steps += options.count
      return options.contains { isInAnswer.contains($0) }
    case .all(let parts): return parts.allSatisfy(isSatisfied)
    case .either(let parts): return parts.contains(where: isSatisfied)
    case .choice(let then, let condition, let otherwise, let isUnless):
      if isSatisfied(condition) != isUnless { return isSatisfied(then) }
      return otherwise.map(isSatisfied) ?? true
    }
  }

  /// Whether packages could satisfy it.
  private func isPossible(_ need: Need) -> Bool {
    switch need {
    case .any(let options): !options.isEmpty
    case .all(let parts): parts.allSatisfy(isPossible)
    case .either(let parts): parts.contains(where: isPossible)
    case .choice(let then, let condition, let otherwise, let isUnless):
      if isSatisfied(condition) != isUnless { isPossible(then) } else { otherwise.map(isPossible) ?? true }
    }
  }

  private func satisfy(_ need: Need, _ pending: Pending) {
    if isSatisfied(need) { return }
    switch need {
    case .any(let options): if let first = options.first { add(first) } else { report(pending) }
    case .all(let parts): for part in parts { satisfy(part, pending) }
    case .either(let parts):
      if let possible = parts.first(where: isPossible) { satisfy(possible, pending) } else { report(pending) }
    case .choice(let then, let condition, let otherwise, let isUnless):
      if isSatisfied(condition) != isUnless {
        satisfy(then, pending)
      } else if let otherwise {
        satisfy(otherwise, pending)
      }
    }
  }

  // MARK: What a relation needs

  /// What alternatives need, which follow each other in the index.
  private func pending(_ member: Int, _ index: PackageIndex, _ rows: [UInt32], owner: Int) -> Pending {
    if rows.count == 1, index.flagsOfRelation(rows[0]).contains(.isRich) {
      let bytes = index.bytes(of: index.nameOfRelation(rows[0]))
      // Nothing satisfies what rpm would not read.
      return Pending(
        need: RichDependency(bytes).map(need) ?? .any([]), text: String(decoding: bytes, as: UTF8.self), owner: owner)
    }
    var options: [Int] = []
    var names: [Int] = []
    for row in rows {
      // rpm itself provides these.
      if catalog.kind(member) == .yum, index.bytes(of: index.nameOfRelation(row)).starts(with: "rpmlib(".utf8) {
        return Pending(need: .all([]), text: "", owner: owner)
      }
      guard let target = catalog.target(member, index, row) else { continue }
      names.append(target.node)
      options += catalog.options(target)
    }
    var made = Pending(need: .any(options), text: "", owner: owner)
    if options.isEmpty {
      made.text = rows.map { catalog.text(member, index, $0) }.joined(separator: " | ")
      made.reason = reason(names, catalog.kind(member))
    }
    return made
  }

  private func need(_ rich: RichDependency) -> Need {
    switch rich {
    case .name, .with, .without: .any(options(rich))
    case .all(let parts): .all(parts.map(need))
    case .any(let parts): .either(parts.map(need))
    case .choice(let then, let condition, let otherwise, let isUnless):
      .choice(then: need(then), condition: need(condition), otherwise: otherwise.map(need), isUnless: isUnless)
    }
  }

  /// The packages that a rich dependency names as one package.
  private func options(_ rich: RichDependency) -> [Int] {
    switch rich {
    case .name(let name, let comparison, let version):
      catalog.options(
        StrictCatalog.Target(
          node: catalog.nodes.node(UnsafeRawBufferPointer(rebasing: name)), kind: .yum, comparison: comparison,
          version: UnsafeRawBufferPointer(rebasing: version)))
    case .with(let parts):
      parts.dropFirst().reduce(parts.first.map(options) ?? []) { found, part in
        let others = Set(options(part))
        return found.filter(others.contains)
      }
    case .without(let one, let other):
      {
        let others = Set(options(other))
        return options(one).filter { !others.contains($0) }
      }()
    // rpm allows only `with` and `or` there.
    case .any(let parts): parts.flatMap(options)
    case .all, .choice: []
    }
  }

  // MARK: Reports

  private func report(_ pending: Pending) {
    tell(
      UnknownName(
        name: Array(pending.text.utf8), reason: pending.reason, wantedBy: catalog.nodes.name(of: pending.owner)))
  }

  /// Why no package satisfies a relation to one of these names.
  private func reason(_ names: [Int], _ kind: SourceKind) -> UnknownName.Reason {
    if names.contains(where: { !catalog.options(StrictCatalog.Target(node: $0, kind: kind)).isEmpty }) {
      return .wrongVersion
    }
    return names.contains(where: catalog.isExcluded) ? .excluded : .notFound
  }

  private func tell(_ name: UnknownName) {
    if isToldUnknown.insert(name.name).inserted { unknown.append(name) }
  }

  /// Packages of the answer that do not stand each other.
  private func conflicts() -> [PackageConflict] {
    var found: [PackageConflict] = []
    for node in answer {
      guard let package = catalog.package(node), let index = catalog.index(package.member) else { continue }
      for row in index.relationsOfRecord(package.record) {
        let kind = index.kindOfRelation(row)
        guard kind == .conflicts || kind == .obsoletes, let target = catalog.target(package.member, index, row) else {
          continue
        }
        // Only a package itself is obsoleted, not what provides its name.
        let others = catalog.options(target).filter { isInAnswer.contains($0) && $0 != node }
        for other in others where kind == .conflicts || other == target.node {
          found.append(
            PackageConflict(
              package: catalog.nodes.name(of: node), relation: Array(catalog.text(package.member, index, row).utf8),
              other: catalog.nodes.name(of: other)))
        }
      }
    }
    return found.sorted { isBefore($0.package + [0] + $0.other, $1.package + [0] + $1.other) }
  }
}

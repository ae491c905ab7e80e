/// What changes for a client if its packages are resolved strictly.
public struct ResolutionDifferences: Sendable {
  /// Packages that come in, and that go, sorted.
  public var added: [[UInt8]]
  public var removed: [[UInt8]]
  /// Names that only Bcfg2's resolver does not find.
  public var found: [[UInt8]]
  /// What only the strict resolver does not find, with the reasons.
  public var unknown: [UnknownName]
  public var conflicts: [PackageConflict]
  public var missingParts: [MissingPart]
  /// Why Bcfg2's resolver has no answer.
  public var failure: String?

  /// - Parameter bcfg2: the answer of Bcfg2's resolver, or why it has none.
  public init(bcfg2: Result<Resolution, ResolutionFailure>, strict: Resolution) {
    var before = Resolution()
    switch bcfg2 {
    case .success(let resolution): before = resolution
    case .failure(let failure): self.failure = failure.description
    }
    let old = Set(before.packages)
    let new = Set(strict.packages)
    added = strict.packages.filter { !old.contains($0) }
    removed = before.packages.filter { !new.contains($0) }
    let unknownBefore = Set(before.unknown.map(\.name))
    let unknownNow = Set(strict.unknown.map(\.name))
    found = before.unknown.map(\.name).filter { !unknownNow.contains($0) }
    unknown = strict.unknown.filter { !unknownBefore.contains($0.name) }
    conflicts = strict.conflicts
    missingParts = strict.missingParts
  }

  public var isEmpty: Bool {
    added.isEmpty && removed.isEmpty && found.isEmpty && unknown.isEmpty && conflicts.isEmpty && missingParts.isEmpty
      && failure == nil
  }

  /// For people: a line for the host, then one for each difference.
  public func text(host: String) -> String {
    if isEmpty { return "\(host): the same\n" }
    var lines = ["\(host): \(added.count) more, \(removed.count) fewer"]
    if let failure { lines.append("  Bcfg2's resolver fails: \(failure)") }
    lines += added.map { "  + \(ResolutionText.string($0))" }
    lines += removed.map { "  - \(ResolutionText.string($0))" }
    lines += found.map { "  found now: \(ResolutionText.string($0))" }
    lines += unknown.map { "  ? \(ResolutionText.explain($0))" }
    lines += conflicts.map { "  ! \(ResolutionText.explain($0))" }
    lines += missingParts.map { "  ! \(ResolutionText.explain($0))" }
    return lines.map { $0 + "\n" }.joined()
  }

  /// For programs: one line, an object.
  public func json(host: String) -> String {
    func list(_ names: [[UInt8]]) -> String { "[" + names.map { JSONText.quoted($0) }.joined(separator: ",") + "]" }
    let reasons = unknown.map(ResolutionText.json)
    let pairs = conflicts.map(ResolutionText.json)
    let parts = missingParts.map(ResolutionText.json)
    return "{\"host\":\(JSONText.quoted(Array(host.utf8))),\"added\":\(list(added)),\"removed\":\(list(removed)),"
      + "\"found\":\(list(found)),\"unknown\":[\(reasons.joined(separator: ","))],"
      + "\"conflicts\":[\(pairs.joined(separator: ","))],\"missing\":[\(parts.joined(separator: ","))],"
      + "\"failure\":\(failure.map { JSONText.quoted(Array($0.utf8)) } ?? "null")}\n"
  }
}

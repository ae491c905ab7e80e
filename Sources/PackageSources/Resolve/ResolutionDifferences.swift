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
    lines += added.map { "  + \(Self.string($0))" }
    lines += removed.map { "  - \(Self.string($0))" }
    lines += found.map { "  found now: \(Self.string($0))" }
    lines += unknown.map { "  ? \(Self.explain($0))" }
    lines += conflicts.map {
      "  ! \(Self.string($0.package)) conflicts with \(Self.string($0.other)): \(Self.string($0.relation))"
    }
    lines += missingParts.map { "  ! source \($0.member + 1) lacks \($0.component) \($0.arch)" }
    return lines.map { $0 + "\n" }.joined()
  }

  /// For programs: one line, an object.
  public func json(host: String) -> String {
    func list(_ names: [[UInt8]]) -> String { "[" + names.map { Self.quoted($0) }.joined(separator: ",") + "]" }
    let reasons = unknown.map { name in
      "{\"name\":\(Self.quoted(name.name)),\"reason\":\"\(name.reason)\""
        + (name.wantedBy.map { ",\"wanted_by\":\(Self.quoted($0))" } ?? "") + "}"
    }
    let pairs = conflicts.map {
      "{\"package\":\(Self.quoted($0.package)),\"other\":\(Self.quoted($0.other)),\"relation\":\(Self.quoted($0.relation))}"
    }
    let parts = missingParts.map {
      "{\"source\":\($0.member),\"component\":\(Self.quoted(Array($0.component.utf8))),"
        + "\"arch\":\(Self.quoted(Array($0.arch.utf8)))}"
    }
    return "{\"host\":\(Self.quoted(Array(host.utf8))),\"added\":\(list(added)),\"removed\":\(list(removed)),"
      + "\"found\":\(list(found)),\"unknown\":[\(reasons.joined(separator: ","))],"
      + "\"conflicts\":[\(pairs.joined(separator: ","))],\"missing\":[\(parts.joined(separator: ","))],"
      + "\"failure\":\(failure.map { Self.quoted(Array($0.utf8)) } ?? "null")}\n"
  }

  private static func explain(_ unknown: UnknownName) -> String {
    let why =
      switch unknown.reason {
      case .notFound: "no source has it"
      case .wrongVersion: "no source has it in this version"
      case .excluded: "it is excluded by the sources"
      }
    let wanter = unknown.wantedBy.map { ", which \(string($0)) needs" } ?? ""
    return "\(string(unknown.name))\(wanter): \(why)"
  }

  private static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// A JSON string. Bytes that are no UTF-8 become U+FFFD.
  private static func quoted(_ bytes: [UInt8]) -> String {
    var text = "\""
    for scalar in string(bytes).unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    return text + "\""
  }
}

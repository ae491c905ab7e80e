import Formats
import Logging
import Repository
import ServerSettings
import XMLRPC

/// Indexes the rules of one file by tag and name.
final class CandidateIndex {
  /// One rule and its conditions.
  struct Candidate {
    let node: CompiledStructure.Node
    let conditions: [CompiledStructure.Condition]
    /// The position in the file: the first one that fits wins.
    fileprivate let position: Int

    func holds(_ metadata: ClientMetadata) -> Bool { conditions.allSatisfy { $0.holds(metadata) } }
  }

  /// The rules of one tag. A class, so that a look-up copies nothing.
  private final class Tag {
    var exact: [Name?: [Candidate]] = [:]
    /// Of Path: by name without trailing slashes.
    var trimmed: NameTable<[Candidate]> = [:]
    var regexes: [(regex: PythonRegex, candidate: Candidate)] = []
    /// Cached matches of regular expressions, by name.
    var cached: NameTable<[Candidate]> = [:]
  }

  /// Most names cached for a tag. The repository has few names, but a template can produce one for each client.
  private static let cacheLimit = 65_536

  private let isMatched13: Bool
  private var tags: NameTable<Tag> = [:]

  /// - Parameter usesRegex: treats names as regular expressions, anchored at both ends. A name that does not compile is
  ///   logged with file and line, and only matches itself.
  /// - Parameter compatibility: 1.3 has no nested rules, and of rules with one name uses the last one that applies,
  ///   where contents of a condition come after the elements beside it.
  init(_ structure: CompiledStructure, usesRegex: Bool, compatibility: Compatibility, logger: Logger) {
    isMatched13 = compatibility == .v1_3
    let forEach = isMatched13 ? structure.forEachOuterElement : structure.forEachElement
    var count = 0
    let check = RegexCheck()
    forEach { node, conditions in
      let candidate = Candidate(node: node, conditions: conditions, position: count)
      count += 1
      let name = node.source.name
      let tag = tags[node.source.tag] ?? Tag()
      tag.exact[name.map { Name($0) }, default: []].append(candidate)
      if node.source.tag == "Path", let name { tag.trimmed[Self.trimmed(name), default: []].append(candidate) }
      if usesRegex, let name, Self.isExpression(name) {
        do throws(RegexError) {
          // Anchored as in Bcfg2, without a group: of alternatives only the last is anchored at its end.
          let place = "\(structure.path):\(node.source.line)"
          let source = RegexSource(place: place, logger: logger, check: check)
          tag.regexes.append((try PythonRegex(name + "$", in: source), candidate))
        } catch {
          let place = XMLFileError(path: structure.path, line: Int(node.source.line), message: "\(error)")
          logger.error("\(place)")
        }
      }
      tags[node.source.tag] = tag
    }
  }

  /// Rules with a matching name, in document order, for any client.
  ///
  /// - Parameter metadata: what is made with it is not kept where the request's steps did not suffice to try all names.
  func candidates(tag: String, name: String?, _ metadata: ClientMetadata) -> [Candidate] {
    guard let known = tags[tag] else { return [] }
    let isPath = tag == "Path"
    guard let name else { return known.exact[nil] ?? [] }
    if known.regexes.isEmpty { return (isPath ? known.trimmed[Self.trimmed(name)] : known.exact[Name(name)]) ?? [] }
    if let found = known.cached[name] { return found }
    var found: [Int: Candidate] = [:]
    for candidate in known.exact[Name(name)] ?? [] { found[candidate.position] = candidate }
    if isPath { for candidate in known.trimmed[Self.trimmed(name)] ?? [] { found[candidate.position] = candidate } }
    var isWhole = true
    for (regex, candidate) in known.regexes where found[candidate.position] == nil {
      switch regex.outcome(name) {
      case .found: found[candidate.position] = candidate
      case .notFound, .overLimit: break
      // The request's regex budget ran out: do not cache what was found so far.
      case .overBudget: isWhole = false
      }
    }
    let ordered = found.values.sorted { $0.position < $1.position }
    guard isWhole else {
      metadata.markUncacheable()
      return ordered
    }
    if known.cached.count >= Self.cacheLimit { known.cached.removeAll() }
    known.cached[name] = ordered
    return ordered
  }

  /// Rules that may bind an entry for a client; the caller checks their conditions. With 1.3 returns at most one rule,
  /// which applies: the last one with the entry's own name, else with the first name that matches.
  func contenders(tag: String, name: String?, _ metadata: ClientMetadata) -> [Candidate] {
    let candidates = candidates(tag: tag, name: name, metadata)
    guard isMatched13 else { return candidates }
    let holding = candidates.filter { $0.holds(metadata) }
    guard let first = holding.first else { return [] }
    let own = holding.last { $0.node.source.name.map { Name($0) } == name.map { Name($0) } }
    return [own ?? holding.last { $0.node.source.name == first.node.source.name } ?? first]
  }

  /// Tags and names whose rules differ from those of another version of the file; nil if there are regular expressions,
  /// so that any name may be concerned.
  static func differences(_ one: CandidateIndex?, _ other: CandidateIndex?) -> [(tag: String, name: String?)]? {
    var found: [(tag: String, name: String?)] = []
    for tag in NameSet((one?.tags.keys ?? []) + (other?.tags.keys ?? [])) {
      let (a, b) = (one?.tags[tag], other?.tags[tag])
      guard a?.regexes.isEmpty ?? true, b?.regexes.isEmpty ?? true else { return nil }
      for name in Set((a?.exact.keys).map(Array.init) ?? []).union((b?.exact.keys).map(Array.init) ?? [])
      where !areSame(a?.exact[name] ?? [], b?.exact[name] ?? []) {
        found.append((tag, name?.text))
      }
      // Rules whose names differ in slashes at the end concern one entry, in their order.
      for name in NameSet((a?.trimmed.keys ?? []) + (b?.trimmed.keys ?? []))
      where !areSame(a?.trimmed[name] ?? [], b?.trimmed[name] ?? []) {
        found.append((tag, name))
      }
    }
    return found
  }

  private static func areSame(_ one: [Candidate], _ other: [Candidate]) -> Bool {
    one.count == other.count
      && zip(one, other).allSatisfy {
        $0.conditions.elementsEqual($1.conditions, by: { $0.isSame(as: $1) })
          && $0.node.source.isSame(as: $1.node.source)
      }
  }

  /// Removes slashes at the end of a name.
  static func trimmed(_ name: String) -> String {
    guard name.utf8.last == UInt8(ascii: "/") else { return name }
    var utf8 = Substring(name)
    while utf8.utf8.last == UInt8(ascii: "/") { utf8.removeLast() }
    return String(utf8)
  }

  /// True if a name has a character with a meaning in regular expressions.
  private static func isExpression(_ name: String) -> Bool {
    name.utf8.contains { byte in
      switch byte {
      case UInt8(ascii: "."), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "["),
        UInt8(ascii: "]"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "{"), UInt8(ascii: "}"),
        UInt8(ascii: "|"), UInt8(ascii: "^"), UInt8(ascii: "$"), UInt8(ascii: "\\"):
        true
      default:
        false
      }
    }
  }
}

/// Replaces `%name` and `%{name}` in a text, as Python's `string.Template` with the delimiter `%`.
enum NameTemplate {
  /// Replaces both by `name`, and `%%` by `%`; other variables stay.
  static func substitute(_ text: String, name: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
    var out: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let percent = rest.firstIndex(of: UInt8(ascii: "%")) {
      out += rest[..<percent]
      rest = rest[(percent + 1)...]
      if rest.first == UInt8(ascii: "%") {
        out.append(UInt8(ascii: "%"))
        rest.removeFirst()
      } else if rest.starts(with: "{name}".utf8) {
        out += name.utf8
        rest = rest.dropFirst(6)
      } else if rest.prefix(while: isIdentifierByte).elementsEqual("name".utf8) {
        out += name.utf8
        rest = rest.dropFirst(4)
      } else {
        out.append(UInt8(ascii: "%"))
      }
    }
    return String(decoding: out + rest, as: UTF8.self)
  }

  private static func isIdentifierByte(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || byte &- UInt8(ascii: "0") < 10 || (byte | 0x20) &- UInt8(ascii: "a") < 26
  }
}

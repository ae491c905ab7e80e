import Formats
import Logging
import Repository
import ServerSettings
import XMLRPC

/// The rules of one file by tag and name.
final class CandidateIndex {
  /// One rule with the conditions that it stands under.
  struct Candidate {
    let node: CompiledStructure.Node
    let conditions: [CompiledStructure.Condition]
    /// The place in the file: of several that fit, the first one counts.
    fileprivate let position: Int

    func holds(_ metadata: ClientMetadata) -> Bool { conditions.allSatisfy { $0.holds(metadata) } }
  }

  /// What is known of one tag. A class, so that a look at it copies nothing.
  private final class Tag {
    var exact: [Name?: [Candidate]] = [:]
    /// Of Path: by name without slashes at the end.
    var trimmed: NameTable<[Candidate]> = [:]
    var regexes: [(regex: PythonRegex, candidate: Candidate)] = []
    /// What was found by regular expressions, by name.
    var remembered: NameTable<[Candidate]> = [:]
  }

  /// How many names are remembered for a tag. Names come from the repository, so that there are not many; but a
  /// template can make one for each client.
  private static let rememberedLimit = 65_536

  private let isMatched13: Bool
  private var tags: NameTable<Tag> = [:]

  /// - Parameter usesRegex: a name may be a regular expression, anchored at its start and its end. One that does not
  ///   compile is logged with file and line, and is only a name.
  /// - Parameter compatibility: 1.3 knows no rules within rules, and of rules of one name takes the last one that
  ///   applies, where what a condition holds comes after what stands beside it.
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
          // As Bcfg2 makes it, without a group: of alternatives only the last is anchored at its end.
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

  /// Rules whose name fits, in document order, whatever the client.
  func candidates(tag: String, name: String?) -> [Candidate] {
    guard let known = tags[tag] else { return [] }
    let isPath = tag == "Path"
    guard let name else { return known.exact[nil] ?? [] }
    if known.regexes.isEmpty { return (isPath ? known.trimmed[Self.trimmed(name)] : known.exact[Name(name)]) ?? [] }
    if let found = known.remembered[name] { return found }
    var found: [Int: Candidate] = [:]
    for candidate in known.exact[Name(name)] ?? [] { found[candidate.position] = candidate }
    if isPath { for candidate in known.trimmed[Self.trimmed(name)] ?? [] { found[candidate.position] = candidate } }
    var isWhole = true
    for (regex, candidate) in known.regexes where found[candidate.position] == nil {
      switch regex.outcome(name) {
      case .found: found[candidate.position] = candidate
      case .notFound, .overLimit: break
      // Another request may know better.
      case .overBudget: isWhole = false
      }
    }
    let ordered = found.values.sorted { $0.position < $1.position }
    guard isWhole else { return ordered }
    if known.remembered.count >= Self.rememberedLimit { known.remembered.removeAll() }
    known.remembered[name] = ordered
    return ordered
  }

  /// Rules that may bind an entry for a client; whether their conditions hold is still to be asked. With 1.3 at most one,
  /// which holds: the last one of the entry's own name, else of the name that fits first.
  func contenders(tag: String, name: String?, _ metadata: ClientMetadata) -> [Candidate] {
    let candidates = candidates(tag: tag, name: name)
    guard isMatched13 else { return candidates }
    let holding = candidates.filter { $0.holds(metadata) }
    guard let first = holding.first else { return [] }
    let own = holding.last { $0.node.source.name.map { Name($0) } == name.map { Name($0) } }
    return [own ?? holding.last { $0.node.source.name == first.node.source.name } ?? first]
  }

  /// A name without slashes at its end.
  private static func trimmed(_ name: String) -> String {
    guard name.utf8.last == UInt8(ascii: "/") else { return name }
    var utf8 = Substring(name)
    while utf8.utf8.last == UInt8(ascii: "/") { utf8.removeLast() }
    return String(utf8)
  }

  /// True where a name has a character with a meaning in regular expressions.
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

/// `%name` and `%{name}` in a text, as Python's `string.Template` with `%` for its delimiter.
enum NameTemplate {
  /// Replaces them by `name`, and `%%` by `%`; everything else stays, other variables too.
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

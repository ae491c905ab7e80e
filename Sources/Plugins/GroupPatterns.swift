public import Core
import Formats
import Identity
import Logging
import Repository
import ServerSettings

/// GroupPatterns: groups of clients by what their names look like. `GroupPatterns/config.xml` has `NamePattern` (a
/// regular expression, searched anywhere) and `NameRange` (`web[[1-5,9]]`, from the start of the name).
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/GroupPatterns.py.
public final class GroupPatternsPlugin: Plugin, Connector {
  public override class var name: String { "GroupPatterns" }

  private let file: GroupPatternsFile

  public required init(_ context: PluginContext) {
    file = GroupPatternsFile(
      path: context.folder + "/config.xml", monitor: context.core.fileMonitor, logger: context.logger,
      creatingTopTag: Self.name)
    super.init(context)
  }

  public override func load() {
    file.onChange = { [unowned core] in
      if core.metadataCacheMode == .cautious || core.metadataCacheMode == .aggressive { core.expireMetadataCache() }
    }
    file.watch()
  }

  public func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    file.groups(of: metadata.hostname.text).map { .named($0) }
  }
}

/// GroupPatterns/config.xml.
final class GroupPatternsFile: XMLFileBacked {
  private var patterns: [GroupPattern] = []

  override func compile(_ document: RepositoryDocument) throws {
    var patterns: [GroupPattern] = []
    let check = RegexCheck()
    func source(of element: Element) -> RegexSource {
      RegexSource(place: "\(path):\(element.line)", logger: logger, check: check)
    }
    var entries = document.root.descendants(tagged: "GroupPattern")
    if document.root.tag == "GroupPattern" { entries.insert(document.root, at: 0) }
    for entry in entries {
      do throws(GroupPatternError) {
        let groups = entry.children(tagged: "Group").compactMap(\.text)
        for element in entry.children(tagged: "NamePattern") {
          patterns.append(GroupPattern(try .init(pattern: element.text, in: source(of: element)), groups: groups))
        }
        for element in entry.children(tagged: "NameRange") {
          patterns.append(GroupPattern(try .init(range: element.text, in: source(of: element)), groups: groups))
        }
      } catch {
        // As in Bcfg2, patterns before this one in the element are kept, the rest are not.
        logger.error("\(path):\(entry.line): GroupPatterns: Failed to initialize pattern: \(error)")
      }
    }
    self.patterns = patterns
  }

  /// Groups of every pattern that fits, in the order of the file.
  func groups(of hostname: String) -> [String] {
    var groups: [String] = []
    for pattern in patterns {
      do throws(GroupPatternError) {
        groups += try pattern.groups(of: hostname) ?? []
      } catch {
        logger.error("GroupPatterns: Failed to process pattern \(pattern.test) for \(hostname): \(error)")
      }
    }
    return groups
  }
}

/// What is wrong with single patterns, for tools.
package enum GroupPatternProblem {
  /// Why a `NamePattern` cannot be used; nil if it can.
  package static func ofPattern(_ text: String?) -> String? {
    problem { () throws(GroupPatternError) in try .init(pattern: text) }
  }

  /// Why a `NameRange` cannot be used; nil if it can.
  package static func ofRange(_ text: String?) -> String? {
    problem { () throws(GroupPatternError) in try .init(range: text) }
  }

  private static func problem(_ make: () throws(GroupPatternError) -> GroupPattern.Test) -> String? {
    do throws(GroupPatternError) {
      _ = try make()
      return nil
    } catch {
      return error.description
    }
  }
}

/// Why a pattern cannot be used.
struct GroupPatternError: Error, CustomStringConvertible {
  let description: String
}

/// One `NamePattern` or `NameRange`, and the groups of those that it fits.
struct GroupPattern {
  enum Test: CustomStringConvertible {
    case pattern(PythonRegex)
    case range(PythonRegex, [DigitRange])

    /// - Parameter pattern: the text of a `NamePattern`.
    init(pattern: String?, in source: RegexSource? = nil) throws(GroupPatternError) {
      guard let pattern else { throw GroupPatternError(description: "No pattern or range given") }
      self = .pattern(try Test.compile(pattern, finds: .anywhere, in: source))
    }

    /// - Parameter range: the text of a `NameRange`: a regular expression without backslashes, numbers as `[[1-5,9]]`.
    init(range: String?, in source: RegexSource? = nil) throws(GroupPatternError) {
      guard let range else { throw GroupPatternError(description: "No pattern or range given") }
      if range.utf8.contains(UInt8(ascii: "\\")) {
        throw GroupPatternError(description: "Backslashes are not allowed in NameRanges")
      }
      var ranges: [DigitRange] = []
      var pattern = ""
      var finder = ""
      var rest = Substring(range)
      while let opening = rest.utf8.firstIndex(of: UInt8(ascii: "[")) {
        pattern += rest[..<opening]
        finder += rest[..<opening]
        rest = rest[opening...]
        guard let text = Test.rangeText(rest) else {
          pattern += rest.prefix(1)
          finder += rest.prefix(1)
          rest = rest.dropFirst()
          continue
        }
        ranges.append(try DigitRange(text))
        pattern += "([0-9]+)"
        finder += "\\[\\[[0-9,-]+\\]\\]"
        rest = rest.dropFirst(text.count + 4)
      }
      if range.utf8.contains(UInt8(ascii: "(")) {
        throw GroupPatternError(description: "Parentheses are not allowed in NameRanges")
      }
      // Bcfg2 finds the numbers by matching the range against itself, which excludes sets and most quantifiers.
      guard try Test.compile(finder + rest).match(range) != nil else {
        throw GroupPatternError(description: "Not a text with ranges of numbers")
      }
      self = .range(try Test.compile("^" + pattern + rest, in: source), ranges)
    }

    /// The text between `[[` and `]]` at the beginning of a text; nil if there is none, or if it is no range.
    private static func rangeText(_ text: Substring) -> Substring? {
      guard text.hasPrefix("[[") else { return nil }
      let inner = text.dropFirst(2)
      let allowed = inner.prefix { $0 == "-" || $0 == "," || ("0"..."9").contains($0) }
      return allowed.isEmpty || !inner[allowed.endIndex...].hasPrefix("]]") ? nil : allowed
    }

    private static func compile(
      _ pattern: String, finds scope: PythonRegex.Scope = .atStart, in source: RegexSource? = nil
    ) throws(GroupPatternError) -> PythonRegex {
      do throws(RegexError) {
        return try PythonRegex(pattern, finds: scope, in: source)
      } catch {
        throw GroupPatternError(description: "Could not compile pattern regex: \(error)")
      }
    }

    var description: String {
      switch self {
      case .pattern(let regex), .range(let regex, _): regex.pattern
      }
    }
  }

  let test: Test
  let groups: [String]

  init(_ test: Test, groups: [String]) {
    self.test = test
    self.groups = groups
  }

  /// The groups of a client, with `$1` and so on replaced by what the pattern's groups matched; nil if it does not match.
  ///
  /// - Throws: if a group of the pattern matched nothing, so that there is no text for `$1`.
  func groups(of hostname: String) throws(GroupPatternError) -> [String]? {
    switch test {
    case .range(let regex, let ranges):
      guard let match = regex.match(hostname) else { return nil }
      let fits = ranges.enumerated().allSatisfy { index, range in match[index + 1].map(range.includes) ?? false }
      return fits ? groups : nil
    case .pattern(let regex):
      guard let match = regex.match(hostname) else { return nil }
      var made = groups
      for number in 0..<match.groupCount where !groups.isEmpty {
        guard let text = match[number + 1] else {
          throw GroupPatternError(description: "group \(number + 1) took no part in the match")
        }
        // Replaced one after the other, so that `$1` is also found in `$10`, as in Bcfg2.
        made = made.map { $0.replacing("$\(number + 1)", with: text) }
      }
      return made
    }
  }
}

/// Numbers and ranges of numbers, both ends included: `1-5,9,20-`.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Utils.py, PackedDigitRange.
struct DigitRange {
  private let parts: [ClosedRange<Int>]

  /// - Throws: the text that is neither a number nor a range.
  init(_ text: Substring) throws(GroupPatternError) {
    var parts: [ClosedRange<Int>] = []
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = item.split(separator: "-", omittingEmptySubsequences: false)
      let low = Int(ends[0])
      let high = ends.count == 1 ? low : ends[1].isEmpty ? Int.max : Int(ends[1])
      guard let low, let high, ends.count <= 2 else {
        throw GroupPatternError(description: "Bad range '\(item)' in '\(text)'")
      }
      // A range from high to low holds nothing.
      if low <= high { parts.append(low...high) }
    }
    self.parts = parts
  }

  /// - Parameter digits: leading zeros do not count; a number beyond Int's range counts as `Int.max`.
  func includes(_ digits: String) -> Bool {
    let number = Int(digits) ?? .max
    return parts.contains { $0.contains(number) }
  }
}

import Core
import EventLoop
import Formats
import InstanceTags
import Logging
import Repository

/// AWSTags/config.xml: which tags put a client in which groups.
final class AWSTagsFile: XMLFileBacked {
  private var patterns: [TagPattern] = []
  /// Grows with each version of the file.
  private(set) var version = 0

  override func compile(_ document: RepositoryDocument) throws {
    let check = RegexCheck()
    var patterns: [TagPattern] = []
    for element in document.root.descendants(tagged: "Tag") {
      let place = "\(path):\(element.line)"
      do throws(TagPatternError) {
        patterns.append(
          try TagPattern(element, place: place, in: RegexSource(place: place, logger: logger, check: check)))
      } catch {
        let pattern = element["name"] ?? "None"
        logger.error("\(place): AWSTags: Failed to initialize pattern \(pattern): \(error)")
      }
    }
    self.patterns = patterns
    version += 1
  }

  /// Groups of every pattern that fits, in the order of the file.
  func groups(of tags: [InstanceTag], client: String) -> [String] {
    var groups: [String] = []
    for pattern in patterns {
      do throws(TagPatternError) {
        groups += try pattern.groups(of: tags)
      } catch {
        logger.error(
          "\(pattern.place): AWSTags: Failed to process pattern \(pattern.name.pattern) for \(client): \(error)")
      }
    }
    return groups
  }
}

/// Why a pattern cannot be used.
struct TagPatternError: Error, CustomStringConvertible {
  let description: String
}

/// One `Tag`, and the groups of those that it fits.
struct TagPattern {
  let name: PythonRegex
  let value: PythonRegex?
  let groups: [String]
  /// `path:line`.
  let place: String

  /// - Throws: if there is no name, or an expression cannot be compiled.
  init(_ element: Element, place: String, in source: RegexSource) throws(TagPatternError) {
    guard let pattern = element["name"] else { throw TagPatternError(description: "it has no name") }
    do throws(RegexError) {
      name = try PythonRegex(pattern, finds: .anywhere, in: source)
      if let pattern = element["value"] {
        value = try PythonRegex(pattern, finds: .anywhere, in: source)
      } else {
        value = nil
      }
    } catch {
      throw TagPatternError(description: "\(error)")
    }
    groups = element.children(tagged: "Group").compactMap(\.text)
    self.place = place
  }

  /// The first tag whose name matches decides, whatever its value. `$1` and so on stand for what the groups of the value's
  /// expression matched, or else of the name's.
  ///
  /// - Throws: if a group of the expression matched nothing, so that there is no text for `$1`.
  func groups(of tags: [InstanceTag]) throws(TagPatternError) -> [String] {
    for tag in tags {
      guard let named = name.match(tag.name) else { continue }
      guard let value else { return try filled(named) }
      return try value.match(tag.value).map { (match) throws(TagPatternError) in try filled(match) } ?? []
    }
    return []
  }

  private func filled(_ match: PythonRegex.Match) throws(TagPatternError) -> [String] {
    var texts: [String] = []
    for number in 0..<match.groupCount where !groups.isEmpty {
      guard let text = match[number + 1] else {
        throw TagPatternError(description: "group \(number + 1) took no part in the match")
      }
      texts.append(text)
    }
    return groups.map { Self.filled($0, texts) }
  }

  /// In one pass: what a tag brings is never looked at for `$1`. `$10` is `$1` and a zero, as in Bcfg2.
  private static func filled(_ group: String, _ texts: [String]) -> String {
    var result = ""
    var rest = group[...]
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[rest.index(after: dollar)...]
      if let digit = rest.first, digit.isASCII, let number = digit.wholeNumberValue,
        (1...texts.count + 1).contains(number),
        number <= texts.count
      {
        result += texts[number - 1]
        rest = rest.dropFirst()
      } else {
        result += "$"
      }
    }
    return result + rest
  }
}

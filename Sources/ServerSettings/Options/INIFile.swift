import EventLoop
import Formats
import Glibc

/// A configuration file as Python 2's ConfigParser reads it, with the line of every value.
///
/// Section names are exact, option names are folded to lower case (as 1.4 does; 1.3.4 asked for the exact spelling, so
/// `Entry.spelling` keeps it). A repeated section adds to the first, a repeated option replaces. Separators are `=` and
/// `:`; an indented line continues the value above it; lines that begin with `#`, `;` or the word `rem` are comments;
/// the first `;` of a value begins a comment if white space stands before it. `[DEFAULT]` gives values to all sections.
public nonisolated struct INIFile: Sendable {
  /// The most bytes a configuration file may hold: a larger one is a mistake.
  public static let limitBytes = 1 << 20
  /// The most bytes one value may grow to by `%(name)s` references.
  public static let valueLimitBytes = 64 << 10

  /// One option of one section.
  public struct Entry: Sendable, Hashable {
    /// The name as written, where a name matters beyond lookup (passphrases of `[encryption]`).
    public let spelling: String
    /// The value before interpolation; continuation lines joined by line feeds. Bytes that are no UTF-8 are replaced.
    public fileprivate(set) var raw: String
    /// The first line of the value that is not UTF-8 text; nil: all are. Such a value cannot be used.
    public fileprivate(set) var badLine: Int?
    /// The file that set it last.
    public let path: String
    /// The line of the option's name, from 1.
    public let line: Int

    /// The place for messages.
    public var origin: SettingOrigin { .file(path: path, line: line) }
  }

  /// One section: its options in the order of their first appearance.
  public struct Section: Sendable, Hashable {
    public let name: String
    /// The file and line of the first header.
    public let path: String
    public let line: Int
    public fileprivate(set) var entries: [String: Entry] = [:]
    public fileprivate(set) var order: [String] = []

    fileprivate mutating func set(_ name: String, to entry: Entry) {
      if entries.updateValue(entry, forKey: name) == nil { order.append(name) }
    }
  }

  /// All sections but `[DEFAULT]`, in the order of their first headers.
  public private(set) var sections: [Section] = []
  /// Lines that are not UTF-8 text. They are an error only if their value is used.
  public private(set) var warnings: [SettingsWarning] = []
  /// The options of `[DEFAULT]`.
  public private(set) var defaults = Section(name: "DEFAULT", path: "", line: 0)
  private var index: [String: Int] = [:]

  /// No section at all.
  public init() {}

  /// Parses the bytes of one file.
  ///
  /// - Parameter path: used in messages and origins only.
  public init(bytes: [UInt8], path: String) throws(SettingsError) {
    try read(bytes: bytes, path: path)
  }

  /// Reads one file from the disk.
  public init(path: String) throws(SettingsError) {
    try read(bytes: Self.contents(path: path), path: path)
  }

  /// The bytes of a regular file of at most `limitBytes`.
  static func contents(path: String) throws(SettingsError) -> [UInt8] {
    do throws(SystemError) {
      return try RegularFile.read(path, limitBytes: limitBytes)
    } catch {
      throw .unreadable(path: path, reason: error.reason)
    }
  }

  /// The section of this exact name.
  public func section(_ name: String) -> Section? {
    index[name].map { sections[$0] }
  }

  /// The entry that decides an option: the section's own, else `[DEFAULT]`'s, none if the section does not exist.
  public func entry(_ section: String, _ option: String) -> Entry? {
    guard let found = index[section] else { return nil }
    let name = option.asciiLowercased
    return sections[found].entries[name] ?? defaults.entries[name]
  }

  /// The value of an option with its references resolved, or nil if it is not set.
  public func value(_ section: String, _ option: String) throws(SettingsError) -> String? {
    guard let entry = entry(section, option) else { return nil }
    return try interpolated(entry, section: section, option: option.asciiLowercased)
  }

  /// Adds another file over this one: its values win.
  public mutating func read(bytes: [UInt8], path: String) throws(SettingsError) {
    guard bytes.count <= Self.limitBytes else {
      throw .unreadable(path: path, reason: "more than \(Self.limitBytes) bytes")
    }
    var cursor: Cursor = .none
    var option: String?
    var number = 0
    for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
      number += 1
      guard let kind = Self.classify(Array(line), continuing: cursor != .none && option != nil) else {
        let reason =
          cursor == .none
          ? "a line before the first section header" : "neither a section header, an option nor a continuation"
        throw .malformed(path: path, line: number, reason: reason)
      }
      switch kind {
      case .nothing:
        warn("a comment", unless: Self.isText(line), path, number)
      case .continuation(let value):
        let isText = Self.isText(value)
        warn("a value", unless: isText, path, number)
        if let option {
          change(cursor) {
            $0.entries[option]?.raw += "\n" + String(decoding: value, as: UTF8.self)
            if !isText, $0.entries[option]?.badLine == nil { $0.entries[option]?.badLine = number }
          }
        }
      case .header(let name):
        warn("the name of a section", unless: Self.isText(name), path, number)
        cursor = enter(String(decoding: name, as: UTF8.self), path: path, line: number)
        option = nil
      case .option(let spelling, let value):
        guard cursor != .none else {
          throw .malformed(path: path, line: number, reason: "a line before the first section header")
        }
        let isText = Self.isText(value)
        warn("the name of an option", unless: Self.isText(spelling), path, number)
        warn("a value", unless: isText, path, number)
        if Self.isText(spelling), isText { warn("a comment", unless: Self.isText(line), path, number) }
        let written = String(decoding: spelling, as: UTF8.self)
        let name = written.asciiLowercased
        let entry = Entry(
          spelling: written, raw: String(decoding: value, as: UTF8.self), badLine: isText ? nil : number, path: path,
          line: number)
        change(cursor) { $0.set(name, to: entry) }
        option = name
      }
    }
  }

  /// Bcfg2 reads such a line as bytes and never notices what it does not use.
  private mutating func warn(_ place: String, unless isText: Bool, _ path: String, _ line: Int) {
    if isText { return }
    warnings.append(
      SettingsWarning(origin: .file(path: path, line: line), text: "\(place) is not UTF-8 text and cannot be used"))
  }

  /// Which section lines belong to.
  private enum Cursor: Equatable {
    case none, defaults
    case section(Int)
  }

  private mutating func enter(_ name: String, path: String, line: Int) -> Cursor {
    if let known = index[name] { return .section(known) }
    if name == "DEFAULT" { return .defaults }
    index[name] = sections.count
    sections.append(Section(name: name, path: path, line: line))
    return .section(sections.count - 1)
  }

  private mutating func change(_ cursor: Cursor, _ body: (inout Section) -> Void) {
    switch cursor {
    case .none: break
    case .defaults: body(&defaults)
    case .section(let number): body(&sections[number])
    }
  }
}

// MARK: - Lines

nonisolated extension INIFile {
  private enum Line {
    case nothing
    case continuation([UInt8])
    case header([UInt8])
    case option([UInt8], [UInt8])
  }

  /// Whether these are valid UTF-8 without NUL bytes.
  private static func isText(_ bytes: some Collection<UInt8>) -> Bool {
    !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
  }

  /// Decides what a line is, in the order of Python 2.7's ConfigParser._read; nil where that records an error.
  private static func classify(_ line: [UInt8], continuing: Bool) -> Line? {
    let stripped = line.stripped
    guard let first = line.first, !stripped.isEmpty else { return .nothing }
    if first == UInt8(ascii: "#") || first == UInt8(ascii: ";") { return .nothing }
    if first | 0x20 == UInt8(ascii: "r"), stripped.count >= 3, stripped.prefix(3).elementsEqual("rem".utf8, by: fold),
      stripped.count == 3 || stripped[stripped.startIndex + 3].isSpace
    {
      return .nothing
    }
    if first.isSpace {
      return continuing ? .continuation(Array(stripped)) : nil
    }
    if first == UInt8(ascii: "["), let end = line.firstIndex(of: UInt8(ascii: "]")), end > 1 {
      return .header(Array(line[1..<end]))
    }
    guard let separator = line.firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") }), separator > 0
    else { return nil }
    let name = line[..<separator].stripped
    return .option(Array(name), value(Array(line[(separator + 1)...])))
  }

  /// A value without its comment. Only the first `;` counts, and only after white space; a `;` at the very beginning
  /// looks at the last byte instead, as `optval[pos-1]` does in Python.
  private static func value(_ rest: [UInt8]) -> [UInt8] {
    var value = rest.drop(while: \.isSpace)
    if let mark = value.firstIndex(of: UInt8(ascii: ";")),
      let before = mark > value.startIndex ? value[mark - 1] : value.last, before.isSpace
    {
      value = value[..<mark]
    }
    let text = Array(value.stripped)
    return text == Array("\"\"".utf8) ? [] : text
  }

  private static func fold(_ byte: UInt8, _ lower: UInt8) -> Bool { byte | 0x20 == lower }
}

// MARK: - Interpolation

nonisolated extension INIFile {
  /// Python 2's ConfigParser.ConfigParser: rounds of `%` formatting while the text holds `%(`, at most ten. A value
  /// without `%(` is left alone, lone percent signs included.
  private func interpolated(_ entry: Entry, section: String, option: String) throws(SettingsError) -> String {
    if let line = entry.badLine {
      throw .malformed(path: entry.path, line: line, reason: "[\(section)] \(option): the value is not UTF-8 text")
    }
    var value = entry.raw
    var rounds = 10
    while value.contains("%(") {
      let failure: String?
      if rounds == 0 {
        failure = "references are nested more than ten deep"
      } else {
        switch format(value, section: section) {
        case .success(let next):
          value = next
          failure = nil
        case .failure(let problem): failure = problem.reason
        }
      }
      if let failure {
        throw .interpolation(origin: entry.origin, section: section, option: option, reason: failure)
      }
      rounds -= 1
    }
    return value
  }

  private struct Problem: Error { let reason: String }

  /// One round of `value % options`: `%(name)s` becomes the option's raw value, `%%` one percent sign.
  private func format(_ value: String, section: String) -> Result<String, Problem> {
    let bytes = Array(value.utf8)
    var result: [UInt8] = []
    var at = 0
    while at < bytes.count {
      guard bytes[at] == UInt8(ascii: "%") else {
        result.append(bytes[at])
        at += 1
        continue
      }
      let next = at + 1 < bytes.count ? bytes[at + 1] : 0
      if next == UInt8(ascii: "%") {
        result.append(next)
        at += 2
        continue
      }
      guard next == UInt8(ascii: "("), let end = bytes[at...].firstIndex(of: UInt8(ascii: ")")),
        end + 1 < bytes.count, bytes[end + 1] == UInt8(ascii: "s")
      else {
        return .failure(Problem(reason: "'%' must be followed by '%' or '(name)s' in a value that has references"))
      }
      let name = String(decoding: bytes[(at + 2)..<end], as: UTF8.self).asciiLowercased
      let entry = self.entry(section, name)
      if let line = entry?.badLine {
        return .failure(Problem(reason: "the value of option '\(name)' in line \(line) is not UTF-8 text"))
      }
      let found = name == "__name__" ? section : entry?.raw
      guard let found else {
        return .failure(Problem(reason: "no option '\(name)' in [\(section)] or [DEFAULT] for %(\(name))s"))
      }
      result.append(contentsOf: found.utf8)
      at = end + 2
      guard result.count <= Self.valueLimitBytes else {
        return .failure(Problem(reason: "the value grows beyond \(Self.valueLimitBytes) bytes"))
      }
    }
    return .success(String(decoding: result, as: UTF8.self))
  }
}

import Formats
public import ServerSettings

/// What bcfg2.conf and bcfg2-lint.conf say to the checks. The latter wins, as in Bcfg2.
public nonisolated struct LintConfiguration: Sendable {
  /// Kinds of files that `[Comments]` has rules for.
  public enum CommentKind: String, CaseIterable, Sendable {
    case bundler, genshibundler, properties, cfg, genshi, cheetah, jinja2, infoxml, probes, metadata
  }

  private let file: INIFile

  /// - Throws: `SettingsError` where a file cannot be parsed.
  public init(_ file: INIFile) { self.file = file }

  /// The standard place of bcfg2-lint.conf.
  public static let standardFile = "/etc/bcfg2-lint.conf"

  /// `[lint] plugins`; nil: all whose plugin of the server is enabled.
  public func plugins() throws(SettingsError) -> [String]? { try list("lint", "plugins") }

  /// `[Validate] schema`, or 1.3's `[lint] schema`.
  public func schemaFolder() throws(SettingsError) -> String? {
    if let folder = try file.value("Validate", "schema") { return folder }
    return try file.value("lint", "schema")
  }

  /// `[errors]`: severities by name.
  ///
  /// - Throws: `SettingsError` for a value that is none.
  public func severities() throws(SettingsError) -> [String: Severity] {
    var found: [String: Severity] = [:]
    for name in file.section("errors")?.order ?? [] {
      guard let text = try file.value("errors", name) else { continue }
      guard let severity = Severity(text: text) else {
        throw .wrongValue(
          origin: file.entry("errors", name)?.origin ?? .file(path: "bcfg2-lint.conf", line: 0),
          section: "errors", option: name, value: text, allowed: "error, warning or silent")
      }
      found[name] = severity
    }
    return found
  }

  /// `[InfoXML] required_attrs`.
  func requiredInfoAttributes() throws(SettingsError) -> [String] {
    try list("InfoXML", "required_attrs") ?? ["owner", "group", "mode"]
  }

  /// `[MergeFiles] threshold`, as a ratio; nil where it is not set. Then similar files are not looked for: 1.4 compares the
  /// ratio with the text of its default, which is never smaller.
  func mergeThreshold() throws(SettingsError) -> Double? {
    guard let text = try file.value("MergeFiles", "threshold") else { return nil }
    guard let number = Double(text), number >= 0 else {
      throw .wrongValue(
        origin: file.entry("MergeFiles", "threshold")?.origin ?? .file(path: "bcfg2-lint.conf", line: 0),
        section: "MergeFiles", option: "threshold", value: text, allowed: "a ratio such as 0.75, or a percentage")
    }
    return number > 1 ? number / 100 : number
  }

  /// `[Comments]`: what files of a kind must have; `of` is `keywords` or `comments`. An empty value asks for nothing.
  func required(_ what: String, of kind: CommentKind) throws(SettingsError) -> [String] {
    let global = try list("Comments", "global_\(what)") ?? []
    guard let own = try list("Comments", "\(kind.rawValue)_\(what)") else { return global }
    return own.isEmpty ? [] : global + own
  }

  private func list(_ section: String, _ option: String) throws(SettingsError) -> [String]? {
    try file.value(section, option).map { text in
      text.split { $0 == "," || $0.isWhitespace && section == "lint" }
        .map { String($0).trimmingWhitespace }.filter { !$0.isEmpty }
    }
  }
}

nonisolated extension String {
  /// Without white space at both ends.
  var trimmingWhitespace: String {
    var rest = Substring(self)
    while let first = rest.first, first.isWhitespace { rest.removeFirst() }
    while let last = rest.last, last.isWhitespace { rest.removeLast() }
    return String(rest)
  }
}

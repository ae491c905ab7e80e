import ServerSettings
import XMLRPC

/// Findings for programs.
public nonisolated struct MachineOutput: Sendable {
  private let findings: [Finding]
  /// Folder that paths are relative to, with a slash at its end.
  private let folder: String

  /// - Parameters:
  ///   - findings: silent ones are left out.
  ///   - folder: SARIF and annotations name files relative to it: the top of a checkout. Files elsewhere keep their path.
  public init(_ findings: [Finding], folder: String) {
    self.findings = findings.filter { $0.severity != .silent }
    self.folder = folder.hasSuffix("/") ? folder : folder + "/"
  }

  // MARK: JSON

  /// The names of errors and how they are handled, in the order of the names.
  public static func json(_ severities: [String: Severity]) -> String {
    let items = severities.sorted { $0.key < $1.key }.map { name, severity in
      JSONText.object(["name": .string(name), "severity": .string(severity.rawValue)])
    }
    return JSONText.object(["errors": .array(items)]).text()
  }

  /// One object: findings in the order in which they were found, and their number.
  public var json: String {
    let items = findings.map { finding in
      JSONText.object([
        "name": .string(finding.name), "plugin": .string(finding.plugin),
        "severity": .string(finding.severity.rawValue),
        "message": .string(finding.message), "file": finding.place.map { .string($0.path) },
        "line": finding.place.flatMap { $0.line > 0 ? .number($0.line) : nil },
        "details": finding.parts.isEmpty
          ? nil
          : .array(
            finding.parts.map { part in
              .object([
                "file": .string(part.place.path), "line": part.place.line > 0 ? .number(part.place.line) : nil,
                "message": .string(part.message),
              ])
            }),
      ])
    }
    return JSONText.object([
      "findings": .array(items), "errors": .number(findings.count { $0.severity == .error }),
      "warnings": .number(findings.count { $0.severity == .warning }),
    ]).text()
  }

  // MARK: SARIF

  /// SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
  ///
  /// - Parameter version: of the program.
  public func sarif(version: String) -> String {
    var rules: [String] = []
    for finding in findings where !rules.contains(finding.name) { rules.append(finding.name) }
    let results = singles.map { single in
      JSONText.object([
        "ruleId": .string(single.finding.name), "ruleIndex": .number(rules.firstIndex(of: single.finding.name) ?? 0),
        "level": .string(single.finding.severity.rawValue), "message": .object(["text": .string(single.message)]),
        "locations": single.place.map { .array([location($0)]) },
      ])
    }
    let driver = JSONText.object([
      "name": .string("bcfg2-lint"), "version": .string(version),
      "rules": .array(rules.map { .object(["id": .string($0)]) }),
    ])
    return JSONText.object([
      "$schema": .string("https://json.schemastore.org/sarif-2.1.0.json"), "version": .string("2.1.0"),
      "runs": .array([.object(["tool": .object(["driver": driver]), "results": .array(results)])]),
    ]).text()
  }

  private func location(_ place: Finding.Place) -> JSONText {
    .object([
      "physicalLocation": .object([
        "artifactLocation": .object(["uri": .string(Self.uri(relative(place.path)))]),
        "region": place.line > 0 ? .object(["startLine": .number(place.line)]) : nil,
      ])
    ])
  }

  /// A path with what a URI does not take as `%XX`.
  private static func uri(_ path: String) -> String {
    let encoded = Hexadecimal.percentEncoded(path.utf8) { Hexadecimal.isUnreserved($0) || $0 == UInt8(ascii: "/") }
    return (path.hasPrefix("/") ? "file://" : "") + String(decoding: encoded, as: UTF8.self)
  }

  // MARK: GitHub

  /// Annotations of GitHub Actions: `::error file=F,line=N,title=NAME::TEXT`.
  public var annotations: [String] {
    singles.map { single in
      var properties: [String] = []
      if let place = single.place {
        properties.append("file=" + Self.escaped(VisibleText.escaped(relative(place.path)), isProperty: true))
        if place.line > 0 { properties.append("line=\(place.line)") }
      }
      properties.append("title=" + Self.escaped(single.finding.name, isProperty: true))
      return "::\(single.finding.severity.rawValue) \(properties.joined(separator: ","))::"
        + Self.escaped(single.lines.map { VisibleText.escaped($0) }.joined(separator: "\n"), isProperty: false)
    }
  }

  /// Escapes as GitHub's toolkit does.
  private static func escaped(_ text: String, isProperty: Bool) -> String {
    var result = text.replacing("%", with: "%25").replacing("\r", with: "%0D").replacing("\n", with: "%0A")
    if isProperty { result = result.replacing(":", with: "%3A").replacing(",", with: "%2C") }
    return result
  }

  // MARK: What both have

  private struct Single {
    let finding: Finding
    let place: Finding.Place?
    let lines: [String]
    var message: String { lines.joined(separator: "\n") }
  }

  /// The parts of findings that have some, else the findings.
  private var singles: [Single] {
    findings.flatMap { finding in
      finding.parts.isEmpty
        ? [Single(finding: finding, place: finding.place, lines: finding.lines)]
        : finding.parts.map { Single(finding: finding, place: $0.place, lines: [$0.message]) }
    }
  }

  private func relative(_ path: String) -> String {
    path.hasPrefix(folder) ? String(path.dropFirst(folder.count)) : path
  }
}

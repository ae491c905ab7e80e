/// Gathers findings and counts them.
public final class LintReport {
  public private(set) var findings: [Finding] = []
  /// Called with each finding, as soon as it is there.
  public var onFinding: ((Finding) -> Void)?
  /// Severities by the names of errors.
  private let severities: [String: Severity]
  /// The check that runs.
  var plugin = ""

  public init(severities: [String: Severity]) { self.severities = severities }

  public var errorCount: Int { findings.count { $0.severity == .error } }
  public var warningCount: Int { findings.count { $0.severity == .warning } }

  /// Adds a finding with the severity that its name has.
  ///
  /// - Parameter more: lines after the first.
  func add(
    _ name: String, _ message: String, more: [String] = [], at place: Finding.Place? = nil, parts: [Finding.Part] = []
  ) {
    let finding = Finding(
      name: name, plugin: plugin, severity: severities[name] ?? .error, lines: [message] + more, place: place,
      parts: parts)
    findings.append(finding)
    onFinding?(finding)
  }
}

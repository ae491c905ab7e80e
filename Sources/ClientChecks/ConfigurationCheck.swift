public import Repository

/// What is checked of a client's configuration, in this order: it has a bundle; it has those of the client's groups; no package is of
/// an unknown type; no entry has failed.
@MainActor
public struct ConfigurationCheck {
  private static let divider = String(repeating: "-", count: 70)

  private let ignored: IgnoredEntries
  /// Whether a failure is none, because it is for want of what only a server makes.
  private let isExcused: (_ failure: String) -> Bool

  public init(ignoring ignored: IgnoredEntries, excusing isExcused: @escaping (_ failure: String) -> Bool) {
    self.ignored = ignored
    self.isExcused = isExcused
  }

  /// - Parameters:
  ///   - bundles: those that the client's groups bring.
  ///   - log: what the server said while it built the configuration.
  /// - Returns: what is wrong; nil if all is well.
  public func problem(_ document: Element, client: String, bundles: [String], log: [String]) -> String? {
    let log = log.isEmpty ? [] : log + [Self.divider]
    let found = document.children.filter { $0.tag == "Bundle" || $0.tag == "Independent" }.compactMap(\.name)
    guard !found.isEmpty else { return Self.lines(log + ["\(client) has no content"]) }
    let missing = bundles.filter { !found.contains($0) }
    guard missing.isEmpty else {
      return Self.lines(log + ["Configuration is missing bundle(s): \(missing.joined(separator: ":"))"])
    }
    var unknown: [String] = []
    var failures: [String] = []
    document.forEachDescendant { element in
      let name = element.name ?? "None"
      if element.tag == "Package", element["type"] == "unknown", !ignored.contain(element.tag, name) {
        unknown.append(name)
      }
      if let failure = element["failure"], !ignored.contain(element.tag, name), !isExcused(failure) {
        failures.append("\(element.tag):\(name): \(failure)")
      }
    }
    if !unknown.isEmpty { return "Configuration contains unknown packages: \(unknown.joined(separator: ", "))" }
    return failures.isEmpty ? nil : Self.lines(log + ["Failures:"] + failures)
  }

  private static func lines(_ lines: [String]) -> String { lines.joined(separator: "\n") }
}

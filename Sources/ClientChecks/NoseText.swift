/// The text that nose prints.
public struct NoseText: Sendable {
  private let isVerbose: Bool
  private static let thick = String(repeating: "=", count: 70)
  private static let thin = String(repeating: "-", count: 70)

  /// - Parameter isVerbose: a line a client in place of a character.
  public init(isVerbose: Bool) { self.isVerbose = isVerbose }

  /// What is printed when a client is done.
  public func progress(_ result: ClientResult) -> String {
    let word =
      switch result.outcome {
      case .ok: isVerbose ? "ok" : "."
      case .failure: isVerbose ? "FAIL" : "F"
      case .error: isVerbose ? "ERROR" : "E"
      }
    return isVerbose ? "\(result.title) ... \(word)\n" : word
  }

  /// What is printed when all are done.
  public func summary(_ results: [ClientResult], seconds: Double) -> String {
    // Ends the line of characters; a line is empty where there was none.
    var lines: [String] = [""]
    for outcome in [ClientResult.Outcome.error, .failure] {
      for result in results where result.outcome == outcome {
        lines += [
          Self.thick, "\(outcome == .error ? "ERROR" : "FAIL"): \(result.title)", Self.thin,
          outcome == .error ? result.text : "AssertionError: \(result.text)", "",
        ]
      }
    }
    let time = Decimals.text(seconds)
    lines += [Self.thin, "Ran \(results.count) test\(results.count == 1 ? "" : "s") in \(time)s", ""]
    let failures = results.count { $0.outcome == .failure }
    let errors = results.count { $0.outcome == .error }
    let counts = [("failures", failures), ("errors", errors)].filter { $0.1 > 0 }.map { "\($0.0)=\($0.1)" }
    lines.append(counts.isEmpty ? "OK" : "FAILED (\(counts.joined(separator: ", ")))")
    return lines.joined(separator: "\n") + "\n"
  }
}

/// Seconds with three places.
enum Decimals {
  static func text(_ seconds: Double) -> String {
    let thousandths = Int((seconds.isFinite ? min(max(seconds, 0), 1e9) * 1000 : 0).rounded())
    let places = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - places.count) + places
  }
}

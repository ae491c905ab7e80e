/// What a process for a part of the clients prints.
public nonisolated enum WorkerLine: Hashable, Sendable {
  /// How many clients it is for.
  case total(Int)
  /// One more of them is done.
  case done
  /// A result, as JSON on one line.
  case result(String)
  /// Why it cannot do its part, which is told once for all that say the same.
  case problem(String)

  public init?(_ line: Substring) {
    if line == "done" {
      self = .done
    } else if line.hasPrefix("total "), let count = Int(line.dropFirst(6)) {
      self = .total(count)
    } else if line.hasPrefix("result ") {
      self = .result(String(line.dropFirst(7)))
    } else if line.hasPrefix("problem ") {
      self = .problem(String(line.dropFirst(8)).replacing("\u{1}", with: "\n"))
    } else {
      return nil
    }
  }

  public var text: String {
    switch self {
    case .total(let count): "total \(count)"
    case .done: "done"
    case .result(let text): "result \(text)"
    case .problem(let text): "problem \(text.replacing("\n", with: "\u{1}"))"
    }
  }
}

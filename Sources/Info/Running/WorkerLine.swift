/// What a process for a part of the clients prints.
enum WorkerLine {
  /// How many clients it is for.
  case total(Int)
  /// One more of them is done.
  case done
  /// A result, as JSON on one line.
  case result(Substring)

  init?(_ line: Substring) {
    if line == "done" {
      self = .done
    } else if line.hasPrefix("total "), let count = Int(line.dropFirst(6)) {
      self = .total(count)
    } else if line.hasPrefix("result ") {
      self = .result(line.dropFirst(7))
    } else {
      return nil
    }
  }

  var text: String {
    switch self {
    case .total(let count): "total \(count)"
    case .done: "done"
    case .result(let text): "result \(text)"
    }
  }
}

import Commands
import Glibc

/// A line on standard error that says how far long work is, where that is a terminal.
@MainActor
final class Progress {
  private let isShown: Bool
  private let what: String
  private(set) var total = 0
  private(set) var done = 0

  init(_ what: String, isShown: Bool = isatty(STDERR_FILENO) == 1) {
    self.what = what
    self.isShown = isShown
  }

  func expect(_ count: Int) { total += count }

  func finishOne() {
    done += 1
    // A thousand clients are fifty lines.
    if done % max(1, total / 50) == 0 || done == total { show() }
  }

  private func show() {
    guard isShown else { return }
    let width = 30
    let filled = total == 0 ? 0 : width * done / total
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    Output.writeError("\r[\(bar)] \(done)/\(total) \(what)\(done == total ? "\n" : "")")
  }
}

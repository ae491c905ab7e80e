import EventLoop
import Glibc

/// A line on standard error that says how far long work is: on a terminal only, and not for work that is done at once.
public final class Progress {
  private static let interval: Duration = .milliseconds(200)

  private let title: String
  private let total: Int
  private let isShown: Bool
  private var next: MonotonicTime
  private var hasLine = false

  /// - Parameter title: what is done, such as `Comparing`.
  public init(_ title: String, of total: Int) {
    self.title = title
    self.total = total
    isShown = isatty(STDERR_FILENO) == 1
    next = MonotonicTime.now() + Self.interval * 2
  }

  /// Shows that so many are done, at most a few times a second.
  public func show(_ done: Int) {
    guard isShown else { return }
    let now = MonotonicTime.now()
    guard now >= next else { return }
    next = now + Self.interval
    hasLine = true
    Output.writeError("\r\(title): \(done) of \(total)\u{1b}[K")
  }

  /// Takes the line away.
  public func end() {
    if hasLine { Output.writeError("\r\u{1b}[K") }
    hasLine = false
  }
}

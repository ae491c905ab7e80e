public import EventLoop
public import Glibc

/// A line on standard error that says how far long work is: on a terminal only, and not for work that is done at once.
@MainActor public final class Progress {
  private static let interval: Duration = .milliseconds(200)

  private let title: String
  private let isShown: Bool
  private let clock: () -> MonotonicTime
  private let write: (String) -> Void
  private var total: Int
  private var done = 0
  private var next: MonotonicTime
  private var hasLine = false

  /// - Parameters:
  ///   - title: what is done, such as `Comparing`.
  ///   - total: how much there is to do; `expect` adds to it.
  ///   - isShown: whether somebody sees it.
  public init(
    _ title: String, of total: Int = 0, isShown: Bool = isatty(STDERR_FILENO) == 1,
    clock: @escaping () -> MonotonicTime = { MonotonicTime.now() },
    write: @escaping (String) -> Void = { Output.writeError($0) }
  ) {
    self.title = title
    self.total = total
    self.isShown = isShown
    self.clock = clock
    self.write = write
    next = clock() + Self.interval * 2
  }

  /// Takes the line away, whichever way the work ends.
  isolated deinit { end() }

  /// There is so much more to do.
  public func expect(_ count: Int) { total += count }

  /// One more is done.
  public func finishOne() { show(done + 1) }

  /// Shows that so many are done, at most a few times a second.
  public func show(_ done: Int) {
    self.done = done
    guard isShown else { return }
    let now = clock()
    guard now >= next else { return }
    next = now + Self.interval
    hasLine = true
    write("\r\(title): \(done) of \(total)\u{1b}[K")
  }

  /// Takes the line away.
  public func end() {
    if hasLine { write("\r\u{1b}[K") }
    hasLine = false
  }
}

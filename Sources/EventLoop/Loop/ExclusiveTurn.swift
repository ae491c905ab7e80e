import DequeModule

/// Runs one task at a time, in order of arrival: for work that must not overlap with itself, such as a program that
/// reads a file and writes it back.
package final class ExclusiveTurn {
  private var isTaken = false
  private var waiters: Deque<CheckedContinuation<Void, Never>> = []

  package init() {}

  /// Runs the work after all that arrived before it; later arrivals wait.
  package func run<Result>(_ work: () async throws -> Result) async rethrows -> Result {
    // The resumed task inherits the turn, so that no other task comes between.
    if isTaken { await withCheckedContinuation { waiters.append($0) } }
    isTaken = true
    defer {
      if let next = waiters.popFirst() { next.resume() } else { isTaken = false }
    }
    return try await work()
  }
}

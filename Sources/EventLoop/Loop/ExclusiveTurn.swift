import DequeModule

/// Lets one task at a time through, in the order in which they came: for what must not run beside itself, such as a
/// program that reads a file and writes it again.
package final class ExclusiveTurn {
  private var isTaken = false
  private var waiters: Deque<CheckedContinuation<Void, Never>> = []

  package init() {}

  /// Runs work when everyone who came before is done; who comes later waits.
  package func run<Result>(_ work: () async throws -> Result) async rethrows -> Result {
    // Whoever is resumed takes over the turn as it is: nobody can come between.
    if isTaken { await withCheckedContinuation { waiters.append($0) } }
    isTaken = true
    defer {
      if let next = waiters.popFirst() { next.resume() } else { isTaken = false }
    }
    return try await work()
  }
}

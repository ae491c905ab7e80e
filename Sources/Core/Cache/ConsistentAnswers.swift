import EventLoop
import Logging
import Repository

/// Counts the repository changes that making an answer itself causes, such as a group that a connector defines or a key
/// that is created. They do not outdate the answer.
package final class AnswerChanges {
  fileprivate(set) var count: UInt64 = 0

  private nonisolated enum Scope {
    @TaskLocal static var current: AnswerChanges?
  }

  /// The changes of the answer that the current task makes.
  package static var current: AnswerChanges? { Scope.current }

  /// Records a change that the current task makes.
  static func record() { Scope.current?.count &+= 1 }

  /// Runs `body` in a task whose changes are recorded here.
  func recording<Answer>(_ body: () async throws -> Answer) async rethrows -> Answer {
    try await Scope.$current.withValue(self, operation: body)
  }
}

extension ServerCore {
  /// Applies a change that making an answer caused, in any task, without outdating that answer.
  ///
  /// - Parameter answer: the changes of that answer; nil if no answer is being made.
  package func applyChange(madeBy answer: AnswerChanges?, _ change: () -> Void) {
    let state = repositoryGeneration
    change()
    answer?.count &+= repositoryGeneration &- state
  }
}

// An answer is made from one state of the repository. Plugins may wait while they make it (for programs, name service,
// other plugins). Edits that arrive meanwhile are applied at once, so that other requests see them; the answer would
// then mix two states.
extension ServerCore {
  /// How often an outdated answer is made again before edits have to wait for it.
  static let retryLimit = 3

  /// Makes an answer from one state of the repository.
  ///
  /// Makes it again if an edit outdated it. After `retryLimit` attempts, holds the file monitor for the next one;
  /// requests that arrive meanwhile with edits to see wait for its end (`waitForHeldEdits`).
  ///
  /// - Parameter body: makes the answer; may be called several times.
  /// - Throws: what the body throws; a `Fault` if the last attempt took longer than `holdLimit` and was outdated too.
  func withConsistentRepository<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    // For an answer within an answer, the outer one is made again.
    if AnswerChanges.current != nil { return try await body() }
    for _ in 0..<Self.retryLimit {
      let (result, isOutdated) = await attempt(body)
      if !isOutdated { return try result.get() }
      logger.debug("The repository changed while an answer was made; making it again")
    }
    let number = beginHold()
    let (result, isOutdated) = await attempt(body)
    let hasTimedOut = number != holdNumber
    endHold(number)
    if hasTimedOut, isOutdated {
      throw criticalError("The repository keeps changing while an answer is made, and making it takes too long")
    }
    return try result.get()
  }

  /// Makes an answer once and reports whether anybody else changed the repository meanwhile.
  private func attempt<Answer>(
    _ body: () async throws -> Answer
  ) async -> (result: Result<Answer, any Error>, isOutdated: Bool) {
    let state = repositoryGeneration
    let changes = AnswerChanges()
    let result: Result<Answer, any Error>
    do {
      result = .success(try await changes.recording(body))
    } catch {
      result = .failure(error)
    }
    return (result, repositoryGeneration != state &+ changes.count)
  }

  /// Waits until no finished edit is held back: a request sees every edit finished before it.
  public func waitForHeldEdits() async {
    while fileMonitor.isHeld, fileMonitor.hasPending {
      await withCheckedContinuation { holdWaiters.append($0) }
    }
  }

  /// - Returns: the number of the hold, which several answers may share.
  private func beginHold() -> UInt64 {
    if holdCount == 0 {
      fileMonitor.isHeld = true
      holdTimer = loop.schedule(after: holdLimit) { [weak self] in
        guard let self else { return }
        logger.warning("Answers take too long: applying the edits of the repository that waited for them")
        release()
      }
    }
    holdCount += 1
    return holdNumber
  }

  private func endHold(_ number: UInt64) {
    guard number == holdNumber else { return }
    holdCount -= 1
    if holdCount == 0 { release() }
  }

  private func release() {
    holdTimer?.cancel()
    holdTimer = nil
    holdNumber &+= 1
    holdCount = 0
    fileMonitor.isHeld = false
    let waiters = holdWaiters
    holdWaiters = []
    for waiter in waiters { waiter.resume() }
  }
}

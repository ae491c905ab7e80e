import EventLoop
import Logging
import Repository

/// Changes to the repository that the making of an answer brought about itself: a group that a connector defines, a key
/// that is created. They do not overtake it.
package final class ChangesOfAnAnswer {
  fileprivate(set) var count: UInt64 = 0

  private nonisolated enum Scope {
    @TaskLocal static var current: ChangesOfAnAnswer?
  }

  /// Those of the answer that the present task makes.
  package static var current: ChangesOfAnAnswer? { Scope.current }

  /// Notes a change that the present task makes.
  static func note() { Scope.current?.count &+= 1 }

  /// Makes an answer in whose task changes are noted here.
  func noting<Answer>(_ body: () async throws -> Answer) async rethrows -> Answer {
    try await Scope.$current.withValue(self, operation: body)
  }
}

extension ServerCore {
  /// Takes in a change that the making of an answer has brought about, in whichever task: it does not overtake that answer.
  ///
  /// - Parameter answer: the changes of that answer; nil where there is none.
  package func take(for answer: ChangesOfAnAnswer?, _ change: () -> Void) {
    let state = repositoryGeneration
    change()
    answer?.count &+= repositoryGeneration &- state
  }
}

// An answer is made of one state of the repository. Plugins may wait while they make it (for programs, name service, other
// plugins), and an edit that comes meanwhile is taken in at once, for others: what was begun before it is then torn.
extension ServerCore {
  /// How often an answer that an edit overtook is made again before edits have to wait for it.
  static let overtakenLimit = 3

  /// Makes an answer from one state of the repository.
  ///
  /// One that an edit overtook while it waited is made again. Where that happens `overtakenLimit` times, the file monitor
  /// is held for the next attempt; who asks meanwhile and has edits to see waits for its end (`waitForHeldEdits`).
  ///
  /// - Parameter body: makes the answer; may be called several times.
  /// - Throws: what the body throws; a `Fault` where it was overtaken even so, because edits do not wait longer than
  ///   `holdLimit`.
  func fromOneState<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
    // An answer within an answer: the outer one is made again.
    if ChangesOfAnAnswer.current != nil { return try await body() }
    for _ in 0..<Self.overtakenLimit {
      let (result, isOvertaken) = await attempt(body)
      if !isOvertaken { return try result.get() }
      logger.debug("The repository changed while an answer was made, it is made again")
    }
    let number = beginHold()
    let (result, isOvertaken) = await attempt(body)
    let isBroken = number != holdNumber
    endHold(number)
    if isBroken, isOvertaken {
      throw criticalError("The repository keeps changing while an answer is made, and making it takes too long")
    }
    return try result.get()
  }

  /// Makes an answer once, and says whether anybody else changed the repository meanwhile.
  private func attempt<Answer>(
    _ body: () async throws -> Answer
  ) async -> (result: Result<Answer, any Error>, isOvertaken: Bool) {
    let state = repositoryGeneration
    let changes = ChangesOfAnAnswer()
    let result: Result<Answer, any Error>
    do {
      result = .success(try await changes.noting(body))
    } catch {
      result = .failure(error)
    }
    return (result, repositoryGeneration != state &+ changes.count)
  }

  /// Waits until edits that have been made are not held back any more: a request is to see what was finished before it.
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
        logger.warning("Answers take too long: edits of the repository that waited for them count from now on")
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

/// How a task waits for the loop.
extension Reactor {
  /// Suspends the task until the next iteration, after the descriptors had their turn: between the parts of long work.
  /// (`Task.yield` lets other tasks run, but perhaps no descriptor.)
  public func nextIteration() async {
    await withCheckedContinuation { continuation in post { continuation.resume() } }
  }

  /// Suspends the task for a time; the loop goes on with others.
  ///
  /// - Throws: `CancellationError`, at once when the task is cancelled.
  public func sleep(for duration: Duration) async throws(CancellationError) {
    let sleeper = Sleeper()
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if Task.isCancelled {
          continuation.resume()
          return
        }
        sleeper.continuation = continuation
        sleeper.timer = schedule(after: duration) { sleeper.wake() }
      }
    } onCancel: {
      // The handler may run on any thread that cancels; the hop brings it to the loop.
      Task { @MainActor in sleeper.wake() }
    }
    if Task.isCancelled { throw CancellationError() }
  }
}

/// A task asleep: resumed once, by its timer or by its cancellation.
private final class Sleeper {
  var continuation: CheckedContinuation<Void, Never>?
  var timer: Timer?

  func wake() {
    timer?.cancel()
    timer = nil
    continuation?.resume()
    continuation = nil
  }
}

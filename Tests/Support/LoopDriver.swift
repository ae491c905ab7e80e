import Dispatch
public import EventLoop

/// Runs a loop inside of `swift test`, where the main actor belongs to Dispatch.
public enum LoopDriver {
  /// Runs iterations until the condition holds; false if that took longer than the limit.
  public static func run(
    _ loop: Reactor, limit: Duration = .seconds(60), until condition: () -> Bool
  ) -> Bool {
    let deadline = MonotonicTime.now() + limit
    while !condition() {
      if MonotonicTime.now() >= deadline { return false }
      loop.runOnce(wait: .milliseconds(50))
    }
    return true
  }

  /// Calls the body with a loop over epoll that runs on the main queue while the body is suspended.
  public static func withLoop<Result>(_ body: (Reactor) async throws -> Result) async throws -> Result {
    let loop = try Reactor()
    // Tests start servers and scripts that run longer than programs of plugins may.
    loop.childQueue.timeLimit = .seconds(3600)
    let sources = makeSources(loop)
    defer { for source in sources { source.cancel() } }
    return try await body(loop)
  }

  /// The poll descriptor tells events; timers and posted work are looked for every millisecond.
  private static func makeSources(_ loop: Reactor) -> [any DispatchSourceProtocol] {
    guard let descriptor = loop.pollDescriptor else { preconditionFailure("the loop cannot be watched") }
    let turn: @MainActor @Sendable () -> Void = { loop.runOnce(wait: .zero) }
    let events = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .main)
    let ticks = DispatchSource.makeTimerSource(queue: .main)
    ticks.schedule(deadline: .now(), repeating: .milliseconds(1))
    begin(events, turn)
    begin(ticks, turn)
    return [events, ticks]
  }

  private nonisolated static func begin(
    _ source: any DispatchSourceProtocol, _ turn: @escaping @MainActor @Sendable () -> Void
  ) {
    source.setEventHandler { MainActor.assumeIsolated { turn() } }
    source.resume()
  }
}

import EventLoop
import ServerSettings

/// The deadline of what a connection waits for.
///
/// The timer follows at the end of each event (`set`), so that a request which is answered at once moves it once. It may
/// therefore fire for a deadline that has been moved or cleared: `isDue` tells.
struct ConnectionClock {
  /// The limit whose time runs.
  private(set) var limit: NetworkLimit?
  private var deadline: MonotonicTime?
  private var timer: Timer?
  /// Bytes moved since the time began.
  private var progress = 0

  /// Makes the timer, with the first limit running.
  mutating func start(_ limit: NetworkLimit, for delay: Duration, on loop: Reactor, _ fire: @escaping () -> Void) {
    let timer = loop.schedule(after: delay, fire)
    self.limit = limit
    self.timer = timer
    deadline = timer.deadline
  }

  /// Starts the time of a limit in place of the one that ran.
  mutating func arm(_ limit: NetworkLimit, until deadline: MonotonicTime) {
    self.limit = limit
    self.deadline = deadline
    progress = 0
  }

  mutating func disarm() {
    limit = nil
    deadline = nil
  }

  func isDue(_ now: MonotonicTime) -> Bool { deadline.map { $0 <= now } ?? false }

  /// Counts bytes that have moved.
  /// - Returns: the limit whose time starts anew, because `limitBytes` have moved since it began.
  mutating func recordProgress(_ byteCount: Int, limitBytes: Int) -> NetworkLimit? {
    progress += byteCount
    return progress >= limitBytes ? limit : nil
  }

  /// Makes the timer fire at the deadline. Without one it is left alone: most connections will soon have one again.
  func set() {
    guard let deadline, let timer, timer.deadline != deadline || !timer.isScheduled else { return }
    timer.rearm(at: deadline)
  }

  /// Ends the timer, which keeps its connection.
  mutating func end() {
    disarm()
    timer?.cancel()
    timer = nil
  }
}

/// One deadline on a loop; made by ``Reactor/schedule(after:_:)``.
///
/// It fires once; its handler may rearm it. The loop retains it while it is scheduled, so that the caller need not. It
/// retains its handler for good: an owner that the handler captures has to break that cycle.
public final class Timer {
  /// When it fires; meaningless while it is not scheduled.
  public private(set) var deadline: MonotonicTime
  /// Whether it waits for its deadline.
  public var isScheduled: Bool { index != -1 }

  fileprivate let handler: () -> Void
  /// Its index in the heap; -1 outside, -2 while it waits for its turn among those that are due.
  fileprivate var index = -1
  /// What the heap is ordered by: never later than the deadline, and repaired when it comes up.
  fileprivate var key: MonotonicTime
  private let timers: Timers

  fileprivate init(deadline: MonotonicTime, timers: Timers, handler: @escaping () -> Void) {
    self.deadline = deadline
    self.key = deadline
    self.timers = timers
    self.handler = handler
  }

  /// Forgets the deadline; nothing happens if it has fired or was cancelled.
  public func cancel() { timers.remove(self) }

  /// Moves the deadline, or sets it again after it fired. Moving it later costs a store.
  public func rearm(at newDeadline: MonotonicTime) {
    deadline = newDeadline
    timers.moved(self)
  }

  /// Moves the deadline to `delay` after the loop's cached time.
  public func rearm(after delay: Duration) { rearm(at: timers.now + delay) }
}

/// The deadlines of one loop: a binary heap that each timer knows its place in.
///
/// Adding, cancelling and moving forward are O(log n). Moving a deadline later, which every read of every connection
/// does, only stores it: the heap keeps the older key and repairs it when that comes up.
final class Timers {
  private var heap: [Timer] = []
  /// The loop's cached time.
  var now: MonotonicTime

  init(now: MonotonicTime) { self.now = now }

  /// Removes every deadline, and the references between timers and heap.
  func removeAll() {
    for timer in heap { timer.index = -1 }
    heap.removeAll()
  }

  var count: Int { heap.count }

  /// The instant to wake at: no later than the earliest deadline, perhaps earlier if that one was moved.
  var wakeTime: MonotonicTime? { heap.first?.key }

  func add(at deadline: MonotonicTime, handler: @escaping () -> Void) -> Timer {
    let timer = Timer(deadline: deadline, timers: self, handler: handler)
    insert(timer)
    return timer
  }

  /// Removes and returns the due timer with the earliest deadline; nil if none is due.
  private func popDue(_ now: MonotonicTime) -> Timer? {
    while let first = heap.first, first.key <= now {
      if first.deadline <= now {
        remove(first)
        return first
      }
      first.key = first.deadline
      siftDown(0)
    }
    return nil
  }

  /// Fires the timers that were due when the call began, in order of their deadlines, `limit` at most. A timer that
  /// rearms itself into the past waits for the next call: no timer can hold the loop. Returns how many fired.
  @discardableResult
  func fire(now: MonotonicTime, limit: Int = .max) -> Int {
    var due: [Timer] = []
    while due.count < limit, let timer = popDue(now) { due.append(timer) }
    if due.isEmpty { return 0 }
    due.sort { $0.deadline < $1.deadline }
    // A cancelled or moved timer of this batch must not fire: each holds its place as -2 until its turn.
    for timer in due { timer.index = -2 }
    var fired = 0
    for timer in due where timer.index == -2 {
      timer.index = -1
      fired += 1
      timer.handler()
    }
    return fired
  }

  fileprivate func remove(_ timer: Timer) {
    let index = timer.index
    timer.index = -1
    guard index >= 0 else { return }
    let last = heap.removeLast()
    if last === timer { return }
    place(last, at: index)
    siftDown(index)
    siftUp(last.index)
  }

  fileprivate func moved(_ timer: Timer) {
    if timer.index < 0 {
      insert(timer)
    } else if timer.deadline < timer.key {
      timer.key = timer.deadline
      siftUp(timer.index)
    }
  }

  private func insert(_ timer: Timer) {
    timer.key = timer.deadline
    timer.index = heap.count
    heap.append(timer)
    siftUp(timer.index)
  }

  private func place(_ timer: Timer, at index: Int) {
    heap[index] = timer
    timer.index = index
  }

  private func siftUp(_ start: Int) {
    var index = start
    let timer = heap[index]
    while index > 0 {
      let parent = (index - 1) / 2
      if heap[parent].key <= timer.key { break }
      place(heap[parent], at: index)
      index = parent
    }
    place(timer, at: index)
  }

  private func siftDown(_ start: Int) {
    var index = start
    let timer = heap[index]
    while true {
      var child = 2 * index + 1
      if child >= heap.count { break }
      if child + 1 < heap.count && heap[child + 1].key < heap[child].key { child += 1 }
      if timer.key <= heap[child].key { break }
      place(heap[child], at: index)
      index = child
    }
    place(timer, at: index)
  }
}

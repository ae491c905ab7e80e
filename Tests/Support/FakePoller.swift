public import EventLoop

/// Plays the kernel for a loop: batches of events given in advance, and a clock that only waiting moves.
public final class FakePoller: Poller {
  public struct Registration: Equatable {
    public var interest: Interest
    public var generation: UInt32
  }

  /// What the loop has registered, by descriptor.
  public private(set) var registrations: [Int32: Registration] = [:]
  /// The limits that the loop has waited with.
  public private(set) var waits: [Duration?] = []
  /// The time that the loop reads.
  public var now = MonotonicTime(nanoseconds: 1_000_000_000)
  /// Errors of the next calls to `set`, in order; nil lets one pass.
  public var failures: [Int32?] = []
  private var batches: [[PollEvent]] = []

  public init() {}

  /// A loop on a new fake.
  public static func makeLoop() -> (loop: Reactor, kernel: FakePoller) {
    let kernel = FakePoller()
    return (Reactor(poller: kernel, clock: { kernel.now }), kernel)
  }

  /// Reports these events with one wait, after the batches given before.
  public func report(_ events: [PollEvent]) { batches.append(events) }

  /// Reports readiness of descriptors that are registered now, with one wait.
  public func report(_ ready: KeyValuePairs<Int32, Readiness>) {
    report(
      ready.map { descriptor, readiness in
        guard let registration = registrations[descriptor] else {
          preconditionFailure("descriptor \(descriptor) is not registered")
        }
        return PollEvent(descriptor: descriptor, generation: registration.generation, readiness: readiness)
      })
  }

  public func set(_ interest: Interest, generation: UInt32, for descriptor: Int32) throws(SystemError) {
    if !failures.isEmpty, let code = failures.removeFirst() {
      throw SystemError(call: "epoll_ctl", errno: code, detail: "descriptor \(descriptor)")
    }
    registrations[descriptor] = Registration(interest: interest, generation: generation)
  }

  public func remove(_ descriptor: Int32) { registrations[descriptor] = nil }

  public func wait(atMost limit: Duration?, into events: inout [PollEvent]) {
    waits.append(limit)
    events.removeAll(keepingCapacity: true)
    if !batches.isEmpty {
      events += batches.removeFirst()
    } else if let limit {
      now = now + limit
    } else {
      preconditionFailure("the loop waits for ever: no event, timer or work is left")
    }
  }

  public var descriptor: Int32? { nil }
}

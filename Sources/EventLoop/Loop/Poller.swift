/// One report of the kernel: a descriptor, the generation it was registered with, and what it is ready for.
public nonisolated struct PollEvent: Hashable, Sendable {
  public var descriptor: Int32
  public var generation: UInt32
  public var readiness: Readiness

  public init(descriptor: Int32, generation: UInt32, readiness: Readiness) {
    self.descriptor = descriptor
    self.generation = generation
    self.readiness = readiness
  }
}

/// The kernel's side of a loop: which descriptors are of interest, and which are ready. Level-triggered.
public protocol Poller: AnyObject {
  /// Registers the descriptor or changes its registration. With an empty interest nothing is reported, not even
  /// hangups: readiness that nobody handles would spin the loop.
  func set(_ interest: Interest, generation: UInt32, for descriptor: Int32) throws(SystemError)

  /// Forgets the descriptor, which is still open.
  func remove(_ descriptor: Int32)

  /// Waits for readiness until the limit has passed (nil: without end; zero or less: only looks), and replaces the
  /// contents of `events`. May return early with none, after a signal.
  func wait(atMost limit: Duration?, into events: inout [PollEvent])

  /// A descriptor that is readable while an event waits, for another loop to watch; nil if there is none.
  var descriptor: Int32? { get }
}

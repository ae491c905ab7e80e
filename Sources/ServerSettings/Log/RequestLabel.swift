import Synchronization

/// Which request a line of the log belongs to.
public nonisolated struct RequestLabel: Sendable, Equatable {
  /// The number among the requests of this process, from 1; 0 between requests.
  public var number: UInt64
  /// The address of the client; empty where it is not known.
  public var address: String
  /// The name of the client; empty before it has authenticated.
  public var client: String
  /// The method that is called; empty before the call was read.
  public var method: String

  public init(number: UInt64 = 0, address: String = "", client: String = "", method: String = "") {
    self.number = number
    self.address = address
    self.client = client
    self.method = method
  }

  /// The same text in each line of the request, and in none of another one, also after a restart and on other servers; nil
  /// between requests.
  public var id: String? { number == 0 ? nil : "\(RequestScope.start)-\(number)" }
}

/// The request that is carried out now: what is logged meanwhile gets its label.
///
/// Callbacks of the loop `enter` and `leave` a label, which costs no allocation; tasks have it as a task-local value, which
/// stays with them while others run.
public nonisolated enum RequestScope {
  /// Tells this process from others: eight hexadecimal digits.
  static let start: String = {
    let digits = String(UInt32.random(in: 0...UInt32.max), radix: 16)
    return String(repeating: "0", count: 8 - digits.utf8.count) + digits
  }()

  private static let last = Atomic<UInt64>(0)
  private static let entered = Mutex<RequestLabel?>(nil)

  /// The label of this task.
  @TaskLocal package static var ofTask: RequestLabel?

  /// The number of a new request.
  public static func nextNumber() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }

  /// The label of what runs now; nil outside of requests.
  public static var current: RequestLabel? { entered.withLock { $0 } ?? ofTask }

  /// Sets the label of what runs from here to `leave`, without waiting in between.
  ///
  /// - Returns: the one before, for `leave`.
  @discardableResult
  package static func enter(_ label: RequestLabel?) -> RequestLabel? {
    entered.withLock { entered in
      let before = entered
      entered = label
      return before
    }
  }

  /// Sets the label that was there before `enter`.
  package static func leave(to before: RequestLabel?) { entered.withLock { $0 = before } }

  /// Adds the method to the label that was entered.
  package static func calls(_ method: String) { entered.withLock { $0?.method = method } }

  /// Runs `body` in a task whose lines get the label.
  @MainActor public static func labelled<Result>(
    _ label: RequestLabel?, _ body: @MainActor () async throws -> Result
  ) async rethrows -> Result {
    try await $ofTask.withValue(label) { try await body() }
  }
}

import EventLoop

/// What the answer to one call costs, added up by whoever does the work, in any task of the call.
///
/// Kept answers have none: they are neither made nor waited for.
package final class CallCost {
  /// What calls wait for.
  package nonisolated enum Wait: CaseIterable, Sendable {
    /// Programs that render templates.
    case templates
    /// The first fetch of package sources.
    case packages
    /// A child process that is free to build.
    case children
  }

  private nonisolated enum Scope {
    @TaskLocal static var current: CallCost?
  }

  /// The cost of the call that this task carries out; nil outside of calls.
  package static var current: CallCost? { Scope.current }

  /// Configurations that were built, and how long that took.
  package private(set) var built = 0
  package private(set) var buildTime = Duration.zero
  /// Parts of answers that were made, and that were used again.
  package private(set) var partsMade = 0
  package private(set) var partsUsed = 0
  /// By `Wait`; no array, which would be allocated with each call.
  private var waits: (Duration, Duration, Duration) = (.zero, .zero, .zero)
  private var isWaiting = false

  package init() {}

  /// Runs `body`, whose work is added here.
  package func measuring<Result>(_ body: () async throws -> Result) async rethrows -> Result {
    try await Scope.$current.withValue(self, operation: body)
  }

  /// Time that was spent waiting.
  package func time(of wait: Wait) -> Duration {
    switch wait {
    case .templates: waits.0
    case .packages: waits.1
    case .children: waits.2
    }
  }

  private func add(_ duration: Duration, to wait: Wait) {
    switch wait {
    case .templates: waits.0 += duration
    case .packages: waits.1 += duration
    case .children: waits.2 += duration
    }
  }

  /// Counts a configuration.
  func addBuild(_ duration: Duration) {
    built += 1
    buildTime += duration
  }

  /// Counts the parts of an answer.
  func addParts(made: Int, used: Int) {
    partsMade += made
    partsUsed += used
  }

  /// Adds the time of `body` to what the call of this task waits for. A wait within a wait is a part of it.
  package static func waiting<Result>(
    for wait: Wait, _ body: () async throws -> Result
  ) async rethrows -> Result {
    guard let cost = current, !cost.isWaiting else { return try await body() }
    let start = MonotonicTime.now()
    cost.isWaiting = true
    defer {
      cost.isWaiting = false
      cost.add(MonotonicTime.now() - start, to: wait)
    }
    return try await body()
  }

  // MARK: Between processes

  /// Eight bytes for each number, in the machine's order: times in nanoseconds.
  package var encoded: [UInt8] {
    let times = [buildTime] + Wait.allCases.map { time(of: $0) }
    let numbers = [built, partsMade, partsUsed].map { Int64($0) } + times.map(\.nanosecondCount)
    var bytes: [UInt8] = []
    for number in numbers { withUnsafeBytes(of: number) { bytes.append(contentsOf: $0) } }
    return bytes
  }

  /// Adds what another process has done for the call. Bytes that are no cost add nothing.
  package func add(_ bytes: [UInt8]) {
    let count = 4 + Wait.allCases.count
    guard bytes.count == 8 * count else { return }
    let numbers = bytes.withUnsafeBytes { raw in
      (0..<count).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) }
    }
    built += Int(numbers[0])
    addParts(made: Int(numbers[1]), used: Int(numbers[2]))
    buildTime += .nanoseconds(numbers[3])
    for (place, wait) in Wait.allCases.enumerated() { add(.nanoseconds(numbers[4 + place]), to: wait) }
  }
}

nonisolated extension Duration {
  var nanosecondCount: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}

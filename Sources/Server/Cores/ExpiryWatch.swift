import EventLoop
import Glibc
import Logging

/// Logs certificates, and what is said of them, that have expired or soon will: at the start, after they were read again,
/// daily, and when they reach another state.
final class ExpiryWatch {
  static let interval: Duration = .seconds(86400)

  private let loop: Reactor
  private let logger: Logger
  private let validities: () -> [CertificateValidity]
  private let clock: () -> Int64
  private var timer: Timer?
  /// The states that were logged last, or were not worth it, in the order of the validities.
  private var states: [CertificateValidity.State] = []

  /// Logs at once, then every day.
  ///
  /// - Parameter clock: seconds since 1970.
  init(
    on loop: Reactor, logger: Logger, clock: @escaping () -> Int64 = { Int64(time(nil)) },
    validities: @escaping () -> [CertificateValidity]
  ) {
    self.loop = loop
    self.logger = logger
    self.clock = clock
    self.validities = validities
    report()
  }

  isolated deinit { timer?.cancel() }

  /// Logs now, and again in a day.
  func report() {
    states = []
    reportChanges()
    timer?.cancel()
    timer = loop.schedule(after: Self.interval) { [weak self] in self?.report() }
  }

  /// Logs what is in another state than when it was logged last; that fewer days are left is none.
  func reportChanges() {
    let now = clock()
    let validities = validities()
    let old = states
    states = validities.map { $0.state(at: now) }
    for (index, validity) in validities.enumerated() {
      let state = states[index]
      if index < old.count, Self.isSame(old[index], state) { continue }
      guard let sentence = validity.sentence(at: now) else { continue }
      switch state {
      case .ended, .notBegun: logger.error("\(sentence)")
      case .ending, .valid: logger.warning("\(sentence)")
      }
    }
  }

  private static func isSame(_ old: CertificateValidity.State, _ new: CertificateValidity.State) -> Bool {
    switch (old, new) {
    case (.valid, .valid), (.ending, .ending), (.ended, .ended), (.notBegun, .notBegun): true
    case (.valid, _), (.ending, _), (.ended, _), (.notBegun, _): false
    }
  }

  /// Stops logging.
  func cancel() { timer?.cancel() }
}

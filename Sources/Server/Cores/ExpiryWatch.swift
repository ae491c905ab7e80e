import EventLoop
import Glibc
import Logging

/// Logs certificates that have expired or soon will: at the start, after they were read again, and daily.
final class ExpiryWatch {
  static let interval: Duration = .seconds(86400)

  private let loop: Reactor
  private let logger: Logger
  private let validities: () -> [CertificateValidity]
  private let clock: () -> Int64
  private var timer: Timer?

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
    let now = clock()
    for validity in validities() {
      guard let sentence = validity.sentence(at: now) else { continue }
      switch validity.state(at: now) {
      case .ended, .notBegun: logger.error("\(sentence)")
      case .ending, .valid: logger.warning("\(sentence)")
      }
    }
    timer?.cancel()
    timer = loop.schedule(after: Self.interval) { [weak self] in self?.report() }
  }

  /// Stops logging.
  func cancel() { timer?.cancel() }
}

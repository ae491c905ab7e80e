import EventLoop
import Glibc
import Logging

/// Tells of certificates that have expired, or soon will: when the server starts, when it reads them again, and daily.
final class ExpiryWatch {
  static let interval: Duration = .seconds(86400)

  private let loop: Reactor
  private let logger: Logger
  private let validities: () -> [CertificateValidity]
  private let clock: () -> Int64
  private var timer: Timer?

  /// Tells at once, and every day from here on.
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

  /// Tells now, and next in a day.
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

  /// Ends it.
  func cancel() { timer?.cancel() }
}

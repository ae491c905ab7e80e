import EventLoop
import Glibc
import Logging
import Monitoring

/// Adds up what the children count. What children counted that have ended stays in the sums, which therefore only grow.
final class ChildFigures {
  /// How long the children are waited for: one that builds a large configuration may be busy for longer.
  static let patience = Duration.seconds(2)

  private struct Figures {
    let processID: pid_t
    let samples: MetricSamples
  }

  private let pool: ChildPool
  private let loop: Reactor
  private let logger: Logger
  /// What each child told last.
  private var last: [String: Figures] = [:]
  /// Of processes that have ended.
  private var ended = MetricSamples()
  /// Children that have not answered yet.
  private var asked: Set<String> = []
  private var waiter: CheckedContinuation<Void, Never>?

  init(_ pool: ChildPool, on loop: Reactor, logger: Logger) {
    self.pool = pool
    self.loop = loop
    self.logger = logger
  }

  /// Asks the children for their figures; called again only after it has returned.
  ///
  /// - Returns: their sums, and how many did not answer in time.
  func collect() async -> (samples: MetricSamples, unheard: Int) {
    for child in pool.children {
      if let process = child.processID, child.isReady, asked.insert(child.name).inserted {
        Task { await ask(child.name, process) }
      }
    }
    let deadline = loop.now + Self.patience
    let timer = loop.schedule(at: deadline) { [weak self] in self?.goOn() }
    while !asked.isEmpty, loop.now < deadline { await withCheckedContinuation { waiter = $0 } }
    timer.cancel()
    var sums = ended
    for child in pool.children {
      guard let figures = last[child.name] else { continue }
      sums.add(child.processID == figures.processID ? figures.samples : figures.samples.grownOnly)
    }
    return (sums, asked.count)
  }

  private func ask(_ name: String, _ process: pid_t) async {
    do {
      let samples = SampleCoding.decode(try await pool.call(name, "metrics"))
      if let before = last[name], before.processID != process { ended.add(before.samples.grownOnly) }
      last[name] = Figures(processID: process, samples: samples)
    } catch {
      logger.debug("No figures of \(name): \(error)")
    }
    asked.remove(name)
    if asked.isEmpty { goOn() }
  }

  private func goOn() {
    waiter?.resume()
    waiter = nil
  }
}

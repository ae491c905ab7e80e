import EventLoop

/// Templates that cost their process: they used up their time or memory, or ended it.
///
/// Such a template fails at once for a while, which doubles each time, and is then tried apart from the others. A version
/// that was rendered before fails so for the clients alone for which it went wrong: what they send may be the cause. Where
/// a second one was among them, the others have it rendered apart. One that never was rendered fails for all; they are let
/// in sooner than that client, which would fail once more. A new version of a template is under no suspicion. A change of another file, which it may have read, has it tried at once; after the
/// third failure only its own.
package struct SuspectTemplates {
  /// Templates, and clients of each, at most; beyond it all are forgotten.
  private static let limit = 1000
  /// Failures after which changes of other files count no more.
  private static let changesCount = 3

  /// How long a template fails at once after its first failure, and at most.
  var firstPause = Duration.seconds(30)
  var longestPause = Duration.seconds(600)
  /// Whether messages say when a template is tried again: not where nobody waits for that.
  package var tellsPause = true

  private struct Failure {
    var count = 0
    var until = MonotonicTime.now()
    var generation = 0
    var reason = ""
  }

  private struct Suspicion {
    let source: [UInt8]
    /// By the client's name.
    var clients: [TemplateValue: Failure] = [:]
    /// Failures of any client since the template was rendered last.
    var all: Failure?
  }

  /// By the template's path: a text, which is compared by its bytes.
  private var suspicions: [TemplateValue: Suspicion] = [:]
  private var slow: [TemplateValue: Int] = [:]

  /// Whether there is nothing to ask.
  package var isEmpty: Bool { suspicions.isEmpty && slow.isEmpty }

  /// Records that a template ended its process, or that its process had to be killed. Returns the error's text.
  mutating func failed(_ job: TemplateJob, _ client: String, generation: Int, _ reason: String) -> String {
    if suspicions.count >= Self.limit { suspicions.removeAll() }
    var suspicion = current(job) ?? Suspicion(source: job.source)
    if suspicion.clients.count >= Self.limit { suspicion.clients.removeAll() }
    // A template that no client ever rendered fails for all of them. Others run in a process apart for all clients after
    // two clients failed.
    let failsForAll = !job.isProven
    let isForAll = failsForAll || suspicion.all != nil || suspicion.clients.keys.contains { $0 != .text(client) }
    var own = suspicion.clients[.text(client)] ?? Failure()
    record(&own, reason, generation, pauses: failsForAll ? 2 : 1)
    suspicion.clients[.text(client)] = own
    var pause = pause(own.count, pauses: 1)
    if isForAll {
      var all = suspicion.all ?? Failure()
      record(&all, reason, generation, pauses: 1)
      suspicion.all = all
      if failsForAll { pause = self.pause(all.count, pauses: 1) }
    }
    suspicions[.text(job.path)] = suspicion
    return told(reason, pause)
  }

  /// Records that a template ended by itself, with a result or an error.
  mutating func ended(_ job: TemplateJob, _ client: String) {
    guard var suspicion = current(job) else { return }
    suspicion.clients[.text(client)] = nil
    suspicion.all = nil
    suspicions[.text(job.path)] = suspicion.clients.isEmpty ? nil : suspicion
  }

  /// The reason to fail a template at once; nil if it may be rendered.
  package func refusal(of job: TemplateJob, _ client: String, generation: Int) -> String? {
    guard let suspicion = current(job) else { return nil }
    let now = MonotonicTime.now()
    let all = job.isProven ? nil : suspicion.all
    for (failure, pauses) in [(all, 1), (suspicion.clients[.text(client)], all == nil ? 1 : 2)] {
      guard let failure, now < failure.until else { continue }
      if failure.generation != generation, failure.count < Self.changesCount { continue }
      return told(failure.reason, pause(failure.count, pauses: pauses))
    }
    return nil
  }

  private func told(_ reason: String, _ pause: Duration) -> String {
    tellsPause ? "\(reason); it is tried again after \(pause.components.seconds) s" : reason
  }

  /// Whether a template is to be rendered apart from the others.
  package func isSuspect(_ job: TemplateJob, _ client: String) -> Bool {
    guard let suspicion = current(job) else { return false }
    return suspicion.all != nil || suspicion.clients[.text(client)] != nil
  }

  /// A template is slow, though it may end by itself: others are not to wait for it.
  mutating func markSlow(_ job: TemplateJob) {
    if slow.count >= Self.limit { slow.removeAll() }
    slow[.text(job.path)] = job.version
  }

  package func isSlow(_ job: TemplateJob) -> Bool { slow[.text(job.path)] == job.version }

  private func current(_ job: TemplateJob) -> Suspicion? {
    guard let suspicion = suspicions[.text(job.path)], suspicion.source == job.source else { return nil }
    return suspicion
  }

  private func record(_ failure: inout Failure, _ reason: String, _ generation: Int, pauses: Int) {
    failure.count += 1
    failure.until = MonotonicTime.now() + pause(failure.count, pauses: pauses)
    failure.generation = generation
    failure.reason = reason
  }

  private func pause(_ count: Int, pauses: Int) -> Duration {
    min(firstPause * pauses * (1 << min(count - 1, 16)), longestPause)
  }
}

import EventLoop
package import Identity
import Logging
import ServerSettings

/// What a run of a client has cost so far. There is one for each client that is at it, so that it is small: times are
/// nanoseconds.
///
/// A run is what a client calls from DeclareVersion or GetProbes to RecvStats.
private nonisolated struct ClientRun {
  /// What became of GetConfig.
  enum Configuration: UInt8 {
    case none, built, kept, failed
  }

  let address: String
  /// When its first call came, and when its last one was answered.
  let begun: MonotonicTime
  var last: MonotonicTime
  /// From each call to its answer.
  var time: Int64 = 0
  var buildTime: Int64 = 0
  /// By `CallCost.Wait`.
  var waits: (Int64, Int64, Int64) = (0, 0, 0)
  var receivedBytes = 0
  var sentBytes = 0
  var calls: Int32 = 0
  var keptAnswers: Int32 = 0
  var faults: Int32 = 0
  var partsMade: Int32 = 0
  var partsUsed: Int32 = 0
  /// How far it is: the place of its last call in the order of a run.
  var phase: Int8 = 0
  var configuration = Configuration.none
  /// It has reported: the line follows with the end of the turn, when the bytes of the answer are known.
  var isReported = false
}

/// Adds up what runs of clients cost, and logs one line for each.
///
/// A run that does not come to its end is logged when the client begins another one, when it has not called for an hour, when
/// there are too many others, and, at level debug, when the server stops. Nothing is allocated for a call of a run that has begun.
package final class ClientRuns {
  /// Runs at a time; one more, and the one that has been silent for the longest time is given up.
  nonisolated static let limit = 10_000
  /// A client that has called nothing for so long has given up, or its machine has.
  nonisolated static let patience = Duration.seconds(3600)

  private let loop: Reactor
  private let logger: () -> Logger
  private let limit: Int
  private var runs: [ClientName: ClientRun] = [:]
  /// Clients whose runs end with this turn, and the requests that ended them.
  private var reported: [(client: ClientName, label: RequestLabel?)] = []
  private var timer: Timer?

  init(on loop: Reactor, limit: Int = ClientRuns.limit, logger: @escaping () -> Logger) {
    self.loop = loop
    self.limit = limit
    self.logger = logger
  }

  isolated deinit { timer?.cancel() }

  /// Runs that have not ended.
  var count: Int { runs.count }

  // MARK: Calls

  /// Adds a kept answer to GetConfig or GetProbes.
  func addKept(_ caller: Caller, isConfiguration: Bool, at start: MonotonicTime, _ duration: Duration) {
    let phase = isConfiguration ? Self.configuration : Self.probes
    update(caller, phase: phase, at: start, duration) { run in
      run.keptAnswers &+= 1
      if isConfiguration { run.configuration = .kept }
    }
  }

  /// Adds a call; one that clients do not make is part of no run.
  func add(
    _ method: String, _ caller: Caller, isFault: Bool, _ cost: CallCost, at start: MonotonicTime, _ duration: Duration
  ) {
    guard let phase = Self.phase(of: method) else { return }
    update(caller, phase: phase, at: start, duration) { run in
      run.faults &+= isFault ? 1 : 0
      run.partsMade &+= Int32(clamping: cost.partsMade)
      run.partsUsed &+= Int32(clamping: cost.partsUsed)
      run.waits.0 += cost.time(of: .templates).nanosecondCount
      run.waits.1 += cost.time(of: .packages).nanosecondCount
      run.waits.2 += cost.time(of: .children).nanosecondCount
      guard phase == Self.configuration else { return }
      run.buildTime += cost.buildTime.nanosecondCount
      run.configuration = isFault ? .failed : cost.built > 0 ? .built : .kept
    }
    if phase == Self.statistics, !isFault { endLater(caller.client) }
  }

  /// Adds the bytes of a call that was added, without the headers of HTTP.
  package func addBytes(_ client: ClientName, received: Int, sent: Int) {
    guard let place = runs.index(forKey: client) else { return }
    runs.values[place].receivedBytes += received
    runs.values[place].sentBytes += sent
  }

  private func update(
    _ caller: Caller, phase: Int8, at start: MonotonicTime, _ duration: Duration, _ change: (inout ClientRun) -> Void
  ) {
    let client = caller.client
    if let run = runs.index(forKey: client) {
      if runs.values[run].isReported {
        end(client, nil)
      } else if Self.begins(phase, after: runs.values[run].phase) {
        end(client, "the client began again")
      }
    }
    if runs.index(forKey: client) == nil { begin(client, caller.address.ip, at: start) }
    guard let place = runs.index(forKey: client) else { return }
    runs.values[place].phase = max(phase, runs.values[place].phase)
    runs.values[place].last = start + duration
    runs.values[place].calls &+= 1
    runs.values[place].time += duration.nanosecondCount
    change(&runs.values[place])
  }

  private func begin(_ client: ClientName, _ address: String, at start: MonotonicTime) {
    if runs.count >= limit, let silent = runs.min(by: { $0.value.last < $1.value.last }) {
      end(silent.key, "too many others")
    }
    runs[client] = ClientRun(address: address, begun: start, last: start)
    if timer == nil { watch() }
  }

  // MARK: The order of a run

  private static let (beginning, probes, configuration, statistics): (Int8, Int8, Int8, Int8) = (0, 1, 3, 4)

  /// The place of a call in a run; nil for one of an administrator.
  private static func phase(of method: String) -> Int8? {
    switch method {
    case "AssertProfile", "DeclareVersion": beginning
    case "GetProbes": probes
    case "RecvProbeData", "GetDecisionList": 2
    case "GetConfig": configuration
    case "RecvStats": statistics
    default: nil
    }
  }

  /// Whether a call is the first one of another run.
  private static func begins(_ phase: Int8, after last: Int8) -> Bool {
    phase <= probes && (phase < last || phase == last && phase == probes)
  }

  // MARK: Ends

  private func endLater(_ client: ClientName) {
    runs[client]?.isReported = true
    reported.append((client, RequestScope.current))
    guard reported.count == 1 else { return }
    loop.atEndOfIteration { [weak self] in
      guard let self else { return }
      let ended = reported
      reported = []
      for (client, label) in ended {
        guard runs[client]?.isReported == true else { continue }
        let outer = RequestScope.enter(label)
        end(client, nil)
        RequestScope.leave(to: outer)
      }
    }
  }

  private func watch() {
    timer = loop.schedule(after: Self.patience / 4) { [weak self] in
      guard let self else { return }
      timer = nil
      let now = loop.now
      for client in runs.filter({ now - $0.value.last > Self.patience }).keys.sorted() {
        end(client, "the client was not heard of again")
      }
      if !runs.isEmpty { watch() }
    }
  }

  /// Logs what has not ended: the server stops. At level debug: nobody wants to read a thousand lines for each restart.
  func endAll() {
    timer?.cancel()
    timer = nil
    for client in runs.keys.sorted() { end(client, "the server stops", .debug) }
  }

  /// Forgets all: nobody wants to know any more.
  func forget() {
    timer?.cancel()
    timer = nil
    runs = [:]
  }

  /// - Parameter reason: why it has no end; nil where the client has reported.
  private func end(_ client: ClientName, _ reason: String?, _ level: Logger.Level = .info) {
    guard let run = runs.removeValue(forKey: client) else { return }
    var fields: Logger.Metadata = [
      "client": "\(client)", "address": "\(run.address)", "calls": .stringConvertible(run.calls),
      "received_bytes": .stringConvertible(run.receivedBytes), "sent_bytes": .stringConvertible(run.sentBytes),
      "configuration": "\(run.configuration)",
      "seconds": Self.seconds(run.last.nanoseconds - run.begun.nanoseconds), "server_seconds": Self.seconds(run.time),
    ]
    for (name, number) in [
      ("kept_answers", run.keptAnswers), ("faults", run.faults), ("parts_made", run.partsMade),
      ("parts_used_again", run.partsUsed),
    ] where number > 0 {
      fields[name] = .stringConvertible(number)
    }
    for (name, time) in [
      ("build_seconds", run.buildTime), ("template_wait_seconds", run.waits.0), ("package_wait_seconds", run.waits.1),
      ("child_wait_seconds", run.waits.2),
    ] where time > 0 {
      fields[name] = Self.seconds(time)
    }
    if let reason { fields["unfinished"] = "\(reason)" }
    logger().log(level: level, "Client run of \(client):", metadata: fields)
  }

  /// Seconds with six decimals at most, as a number of a log line.
  private static func seconds(_ nanoseconds: Int64) -> Logger.MetadataValue {
    .stringConvertible(Double(nanoseconds / 1000) / 1_000_000)
  }
}

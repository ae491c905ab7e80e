public import EventLoop
public import Logging

/// Logs refused peers, with a bound: writes the first lines of each address within a minute, counts the others, and logs the
/// numbers when the minute is over. So a peer that asks a thousand times a second does not fill the disk.
@MainActor public final class RefusalLog {
  /// Lines of one address within a minute.
  public nonisolated static let linesPerAddress = 20
  /// Lines of all addresses within a minute.
  public nonisolated static let lines = 400
  /// Addresses whose lines are counted by themselves; those beyond are counted together.
  nonisolated static let addressLimit = 1024
  /// Addresses that the report names.
  nonisolated static let namedLimit = 5
  nonisolated static let window: Duration = .seconds(60)

  private struct Count {
    var written = 0
    var left = 0
  }

  private let loop: Reactor
  private let logger: Logger
  private var timer: Timer?
  private var written = 0
  private var counts: [String: Count] = [:]
  /// Lines left out of addresses that are not counted by themselves.
  private var leftOfOthers = 0

  public init(on loop: Reactor, logger: Logger = Logger(label: "Connection")) {
    self.loop = loop
    self.logger = logger
  }

  isolated deinit { timer?.cancel() }

  /// Whether one more line of the address may be written now. Counts it either way.
  public func mayWrite(_ address: String) -> Bool {
    if timer == nil { timer = loop.schedule(after: Self.window) { [weak self] in self?.endWindow() } }
    let isCounted = counts[address] != nil || counts.count < Self.addressLimit
    let mayWrite = written < Self.lines && counts[address, default: Count()].written < Self.linesPerAddress && isCounted
    if mayWrite {
      written += 1
      counts[address, default: Count()].written += 1
    } else if isCounted {
      counts[address, default: Count()].left += 1
    } else {
      leftOfOthers += 1
    }
    return mayWrite
  }

  /// Writes a line about a refused peer, or counts it.
  public func write(
    _ level: Logger.Level, of address: String, to logger: Logger, _ message: @autoclosure () -> Logger.Message
  ) {
    guard logger.logLevel <= level, mayWrite(address) else { return }
    logger.log(level: level, message())
  }

  /// Logs what was left out since the last time: when a minute is over, and when the server stops.
  public func endWindow() {
    timer?.cancel()
    timer = nil
    let left = counts.filter { $0.value.left > 0 }.sorted { ($1.value.left, $0.key) < ($0.value.left, $1.key) }
    for (address, count) in left.prefix(Self.namedLimit) {
      logger.warning("\(address): \(count.left) more refusals within a minute were not logged one by one")
    }
    let rest = left.dropFirst(Self.namedLimit).reduce(leftOfOthers) { $0 + $1.value.left }
    if rest > 0 {
      logger.warning("\(rest) more refusals of other addresses within a minute were not logged one by one")
    }
    written = 0
    counts = [:]
    leftOfOthers = 0
  }
}

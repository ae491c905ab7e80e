public import Databases
import DequeModule
public import EventLoop
public import Logging
import TextBytes

/// A database of PostgreSQL, on the loop. Jobs are done one after the other over one connection, in the order in which they were given.
///
/// While the server is away jobs wait for a few seconds, so that nobody notices its restart; then they fail with `unavailable`. A job
/// that was being done when the connection was lost is done once more if it only reads, or if its COMMIT was not sent; otherwise it
/// fails, and whether it had an effect is not known.
public final class LoopPostgreSQL: LoopDatabase {
  /// Bounds of what waits.
  public nonisolated static let queueLimit = 4096
  public nonisolated static let queueBytes = 64 << 20
  /// Statements of a transaction.
  public nonisolated static let statementLimit = 65_536
  /// How long after a failed attempt the next one follows: doubled each time.
  nonisolated static let firstPause = Duration.milliseconds(50)
  nonisolated static let longestPause = Duration.seconds(2)

  /// How long a job may take, with its wait; and how long it waits for a server that is away.
  var patience: Duration
  private let outagePatience: Duration

  private unowned let loop: Reactor
  private let logger: Logger
  let settings: DatabaseSettings
  private let givenResolver: (any AddressResolver)?
  private var ownResolver: HostResolver?

  private var queue: Deque<PostgreSQLJob> = []
  private var queuedBytes = 0
  private var current: PostgreSQLJob?

  private enum Link {
    case none, connecting, pausing
    case connected
  }
  private var link = Link.none
  private var connection: PostgreSQLConnection?
  private var pause = LoopPostgreSQL.firstPause
  private var pauseTimer: Timer?
  /// Counts connections, so that a name that is found late is of no use.
  private var attempt = 0
  private var wasConnected = false
  private var hasComplained = false
  private var isClosed = false

  private enum Work {
    case listen([String])
    case prepare(sql: String)
    case deallocate
    case job(PostgreSQLJob.Step)
  }
  /// What the connection is doing.
  private var work: Work?
  private var statements = PreparedStatements<String>()
  private var lastNumber = 0
  /// Names of statements that are no longer needed.
  private var leaving: [String] = []

  private var handlers: [String: [(DatabaseNotification) -> Void]] = [:]
  /// Channels that the connection listens to.
  private var heard: Set<String> = []

  /// - Parameters:
  ///   - resolver: looks up the name of the host; by default it has one of its own, whose helper ends with the look-up.
  ///   - patience: how long a job may take, with its wait in the queue.
  ///   - outagePatience: how long a job waits for a server that is away.
  public init(
    _ settings: DatabaseSettings, on loop: Reactor, logger: Logger, resolver: (any AddressResolver)? = nil,
    patience: Duration = .seconds(30), outagePatience: Duration = .seconds(5)
  ) {
    self.settings = settings
    self.loop = loop
    self.logger = logger
    givenResolver = resolver
    self.patience = patience
    self.outagePatience = outagePatience
  }

  public func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult] {
    guard !isClosed else { throw closedError }
    guard !statements.isEmpty else { return [] }
    guard statements.count <= Self.statementLimit else {
      throw settings.error(.other, "a transaction of \(statements.count) statements, more than \(Self.statementLimit)")
    }
    let byteCount = statements.reduce(0) { $0 + $1.byteCount }
    guard byteCount <= Self.queueBytes else {
      throw settings.error(.other, "a transaction of \(byteCount) bytes, more than \(Self.queueBytes)")
    }
    guard queue.count < Self.queueLimit, queuedBytes + byteCount <= Self.queueBytes else {
      throw settings.error(.unavailable, "\(queue.count) transactions wait already")
    }
    let job = try PostgreSQLJob(statements, settings, byteCount: byteCount, start: loop.refreshNow())
    let result = await withCheckedContinuation { continuation in
      job.wait(continuation)
      job.timer = loop.schedule(after: patience) { [weak self, weak job] in
        if let self, let job { expire(job) }
      }
      queue.append(job)
      queuedBytes += byteCount
      pump()
    }
    return try result.get()
  }

  public func listen(_ channel: String, _ handler: @escaping (DatabaseNotification) -> Void) -> Bool {
    handlers[channel, default: []].append(handler)
    if heard.contains(channel) { handler(.began) } else { pump() }
    return true
  }

  public func close() {
    guard !isClosed else { return }
    isClosed = true
    attempt += 1
    disconnect()
    pauseTimer?.cancel()
    ownResolver?.shutdown()
    ownResolver = nil
    handlers = [:]
    let left = [current].compactMap { $0 } + queue
    current = nil
    queue = []
    queuedBytes = 0
    for job in left { job.end(.failure(closedError)) }
  }

  private var closedError: DatabaseError { settings.error(.unavailable, "it was closed") }

  // MARK: Work

  /// Begins the next thing, if nothing is being done.
  private func pump() {
    guard !isClosed else { return }
    if case .none = link, !queue.isEmpty || !handlers.isEmpty { return connect() }
    guard case .connected = link else { return }
    while work == nil, let connection, case .connected = link {
      guard let (work, command) = nextWork() else { return }
      self.work = work
      connection.send(command)
    }
  }

  private func nextWork() -> (Work, PostgreSQLConnection.Command)? {
    let new = handlers.keys.filter { !heard.contains($0) }
    if current == nil, !new.isEmpty {
      return (.listen(new), .simple(new.map { "LISTEN \(Self.quoted($0))" }.joined(separator: "; ")))
    }
    if current == nil, let name = leaving.popLast() { return (.deallocate, .simple("DEALLOCATE \(name)")) }
    while true {
      if current == nil {
        current = queue.popFirst()
        queuedBytes -= current?.byteCount ?? 0
      }
      guard let job = current else { return nil }
      let step = job.next()
      switch step {
      case .begin: return (.job(step), .simple("BEGIN"))
      case .commit: return (.job(step), .simple("COMMIT"))
      case .rollBack: return (.job(step), .simple("ROLLBACK"))
      case .statement(let sql, let values):
        if let name = statements[sql] { return (.job(step), .execute(name: name, sql: sql, values)) }
        lastNumber += 1
        return (.prepare(sql: sql), .prepare(name: "bcfg2_\(lastNumber)", sql: sql))
      case .end(let result):
        current = nil
        job.end(result)
      }
    }
  }

  private func receive(_ outcome: PostgreSQLConnection.Outcome) {
    guard let done = work.take() else { preconditionFailure("an outcome of nothing") }
    switch done {
    case .listen(let channels): receive(outcome.error, listeningTo: channels)
    case .deallocate:
      if let error = outcome.error { logger.debug("A prepared statement could not be dropped: \(error.text)") }
    case .prepare(let sql):
      if let error = outcome.error {
        current?.fail(error, at: .statement(sql: sql, PostgreSQLValues.none))
      } else if let old = statements.add("bcfg2_\(lastNumber)", for: sql) {
        leaving.append(old)
      }
    case .job(let step): receive(outcome, of: step)
    }
    pump()
  }

  private func receive(_ outcome: PostgreSQLConnection.Outcome, of step: PostgreSQLJob.Step) {
    guard var error = outcome.error else {
      if case .statement = step { current?.succeed(outcome.result) }
      return
    }
    if outcome.isOutdated, case .statement(let sql, _) = step, let name = statements.remove(sql) {
      // A table has changed since it was prepared: it succeeds when it is asked again.
      leaving.append(name)
      error.kind = .busy
    }
    current?.fail(error, at: step)
  }

  /// A job took too long. One that waits leaves the queue; one that is being done is given up with the connection.
  private func expire(_ job: PostgreSQLJob) {
    let error = settings.error(.unavailable, "no answer within \(patience)")
    if job === current {
      current = nil
      job.end(.failure(error))
      return lose(error)
    }
    guard let index = queue.firstIndex(where: { $0 === job }) else { return }
    queue.remove(at: index)
    queuedBytes -= job.byteCount
    job.end(.failure(error))
  }

  // MARK: Notifications

  private func receive(_ error: DatabaseError?, listeningTo channels: [String]) {
    // The server refuses a name only for its form, which is ours.
    if let error { return lose(error) }
    heard.formUnion(channels)
    for channel in channels { tell(channel, .began) }
  }

  private func tell(_ channel: String, _ notification: DatabaseNotification) {
    for handler in handlers[channel] ?? [] { handler(notification) }
  }

  static func quoted(_ name: String) -> String {
    "\"" + name.replacing(each: "\"", by: "\"\"") + "\""
  }

  // MARK: The connection

  private func connect() {
    link = .connecting
    attempt += 1
    let number = attempt
    Task { @MainActor [weak self] in await self?.connect(number) }
  }

  private func connect(_ number: Int) async {
    do throws(DatabaseError) {
      let hosts = try await PostgreSQLHosts.find(settings) { [self] in resolver() }
      guard number == attempt, !isClosed else { return }
      ownResolver?.shutdown()
      ownResolver = nil
      let new = PostgreSQLConnection(try PostgreSQLLibrary(settings), settings, on: loop)
      new.onReady = { [weak self] in self?.ready() }
      new.onOutcome = { [weak self] in self?.receive($0) }
      new.onNotification = { [weak self] in self?.tell($0, .message($1)) }
      new.onLoss = { [weak self] in self?.lose($0) }
      connection = new
      new.start(hosts)
    } catch {
      if number == attempt, !isClosed { lose(error) }
    }
  }

  private func resolver() -> any AddressResolver {
    if let givenResolver { return givenResolver }
    let resolver = ownResolver ?? HostResolver(on: loop, logger: logger)
    ownResolver = resolver
    return resolver
  }

  private func ready() {
    link = .connected
    pause = Self.firstPause
    wasConnected = true
    if hasComplained { logger.notice("The database is there again: \(settings.title)") }
    hasComplained = false
    pump()
  }

  private func disconnect() {
    attempt += 1
    connection?.onLoss = { _ in }
    connection?.close()
    connection = nil
    link = .none
    work = nil
    statements.removeAll()
    leaving = []
    let unheard = heard
    heard = []
    for channel in unheard { tell(channel, .lost) }
  }

  /// The connection is lost or could not be made.
  private func lose(_ error: DatabaseError) {
    disconnect()
    if !hasComplained { logger.warning("The database is not available: \(error.text)") }
    hasComplained = true
    if let job = current.take() {
      if job.restart() {
        queue.prepend(job)
        queuedBytes += job.byteCount
      } else {
        job.end(.failure(error))
      }
    }
    failWaiting(error)
    guard !isClosed, case .none = link, !queue.isEmpty || !handlers.isEmpty else { return }
    link = .pausing
    let delay = pause
    pause = min(pause * 2, Self.longestPause)
    pauseTimer = loop.schedule(after: delay) { [weak self] in
      guard let self, case .pausing = link else { return }
      link = .none
      pump()
    }
  }

  /// Ends the jobs that have waited for the server for long, and all if it was never there: then the settings may be wrong.
  private func failWaiting(_ error: DatabaseError) {
    let now = loop.refreshNow()
    while let job = queue.first, !wasConnected || now >= job.start + outagePatience {
      queue.removeFirst()
      queuedBytes -= job.byteCount
      job.end(.failure(error))
    }
  }
}

extension LoopStatement {
  /// Bytes that it takes in a queue, about.
  nonisolated fileprivate var byteCount: Int {
    values.reduce(sql.utf8.count + 32) { sum, value in
      if case .text(let text) = value { return sum + text.utf8.count + 16 }
      return sum + 24
    }
  }
}

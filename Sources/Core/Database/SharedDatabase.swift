public import Databases
import EventLoop
package import Identity
import Logging
public import LoopDatabases
import ServerSettings
package import XMLRPC

/// The database of `[database]`: what plugins with `use_database` keep there, servers share.
///
/// It is opened when it is first needed. Where it is away, the server starts all the same and tries again until it is
/// there; calls of clients wait for it a few seconds, then get a fault that says so. SharedDatabaseChecks.swift compares
/// what is in memory with it, SharedDatabaseWrites.swift writes.
public final class SharedDatabase {
  public let settings: DatabaseSettings
  /// Whether the tables are there and the plugins have read what they keep in memory.
  public private(set) var isReady = false
  /// How long a call waits for a database that is away.
  package var waitLimit: Duration = .seconds(10)

  unowned let core: ServerCore
  private let openDatabase: (DatabaseSettings) throws(DatabaseError) -> any LoopDatabase
  private var connection: (any LoopDatabase)?
  private var isClosed = false
  private var preparation: Task<Void, Never>?
  private var waiting: [CheckedContinuation<Void, Never>] = []
  /// Whether the log says that it is away.
  private var isReportedAway = false

  /// Number of statements' transactions that failed, each attempt counted.
  package private(set) var failures = 0
  /// Clients whose checks and writes wait for the database.
  package var waitingCount: Int { checks.count + writes.count }
  /// Whether it is open, and the last statements did not find it away.
  package var isAvailable: Bool { isReady && !isReportedAway }

  /// Tells this server's notifications from those of others.
  let name = String(UInt64.random(in: .min ... .max), radix: 36)

  // SharedDatabaseChecks.swift.
  var checks: [(client: ClientName, done: [CheckedContinuation<DatabaseError?, Never>])] = []
  var checkPlaces: [ClientName: Int] = [:]
  var isCheckDue = false
  // SharedDatabaseWrites.swift.
  var writes: [DatabaseWrite] = []
  var isWriting = false
  /// Number of checks and of statements run for them, and of writes and their transactions.
  package var counts = (checks: 0, checkStatements: 0, writes: 0, transactions: 0)

  init(
    _ core: ServerCore, _ settings: DatabaseSettings,
    open: @escaping (DatabaseSettings) throws(DatabaseError) -> any LoopDatabase
  ) {
    self.core = core
    self.settings = settings
    openDatabase = open
  }

  /// Ends it: what waits fails.
  func close() {
    isClosed = true
    preparation?.cancel()
    connection?.close()
    connection = nil
    resumeWaiting()
  }

  // MARK: Statements

  /// Runs statements in one transaction, and once more after failures that may pass, for as long as `waitLimit`.
  ///
  /// They may take effect twice where the connection was lost after the first time.
  public func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult] {
    let deadline = core.loop.now + waitLimit
    var pause: Duration = .milliseconds(100)
    while true {
      do throws(DatabaseError) {
        let results = try await opened().run(statements)
        reportWorking()
        return results
      } catch {
        failures += 1
        guard error.isTemporary, !isClosed, core.loop.now + pause < deadline else {
          if error.isTemporary { report(error) }
          throw error
        }
      }
      do { try await core.loop.sleep(for: pause) } catch { throw Self.closed }
      pause = min(pause * 2, .seconds(1))
    }
  }

  /// Runs one statement, as `run(_:)`.
  public func run(_ sql: String, _ values: [SQLValue] = []) async throws(DatabaseError) -> StatementResult {
    try await run([LoopStatement(sql, values)])[0]
  }

  private static let closed = DatabaseError(.unavailable, "the server ends")

  func opened() throws(DatabaseError) -> any LoopDatabase {
    if isClosed { throw Self.closed }
    if let connection { return connection }
    let made = try openDatabase(settings)
    connection = made
    if !core.isReadOnly { _ = made.listen(Self.channel) { [weak self] in self?.heard($0) } }
    return made
  }

  // MARK: The start

  /// Begins to open it, and waits until it is ready, for a while.
  ///
  /// - Throws: `unavailable` if it is not ready then. It goes on trying.
  public func begin(waiting limit: Duration? = nil) async throws(DatabaseError) {
    if preparation == nil { preparation = Task { await prepare() } }
    let deadline = core.loop.now + (limit ?? waitLimit)
    while !isReady, !isClosed, core.loop.now < deadline {
      let timer = core.loop.schedule(at: deadline) { [weak self] in self?.resumeWaiting() }
      await withCheckedContinuation { waiting.append($0) }
      timer.cancel()
    }
    if !isReady { throw DatabaseError(.unavailable, "the database is not available") }
  }

  /// Resumes those who wait. Whoever has time left waits again.
  private func resumeWaiting() {
    let resumed = waiting
    waiting = []
    for waiter in resumed { waiter.resume() }
  }

  private func prepare() async {
    var pause: Duration = .milliseconds(250)
    while !isClosed {
      do throws(DatabaseError) {
        try await makeTables()
        for plugin in core.interfaces.databaseBacked { try await plugin.databaseOpened() }
        isReady = true
        reportWorking()
        resumeWaiting()
        return
      } catch {
        report(error)
      }
      do { try await core.loop.sleep(for: pause) } catch { return }
      pause = min(pause * 2, .seconds(5))
    }
  }

  // MARK: The log

  private func report(_ error: DatabaseError) {
    guard !isReportedAway else { return core.logger.debug("\(error)") }
    isReportedAway = true
    core.logger.error("The database is not available, clients are told to try again later: \(error)")
  }

  private func reportWorking() {
    guard isReportedAway else { return }
    isReportedAway = false
    core.logger.notice("The database is available again")
  }
}

extension ServerCore {
  /// The database, for a plugin that is configured to use it.
  ///
  /// - Throws: where it cannot be used, whatever happens; Bcfg2's words for it.
  public func requireDatabase(for plugin: String) throws(PluginInitError) -> SharedDatabase {
    if let database { return database }
    do {
      let place = try settings.serverDatabase
      if let openDatabase {
        let made = SharedDatabase(self, place, open: openDatabase)
        sharedDatabase = made
        return made
      }
    } catch {
      logger.error("The database cannot be used: \(error)")
    }
    throw PluginInitError(
      "\(plugin) is configured to use the database but the database is unavailable due to prior errors")
  }

  /// Opens the database, if a plugin uses it, and waits a while for it. Calls of clients wait for one that is away.
  package func beginDatabase() async {
    guard let database else { return }
    do throws(DatabaseError) {
      try await database.begin(waiting: .seconds(5))
    } catch {
      // It has been logged, and is tried again.
      logger.debug("Going on without the database: \(error)")
    }
  }

  /// Compares what is in memory of a client with the database, if plugins keep data there.
  ///
  /// - Throws: `Fault` if the database is away.
  package func checkDatabase(_ client: ClientName) async throws(Fault) {
    guard let database else { return }
    do throws(DatabaseError) {
      try await database.check(metadata.canonicalName(client))
    } catch {
      logger.debug("\(client) is told to try again later: \(error)")
      throw Fault.critical(textForClients(error))
    }
  }

  /// The calls of a client's run, which see what other servers have stored before.
  static let callsOfClients: Set<String> = [
    "DeclareVersion", "GetProbes", "RecvProbeData", "AssertProfile", "GetConfig", "RecvStats", "GetDecisionList",
  ]
}

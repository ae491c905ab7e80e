public import Databases
import EventLoop
public import Identity
import Logging
import LoopDatabases

// Compares what is in memory of clients with the database: what another server has stored and acknowledged is in the next
// answer of this one. The clients of one iteration are asked for together.
extension SharedDatabase {
  /// Most clients of one question.
  package nonisolated static let checkLimit = 64

  /// Has every plugin compare what it has of a client with what the database has now.
  ///
  /// - Throws: `unavailable` if the database does not answer in `waitLimit`.
  package func check(_ client: ClientName) async throws(DatabaseError) {
    if !isReady { try await begin() }
    counts.checks += 1
    let failure = await withCheckedContinuation { continuation in
      if let place = checkPlaces[client] {
        checks[place].done.append(continuation)
      } else {
        checkPlaces[client] = checks.count
        checks.append((client, [continuation]))
      }
      guard !isCheckDue else { return }
      isCheckDue = true
      core.loop.atEndOfIteration { [self] in startChecks() }
    }
    if let failure { throw failure }
  }

  private func startChecks() {
    isCheckDue = false
    var left = checks[...]
    checks = []
    checkPlaces = [:]
    while !left.isEmpty {
      let batch = Array(left.prefix(Self.checkLimit))
      left = left.dropFirst(Self.checkLimit)
      Task {
        let failure = await check(batch.map(\.client))
        for check in batch { for continuation in check.done { continuation.resume(returning: failure) } }
      }
    }
  }

  private func check(_ clients: [ClientName]) async -> DatabaseError? {
    // All questions are on their way before the first answer.
    let asked = core.interfaces.databaseBacked.map { plugin in
      let tasks = plugin.checks(of: clients).map { statement in Task { await outcome(of: statement) } }
      return (plugin, tasks)
    }
    var failure: DatabaseError?
    for (plugin, tasks) in asked {
      var results: [StatementResult] = []
      for task in tasks {
        switch await task.value {
        case .success(let result): results.append(result)
        case .failure(let error): failure = error
        }
      }
      if results.count == tasks.count { plugin.checked(clients, results) }
    }
    return failure
  }

  private func outcome(of statement: LoopStatement) async -> Result<StatementResult, DatabaseError> {
    counts.checkStatements += 1
    do throws(DatabaseError) {
      return .success(try await run([statement])[0])
    } catch {
      return .failure(error)
    }
  }

  /// A list of clients for `IN`, of one of few lengths: the last one is repeated.
  public nonisolated static func list(_ clients: [ClientName]) -> (sql: String, values: [SQLValue]) {
    let length = clients.count <= 1 ? 1 : clients.count <= 8 ? 8 : checkLimit
    precondition(!clients.isEmpty && clients.count <= length)
    let values = clients + Array(repeating: clients[clients.count - 1], count: length - clients.count)
    let places = Array(repeating: "?", count: length).joined(separator: ", ")
    return ("(\(places))", values.map { .text($0.text) })
  }

  // MARK: Notifications

  /// The channel on which servers tell each other of clients that they changed, where the engine has channels.
  ///
  /// A client's own calls do not need it. It is for what templates ask of other clients.
  nonisolated static let channel = "bcfg2"

  func notice(of client: ClientName) -> LoopStatement {
    LoopStatement("SELECT pg_notify('\(Self.channel)', ?)", [.text("\(name) \(client.text)")])
  }

  func heard(_ notification: DatabaseNotification) {
    guard isReady else { return }
    switch notification {
    case .lost: break
    case .began:
      // What was missed of the list of clients. What was missed of a client, its next call finds.
      attend { [self] () async throws(DatabaseError) in
        for plugin in core.interfaces.databaseBacked { try await plugin.databaseOpened() }
      }
    case .message(let text):
      let parts = text.split(separator: " ", maxSplits: 1)
      guard parts.count == 2, parts[0] != name, let client = try? ClientName(recorded: String(parts[1])) else { return }
      attend { [self] () async throws(DatabaseError) in try await check(client) }
    }
  }

  private func attend(_ body: @escaping () async throws(DatabaseError) -> Void) {
    Task {
      do throws(DatabaseError) {
        try await body()
      } catch {
        core.logger.debug("A notification of the database had no effect: \(error)")
      }
    }
  }
}

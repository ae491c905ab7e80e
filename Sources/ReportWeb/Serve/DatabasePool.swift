#if Web
  import Databases
  import NIOPosix
  import Synchronization

  /// Connections to the database, and threads that wait for it.
  final class DatabasePool: Sendable {
    /// Too many requests wait already.
    struct Busy: Error {}

    /// Unchecked: a connection is used by one thread at a time, which has taken it out of the list of free ones.
    private struct Connection: @unchecked Sendable {
      let database: any Database
    }

    private struct State {
      var free: [Connection] = []
      var requests = 0
    }

    private let settings: DatabaseSettings
    private let threads = NIOThreadPool(numberOfThreads: WebLimit.databaseThreads)
    private let state = Mutex(State())

    init(_ settings: DatabaseSettings) {
      self.settings = settings
      threads.start()
    }

    func shutDown() async throws {
      try await threads.shutdownGracefully()
      state.withLock { $0.free = [] }
    }

    /// Runs `body` on a thread, in a transaction that only reads and sees one state of the database.
    ///
    /// - Throws: `Busy`, `DatabaseError`, what `body` throws.
    func read<Result: Sendable>(_ body: @escaping @Sendable (any Database) throws -> Result) async throws -> Result {
      try await onThread { [self] in
        while true {
          let (connection, isFresh) = try take()
          do {
            let result = try Self.reading(connection.database, body)
            give(connection)
            return result
          } catch let error as DatabaseError {
            // A connection that failed is not used again; one that was lost while it was idle is replaced once.
            if error.kind == .unavailable, !isFresh {
              state.withLock { $0.free = [] }
              continue
            }
            throw error
          } catch {
            give(connection)
            throw error
          }
        }
      }
    }

    /// Runs `body` on a thread with a connection of its own, in a transaction that writes.
    func write<Result: Sendable>(_ body: @escaping @Sendable (any Database) throws -> Result) async throws -> Result {
      try await onThread { [settings] in
        let database = try Databases.open(settings)
        return try database.transaction { try body(database) }
      }
    }

    private func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
      let isAdmitted = state.withLock { state in
        guard state.requests < WebLimit.databaseRequests else { return false }
        state.requests += 1
        return true
      }
      guard isAdmitted else { throw Busy() }
      defer { state.withLock { $0.requests -= 1 } }
      return try await threads.runIfActive(body)
    }

    private func take() throws -> (Connection, isFresh: Bool) {
      if let connection = state.withLock({ $0.free.popLast() }) { return (connection, false) }
      let database = try Databases.open(settings)
      switch database.engine {
      case .sqlite: try database.execute(["PRAGMA query_only = ON"])
      case .postgresql: try database.execute(["SET statement_timeout = 30000"])
      case .mysql: break
      }
      return (Connection(database: database), true)
    }

    private func give(_ connection: Connection) { state.withLock { $0.free.append(connection) } }

    private static func reading<Result>(_ database: any Database, _ body: (any Database) throws -> Result) throws
      -> Result
    {
      switch database.engine {
      case .sqlite: try database.execute(["BEGIN"])
      case .postgresql: try database.execute(["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"])
      case .mysql: try database.execute(["START TRANSACTION READ ONLY"])
      }
      do {
        let result = try body(database)
        try database.commit()
        return result
      } catch {
        database.rollBack()
        throw error
      }
    }
  }
#endif

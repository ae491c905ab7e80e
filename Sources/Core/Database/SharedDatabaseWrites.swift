public import Databases
import EventLoop
public import Identity
public import LoopDatabases

/// Statements that change what is stored of one client.
struct DatabaseWrite {
  let client: ClientName
  let statements: [LoopStatement]
  let done: CheckedContinuation<Result<[StatementResult], DatabaseError>, Never>
}

// Writes of one iteration, and those that come during a transaction, are one transaction: many clients cost one wait for the
// database's disk.
extension SharedDatabase {
  /// Most clients of one transaction.
  private static let writeLimit = 64

  /// Runs statements of one client in a transaction. They are durable when this returns.
  ///
  /// - Parameter statements: with the same effect if they are run twice.
  /// - Returns: a result for each.
  public func commit(
    _ statements: [LoopStatement], of client: ClientName
  ) async throws(DatabaseError) -> [StatementResult] {
    // Told to other servers at the commit.
    let notices = settings.engine == .postgresql ? [notice(of: client)] : []
    let outcome = await withCheckedContinuation { continuation in
      writes.append(DatabaseWrite(client: client, statements: statements + notices, done: continuation))
      guard !isWriting else { return }
      isWriting = true
      core.loop.atEndOfIteration { [self] in Task { await writeAll() } }
    }
    return try outcome.get().dropLast(notices.count)
  }

  private func writeAll() async {
    while !writes.isEmpty {
      // In the same order in every server, so that none waits for a lock of one that waits for its own.
      let batch = writes.prefix(Self.writeLimit).sorted { $0.client < $1.client }
      writes.removeFirst(min(writes.count, Self.writeLimit))
      await write(batch)
    }
    isWriting = false
  }

  private func write(_ batch: [DatabaseWrite]) async {
    counts.writes += batch.count
    counts.transactions += 1
    do throws(DatabaseError) {
      var results = try await run(batch.flatMap(\.statements))[...]
      for write in batch {
        write.done.resume(returning: .success(Array(results.prefix(write.statements.count))))
        results = results.dropFirst(write.statements.count)
      }
    } catch {
      if batch.count > 1, !error.isTemporary {
        // What one client's data makes fail, fails for this client alone.
        for one in batch { await write([one]) }
      } else {
        for write in batch { write.done.resume(returning: .failure(error)) }
      }
    }
  }
}

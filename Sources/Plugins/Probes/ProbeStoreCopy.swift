import EventLoop
import Identity
import Logging

// probed.xml as a copy of the clients' files, for Bcfg2's own programs. It has nothing that the files do not have: it is
// written together with them, or after them.
extension ProbeStore {
  /// A client's data is another one than in the copy.
  func noteUncopied(_ client: ClientName) {
    lastChange += 1
    uncopied[client] = lastChange
  }

  /// A copy was written that had all data as of a change.
  func noteCopied(upTo change: Int) { uncopied = uncopied.filter { $0.value > change } }

  /// The copy as it is to be written together with files of clients; nil where it costs too much, cannot be made, or must
  /// not take the place of what is there.
  func copyWrite(with batch: [ClientName: ProbeReport]) -> FileWrite? {
    guard table.totalBytes <= Self.copiedAtOnceBytes else { return nil }
    do {
      try lookAgainAtFile()
      return unwritten.isSubset(of: batch.keys) ? try xmlWrite(with: batch, as: .copy) : nil
    } catch {
      // Written afterwards, by what says why it cannot be.
      return nil
    }
  }

  /// Brings the copy up to date, where that costs little. What is no copy becomes one, however large, when the clients'
  /// files have everything: a start would go by it.
  func copySoon() {
    let isSmall = table.totalBytes <= Self.copiedAtOnceBytes
    guard layout == .client, !isReadOnly, unwritten.isEmpty,
      isSmall ? !uncopied.isEmpty || file.origin == .original : file.origin != .copy && !isCopyFailing
    else { return }
    beginCopy()
  }

  /// Writes the copy, however large.
  ///
  /// - Throws: where it cannot be written, or where there is data that the files of clients do not have.
  func copy() async throws {
    guard layout == .client else { return }
    if !unwritten.isEmpty {
      isLateDue = true
      begin()
    }
    try await withCheckedThrowingContinuation {
      copyWaiters.append($0)
      beginCopy()
    }
  }

  private func beginCopy() {
    isCopyDue = true
    guard !isCopying else { return }
    isCopying = true
    loop.atEndOfIteration { [self] in
      Task {
        while isCopyDue {
          isCopyDue = false
          let waiters = copyWaiters
          copyWaiters = []
          await writeCopy(for: waiters)
        }
        isCopying = false
      }
    }
  }

  private func writeCopy(for waiters: [CheckedContinuation<Void, any Error>]) async {
    do {
      try lookAgainAtFile()
      if !unwritten.isEmpty { await writingEnd() }
      try await writeXML(as: .copy)
      if isCopyFailing { logger.notice("\(file.path) is up to date again") }
      isCopyFailing = false
      for waiter in waiters { waiter.resume() }
    } catch {
      for waiter in waiters { waiter.resume(throwing: error) }
      // The data is on disk all the same.
      if waiters.isEmpty, unwritten.isEmpty, !isCopyFailing {
        isCopyFailing = true
        logger.error("Failed to write \(file.path), the copy of \(folder.path): \(error)")
      }
    }
  }

  /// - Throws: where probed.xml may be the only place that has some client's data.
  func requireAllWritten() throws(ProbeStoreError) {
    if unwritten.isEmpty { return }
    throw ProbeStoreError(
      description:
        "\(file.path) is not replaced by a copy: the data of \(unwritten.count) clients is not in \(folder.path)")
  }
}

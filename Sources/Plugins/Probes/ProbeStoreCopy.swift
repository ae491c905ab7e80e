import EventLoop
import Identity
import Logging

// probed.xml as a copy of the clients' files, for Bcfg2's own programs. It has nothing that the files do not have: it is
// written together with them, or after them.
extension ProbeStore {
  /// Records that a client's data differs from the copy.
  func markUncopied(_ client: ClientName) {
    lastChange += 1
    uncopied[client] = lastChange
  }

  /// Records that a copy was written with all data up to a change.
  func markCopied(upTo change: Int) { uncopied = uncopied.filter { $0.value > change } }

  /// The copy to write together with files of clients; nil if it costs too much, cannot be made, or must not replace the
  /// file that is there.
  func copyWrite(with batch: [ClientName: ProbeReport]) -> FileWrite? {
    guard table.totalBytes <= Self.copiedAtOnceBytes else { return nil }
    do {
      try rereadFile()
      return unwritten.isSubset(of: batch.keys) ? try xmlWrite(with: batch, as: .copy) : nil
    } catch {
      // `copySoon` writes it afterwards, or logs why that fails.
      return nil
    }
  }

  /// Brings the copy up to date if that costs little. A probed.xml that is no copy is replaced by one, however large, once
  /// the clients' files have everything: otherwise the next start would read it as an original.
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
      try rereadFile()
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

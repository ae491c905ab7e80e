import EventLoop
import Identity
import Logging

// What is known and not on disk, without a client that waits for it: timestamps, data that another layout or an edit of
// probed.xml has brought and that could not be written yet, and files whose folder was deleted. It is written with the next
// report, and tried again every ten seconds.
extension ProbeStore {
  /// Sets the timer for timestamps, and for what could not be written.
  func scheduleLateWrites() {
    guard !isReadOnly, lateTimer?.isScheduled != true else { return }
    lateTimer = loop.schedule(after: lateDelay) { [weak self] in
      guard let self else { return }
      areTimestampsDue = true
      isLateDue = true
      begin()
    }
  }

  /// Writes some of it: between two turns of this reports have theirs.
  func writeLate() async {
    if lateQueue.isEmpty {
      lateQueue = unwritten.union(areTimestampsDue ? untimed : []).sorted()[...]
      areTimestampsDue = false
    }
    let clients = lateQueue.prefix(layout == .client ? FileWriter.openLimit - 1 : lateQueue.count)
    lateQueue = lateQueue.dropFirst(clients.count)
    let isDone = await writeLate(Array(clients))
    if !isDone || layout == .file { lateQueue = [] }
    isLateDue = isDone && !(lateQueue.isEmpty && unwritten.isEmpty)
    if isDone, lateQueue.isEmpty, unwritten.isEmpty { noteLateEnd() }
  }

  /// Returns whether any of it is on disk, or none of it is to be written.
  private func writeLate(_ clients: [ClientName]) async -> Bool {
    var batch: [ClientName: ProbeReport] = [:]
    for client in clients where pending[client] == nil && (unwritten.contains(client) || untimed.contains(client)) {
      batch[client] = table[client]
    }
    guard !batch.isEmpty else { return true }
    for (client, report) in batch { underway[client] = Change(report: report) }
    defer { for client in batch.keys { underway[client] = nil } }
    let failures = await write(batch) { [self] in wroteLate($0) }
    if let failure = Self.first(failures) { noteLate(failure: failure.error) }
    return failures.count < batch.count
  }

  /// Meanwhile an administrator may have edited or removed what was written.
  private func wroteLate(_ batch: [ClientName: ProbeReport]) {
    for (client, report) in batch {
      if let known = table[client] {
        if known.equals(report) { noteWritten(client) }
      } else if layout == .client {
        do { try folder.remove(client) } catch { logger.error("\(error)") }
      }
    }
  }

  // MARK: The log

  /// Says once that something is not on disk.
  func noteLate(failure error: any Error) {
    guard !isLateFailing else { return }
    isLateFailing = true
    let count = unwritten.union(untimed).count
    logger.error(
      "The probe data of \(count) clients is not in \(place): \(error). It stays in use, and is written with the next report, or in \(lateDelay.components.seconds) seconds"
    )
  }

  private func noteLateEnd() {
    if isRestoring {
      isRestoring = false
      onRestore()
    }
    guard isLateFailing else { return }
    isLateFailing = false
    logger.notice("The probe data of all clients is in \(place) now")
  }
}

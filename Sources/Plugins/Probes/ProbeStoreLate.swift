import EventLoop
import Identity
import Logging

// Data that is not on disk and that no client waits for: timestamps, data of another layout or of an edited probed.xml that
// could not be written yet, and files whose folder was deleted. It is written with the next report, or else every ten seconds.
extension ProbeStore {
  /// Sets the timer for timestamps and for data that could not be written.
  func scheduleLateWrites() {
    guard !isReadOnly, lateTimer?.isScheduled != true else { return }
    lateTimer = loop.schedule(after: lateDelay) { [weak self] in
      guard let self else { return }
      areTimestampsDue = true
      isLateDue = true
      begin()
    }
  }

  /// Writes a part of it, so that reports are written between two parts.
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
    if isDone, lateQueue.isEmpty, unwritten.isEmpty { reportNothingLate() }
  }

  /// Returns true if any of it came to disk, or if nothing was left to write.
  private func writeLate(_ clients: [ClientName]) async -> Bool {
    var batch: [ClientName: ProbeReport] = [:]
    for client in clients where pending[client] == nil && (unwritten.contains(client) || untimed.contains(client)) {
      batch[client] = table[client]
    }
    guard !batch.isEmpty else { return true }
    for (client, report) in batch { underway[client] = Change(report: report) }
    defer { for client in batch.keys { underway[client] = nil } }
    let failures = await write(batch) { [self] in wroteLate($0) }
    if let failure = Self.first(failures) { reportLate(failure: failure.error) }
    return failures.count < batch.count
  }

  /// An administrator may have edited or removed a file while it was being written.
  private func wroteLate(_ batch: [ClientName: ProbeReport]) {
    for (client, report) in batch {
      if let known = table[client] {
        if known.equals(report) { markWritten(client) }
      } else if layout == .client {
        do { try folder.remove(client) } catch { logger.error("\(error)") }
      }
    }
  }

  // MARK: The log

  /// Logs once that some data is not on disk.
  func reportLate(failure error: any Error) {
    guard !isLateFailing else { return }
    isLateFailing = true
    let count = unwritten.union(untimed).count
    logger.error(
      "The probe data of \(count) clients is not in \(place): \(error). It stays in use, and is written with the next report, or in \(lateDelay.components.seconds) seconds"
    )
  }

  private func reportNothingLate() {
    if isRestoring {
      isRestoring = false
      onRestore()
    }
    guard isLateFailing else { return }
    isLateFailing = false
    logger.notice("The probe data of all clients is in \(place) now")
  }
}

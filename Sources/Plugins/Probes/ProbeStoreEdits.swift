import EventLoop
import Identity
import Logging

// Edits that others make to probed.xml and to the files of clients while the server runs.
extension ProbeStore {
  /// Reads probed.xml again where somebody else wrote it. One that cannot be read changes nothing.
  func fileChanged() {
    switch file.readIfChanged() {
    case .same: break
    case .read(let found): merge(found)
    case .broken(let reason): logger.error("Failed to read file probed.xml: \(reason)")
    }
  }

  /// Reads a client's file again where somebody else wrote it.
  func clientFileChanged(named name: String) { apply(folder.refresh(fileNamed: name)) }

  /// Reads again what somebody else wrote: a client's file, or with nil everything.
  func reloadIfChanged(_ client: ClientName? = nil) {
    if let client, layout == .client {
      clientFileChanged(named: ProbedFolder.fileName(of: client))
      return
    }
    if layout == .client { for change in folder.refresh() { apply(change) } }
    if layout == .file || !isReadOnly { fileChanged() }
  }

  // MARK: probed.xml

  /// Merges what somebody else has written to probed.xml. Clients that have reported since the server wrote it keep their
  /// data.
  func merge(_ found: [ClientName: ProbeReport]) {
    for client in table.names where found[client] == nil && !isYounger(client) {
      do {
        if layout == .client { try folder.remove(client) }
        forget(client)
        onChange(client, nil)
      } catch {
        logger.error("The probe data of \(client) stays: \(error)")
      }
    }
    for (client, report) in found where !isYounger(client) {
      if let known = table[client], known.saysSame(as: report) { continue }
      table.set(report, of: client)
      if layout == .client {
        unwritten.insert(client)
        isLateDue = true
      }
      onChange(client, report)
    }
    begin()
  }

  /// Whether a client's data is newer than what probed.xml had before it was edited.
  private func isYounger(_ client: ClientName) -> Bool {
    if pending[client] != nil || underway[client]?.waiters.isEmpty == false { return true }
    return layout == .client
      ? uncopied[client] != nil : unwritten.contains(client)
  }

  // MARK: Files of clients

  private func apply(_ change: ProbedFolder.Change) {
    switch change {
    case .same: break
    case .gone(let client):
      if isReadOnly {
        // The parent finds out whether the file was deleted on purpose, and tells its children.
        if case .there = folder.state { remove(client) }
      } else if vanished.insert(client).inserted {
        scheduleRemovals()
      }
    case .report(let report, let client):
      let isSame = table[client]?.saysSame(as: report) ?? false
      table.set(report, of: client)
      markWritten(client)
      markUncopied(client)
      if !isSame { onChange(client, report) }
      copySoon()
    }
  }

  private func remove(_ client: ClientName) {
    guard pending[client] == nil, underway[client] == nil, folder.isMissing(client) else { return }
    folder.forget(client)
    forget(client)
    markUncopied(client)
    onChange(client, nil)
  }

  /// Waits before a missing file counts as deleted: `rm -r` removes the files before the folder. If the folder is still
  /// there after the wait, the files were deleted on purpose.
  private func scheduleRemovals() {
    removalTimer?.cancel()
    removalTimer = loop.schedule(after: removalDelay) { [weak self] in self?.settleRemovals() }
  }

  /// Removes the data of the clients whose files were removed, or writes all of it again where the folder was.
  func settleRemovals() {
    let clients = vanished
    vanished = []
    if clients.isEmpty { return }
    switch folder.state {
    case .there:
      for client in clients.sorted() { remove(client) }
      copySoon()
    case .missing:
      do { try makeFolder() } catch {
        unwritten = Set(table.names)
        reportLate(failure: error)
        scheduleLateWrites()
      }
      begin()
    case .away: break
    }
  }
}

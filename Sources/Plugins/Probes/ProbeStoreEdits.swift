import EventLoop
import Identity
import Logging

// What others write to probed.xml and to the files of clients while the server runs.
extension ProbeStore {
  /// Reads probed.xml again where somebody else wrote it. One that cannot be read changes nothing.
  func fileChanged() {
    switch file.readIfChanged() {
    case .same: break
    case .read(let found): take(found)
    case .broken(let reason): logger.error("Failed to read file probed.xml: \(reason)")
    }
  }

  /// Reads a client's file again where somebody else wrote it.
  func clientFileChanged(named name: String) { take(folder.refresh(fileNamed: name)) }

  /// Reads again what somebody else wrote: a client's file, or with nil everything.
  func reloadIfChanged(_ client: ClientName? = nil) {
    if let client, layout == .client {
      clientFileChanged(named: ProbedFolder.fileName(of: client))
      return
    }
    if layout == .client { for change in folder.refresh() { take(change) } }
    if layout == .file || !isReadOnly { fileChanged() }
  }

  // MARK: probed.xml

  /// Takes over what somebody else has written to probed.xml. Clients that have reported since it was written here stay as
  /// they are.
  func take(_ found: [ClientName: ProbeReport]) {
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

  /// Whether what is known of a client is younger than what probed.xml had before it was edited.
  private func isYounger(_ client: ClientName) -> Bool {
    if pending[client] != nil || underway[client]?.waiters.isEmpty == false { return true }
    return layout == .client
      ? uncopied[client] != nil : unwritten.contains(client)
  }

  // MARK: Files of clients

  private func take(_ change: ProbedFolder.Change) {
    switch change {
    case .same: break
    case .gone(let client):
      if isReadOnly {
        // Whether it is to be gone is the parent's to find out, which tells.
        if case .there = folder.state { remove(client) }
      } else if vanished.insert(client).inserted {
        scheduleRemovals()
      }
    case .report(let report, let client):
      let isSame = table[client]?.saysSame(as: report) ?? false
      table.set(report, of: client)
      noteWritten(client)
      noteUncopied(client)
      if !isSame { onChange(client, report) }
      copySoon()
    }
  }

  private func remove(_ client: ClientName) {
    guard pending[client] == nil, underway[client] == nil, folder.isMissing(client) else { return }
    folder.forget(client)
    forget(client)
    noteUncopied(client)
    onChange(client, nil)
  }

  /// A file that is gone may be the first one of many: `rm -r` removes the files before the folder. Where the folder is
  /// there still when it is quiet, the files were to be removed.
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
        noteLate(failure: error)
        scheduleLateWrites()
      }
      begin()
    case .away: break
    }
  }
}

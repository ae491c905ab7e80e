import EventLoop
import Glibc
import Identity
import Logging

// The start and the end of a store. Both block until the disk has answered.
extension ProbeStore {
  /// Reads both places, and moves the data to the one that the layout names.
  func load() {
    for change in folder.refresh() {
      if case .report(let report, let client) = change { table.set(report, of: client) }
    }
    let kept = table.reports
    var found: [ClientName: ProbeReport] = [:]
    switch file.read() {
    case .same: break
    case .broken(let reason):
      guard !isReadOnly else { break }
      do { try file.moveAside(reason) } catch {
        logger.error("\(file.path) cannot be read, and stays as it is: \(reason); \(error)")
      }
    case .read(let read):
      found = read
      mergeAtStart(found)
    }
    guard !isReadOnly else { return }
    let place = layout == .client ? kept : found
    unwritten = Set(table.names.filter { !table[$0]!.equals(place[$0]) })
    if layout == .client {
      for client in found.keys where table[client] == nil { markUncopied(client) }
      for client in table.names where !table[client]!.equals(found[client]) { markUncopied(client) }
    }
    do {
      if layout == .client { try moveToClientFiles() } else { try goBack(from: kept) }
    } catch {
      logger.error("Probe data was not brought into the layout \(layout.rawValue): \(error)")
      if !unwritten.isEmpty {
        reportLate(failure: error)
        scheduleLateWrites()
      }
    }
  }

  /// Merges the data of probed.xml with that of the files of clients.
  private func mergeAtStart(_ found: [ClientName: ProbeReport]) {
    let isFolderUsed = !table.names.isEmpty
    switch file.origin {
    case .copy where isFolderUsed:
      // A copy has nothing that the files do not have. Without files it is the only data.
      return
    case .original where isFolderUsed:
      // Timestamps do not decide: the clock may have been set back, and two reports may have come within one second.
      for (client, report) in found where table[client] == nil { table.set(report, of: client) }
      return
    case .editedCopy(of: let digest) where isFolderUsed:
      if FileDigest(table.document(as: .plain)).description == digest { return heedEdit(found) }
      let count = table.names.count { found[$0] == nil }
      if count > 0 {
        logger.warning(
          "\(file.path) was edited, and \(folder.path) is not as it was when the copy was made: the \(count) clients that are in \(folder.path) only stay"
        )
      }
    default: break
    }
    for (client, report) in found where report.supersedes(table[client]) { table.set(report, of: client) }
  }

  /// Replaces all data by an edited copy: somebody edited it while no server ran, and it had all that the files have.
  private func heedEdit(_ found: [ClientName: ProbeReport]) {
    var removed = 0
    for client in table.names where found[client] == nil {
      do {
        if !isReadOnly { try folder.remove(client) }
        forget(client)
        removed += 1
      } catch {
        logger.error("The probe data of \(client) stays: \(error)")
      }
    }
    for (client, report) in found where !report.equals(table[client]) { table.set(report, of: client) }
    logger.notice("\(file.path) was edited while no server ran: it counts, and \(removed) clients were removed from it")
  }

  // MARK: layout = client

  /// Writes the data that only probed.xml has to files of the clients, and then the copy. If it is interrupted, the next
  /// start does it again.
  private func moveToClientFiles() throws {
    _ = try folder.make()
    try folder.moveBrokenAside()
    if !unwritten.isEmpty {
      logger.notice("Taking the probe data of \(unwritten.count) clients from \(file.path) to \(folder.path)")
      // Otherwise a start that finds some files would not read it.
      if file.origin == .copy { try writeXMLNow(as: originalKind) }
      try writeClientsNow(unwritten)
    }
    if file.origin != .copy || !uncopied.isEmpty && table.totalBytes <= Self.copiedAtOnceBytes {
      try writeXMLNow(as: .copy)
    }
  }

  /// Writes files of clients. One that cannot be written does not hold up the others.
  private func writeClientsNow(_ clients: Set<ClientName>) throws {
    var failure: (any Error)?
    var left = clients.sorted()[...]
    while !left.isEmpty {
      let batch = Array(left.prefix(FileWriter.openLimit))
      left = left.dropFirst(FileWriter.openLimit)
      do { try writeTogether(batch) } catch {
        var isAnyWritten = false
        for client in batch {
          do {
            try writeTogether([client])
            isAnyWritten = true
          } catch let error {
            // The first attempt wrote it, before another of the batch failed; or somebody else has edited it.
            if case FileWriteError.changed = error {
              clientFileChanged(named: ProbedFolder.fileName(of: client))
              if !unwritten.contains(client), folder.isAsKnown(client) {
                isAnyWritten = true
                continue
              }
            }
            failure = error
          }
        }
        if !isAnyWritten { break }
      }
    }
    if let failure { throw failure }
  }

  private func writeTogether(_ clients: [ClientName]) throws {
    let files = try clients.map { try folder.write(table[$0]!, of: $0) }
    for (client, version) in zip(clients, try AtomicFile.write(files)) {
      folder.took(version, of: client)
      markWritten(client)
      markUncopied(client)
    }
  }

  private func writeXMLNow(as kind: ProbedFile.Kind) throws {
    if kind == .copy { try requireAllWritten() }
    file.took(try AtomicFile.write(xmlWrite(as: kind)), as: kind)
    uncopied = [:]
    guard layout == .file else { return }
    unwritten = []
    untimed = []
  }

  // MARK: layout = file

  private func goBack(from kept: [ClientName: ProbeReport]) throws {
    isFolderLeft = isFolder(folder.path)
    if !fileExists(file.path) || isFolderLeft || file.origin != .foreign || !unwritten.isEmpty {
      try writeXMLNow(as: .plain)
    }
    if isFolderLeft { removeFolder() }
  }

  /// Removes the files of clients, once probed.xml has everything.
  func removeFolder() {
    isFolderLeft = false
    do {
      for client in Array(folder.clients) { try folder.remove(client) }
    } catch {
      logger.error("\(folder.path) stays: \(error)")
    }
    // Files that the server did not write, or cannot read, stay, and so does the folder.
    rmdir(folder.path)
  }

  // MARK: The end

  /// Writes what is not on disk yet, and brings probed.xml up to date. Blocks for as long as the disk takes.
  func flush() {
    lateTimer?.cancel()
    removalTimer?.cancel()
    guard !isReadOnly else { return }
    settleRemovals()
    do {
      if layout == .client {
        try makeFolderNow()
        try writeClientsNow(unwritten.union(untimed))
      }
      let isCurrent =
        layout == .client
        ? uncopied.isEmpty && file.origin != .original : unwritten.isEmpty && untimed.isEmpty
      if !isCurrent {
        try rereadFile()
        if layout == .client { try writeClientsNow(unwritten) }
        try writeXMLNow(as: layout == .client ? .copy : .plain)
      }
    } catch {
      logger.error("Failed to write probe data: \(error)")
    }
  }

  /// The folder, for what is to be written there: see `writeClients`.
  private func makeFolderNow() throws {
    if unwritten.isEmpty && untimed.isEmpty {
      // A folder that is away is no error if nothing is to be written.
      guard case .missing = folder.state else { return }
    }
    try makeFolder()
    guard !hasOriginal else { return }
    try rereadFile()
    do {
      try writeXMLNow(as: originalKind)
    } catch let error as ProbeStoreError {
      logger.error("\(error)")
    }
  }
}

import EventLoop

// How reports come to disk: those of one iteration, and those that come while the disk is waited for, together.
extension ProbeStore {
  /// Writes what is to be written, from the end of this iteration on.
  func begin() {
    guard !isWriting, !isReadOnly, !pending.isEmpty || isLateDue else { return }
    isWriting = true
    loop.atEndOfIteration { [self] in Task { await writeAll() } }
  }

  private func writeAll() async {
    while !pending.isEmpty || isLateDue {
      if !pending.isEmpty {
        takeBatch()
        // Where a report can be written, so perhaps can what could not be.
        if await write(underway), !unwritten.isEmpty { isLateDue = true }
      }
      if isLateDue { await writeLate() }
    }
    isWriting = false
    if !unwritten.isEmpty || !untimed.isEmpty { scheduleLateWrites() }
    let ends = writingEnds
    writingEnds = []
    for end in ends { end.resume() }
    copySoon()
  }

  /// Returns when nothing is being written.
  func writingEnd() async {
    guard isWriting else { return }
    await withCheckedContinuation { writingEnds.append($0) }
  }

  /// As many reports as may be written together.
  private func takeBatch() {
    underway = pending
    if layout == .client, pending.count >= FileWriter.openLimit {
      underway = [:]
      for (client, change) in pending.prefix(FileWriter.openLimit - 1) { underway[client] = change }
    }
    for client in underway.keys { pending[client] = nil }
  }

  /// Returns whether any of them is on disk.
  private func write(_ batch: [ClientName: Change]) async -> Bool {
    var failure: (any Error)?
    do {
      let reports = batch.mapValues(\.report)
      try await write(reports) { [self] in wrote(reports) }
    } catch is ProbeStoreError where batch.count > 1 {
      // One that is too large refuses itself, not the others.
      var isAnyWritten = false
      for (client, change) in batch where await write([client: change]) { isAnyWritten = true }
      return isAnyWritten
    } catch {
      failure = error
      logger.error("Failed to write probe data: \(error)")
    }
    for (client, change) in batch {
      underway[client] = nil
      for waiter in change.waiters {
        if let failure { waiter.resume(throwing: failure) } else { waiter.resume() }
      }
    }
    copySoon()
    return failure == nil
  }

  /// Writes reports where the layout has them.
  ///
  /// - Parameter replaced: called when they are there, before anybody can have seen them.
  func write(_ reports: [ClientName: ProbeReport], replaced: @escaping () -> Void) async throws {
    var areInPlace = false
    let note = {
      replaced()
      areInPlace = true
    }
    do {
      if layout == .client {
        try await writeClients(reports, replaced: note)
      } else {
        try await writeFile(with: reports, replaced: note)
      }
    } catch {
      // There, but perhaps not for good: nobody is told that it is on disk before it was written again.
      if areInPlace { unwritten.formUnion(reports.keys) }
      throw error
    }
  }

  /// Reports are in their place.
  private func wrote(_ reports: [ClientName: ProbeReport]) {
    for (client, report) in reports {
      let isNew = table[client].map { !$0.saysSame(as: report) } ?? true
      table.set(report, of: client)
      noteWritten(client)
      if isNew { onChange(client, report) }
    }
  }

  /// What is known of a client is in its place.
  func noteWritten(_ client: ClientName) {
    unwritten.remove(client)
    untimed.remove(client)
    vanished.remove(client)
  }

  // MARK: The files of clients

  private func writeClients(_ batch: [ClientName: ProbeReport], replaced: @escaping () -> Void) async throws {
    try makeFolder()
    if !unwritten.isEmpty, file.origin == .copy { try await makeOriginal() }
    var isCopied = true
    for attempt in 1... {
      let order = batch.keys.sorted()
      var files = try order.map { try folder.write(batch[$0]!, of: $0) }
      // Together: the copy costs no second wait for the disk, and is replaced only if the files of clients can be.
      let copy = isCopied ? copyWrite(with: batch) : nil
      let change = lastChange
      if let copy { files.append(copy) }
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(files) { [self] versions in
          for (client, version) in zip(order, versions) { folder.took(version, of: client) }
          if copy != nil, let version = versions.last {
            file.took(version, isCopy: true)
            noteCopied(upTo: change)
          } else {
            for client in order { noteUncopied(client) }
          }
          replaced()
        }
      } catch {
        switch error {
        case .changed where attempt < FileWriter.attemptLimit: break
        // What is wrong with the copy refuses no report.
        case .system where copy != nil:
          isCopied = false
          continue
        default: throw error
        }
      }
      // A report is younger than what an administrator has written before it came.
      for client in order { try folder.lookAgain(at: client) }
    }
  }

  /// Makes the folder of the clients' files, if it is missing. Where it was deleted, all that is known is to be written
  /// again.
  ///
  /// - Throws: where it is away.
  func makeFolder() throws {
    if try folder.make() { return }
    unwritten = Set(table.names)
    vanished = []
    isRestoring = true
    isLateDue = true
    logger.warning(
      "\(folder.path) was deleted: it is made again, with the data of \(table.names.count) clients. To forget a client's data, remove its file"
    )
  }

  /// While files of clients are missing, probed.xml must not say that it is a copy of them: a start would look for nothing
  /// else in it. So it is written as what it is, the only place that has everything.
  private func makeOriginal() async throws {
    do {
      try await writeXML(isCopy: false)
    } catch is ProbeStoreError {
      logger.error("\(file.path) cannot have the data of all clients until their files are written: it is too large")
    }
  }

  // MARK: probed.xml

  /// Writes all data to probed.xml.
  ///
  /// - Parameter replaced: called when it is there.
  func writeXML(
    with batch: [ClientName: ProbeReport] = [:], isCopy: Bool, replaced: @escaping () -> Void = {}
  ) async throws {
    for attempt in 1... {
      try lookAgainAtFile()
      if isCopy { try requireAllWritten() }
      let write = try xmlWrite(with: batch, isCopy: isCopy)
      let change = lastChange
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(write) { [self] in
          file.took($0, isCopy: isCopy)
          noteCopied(upTo: change)
          replaced()
        }
      } catch {
        guard case .changed = error, attempt < FileWriter.attemptLimit else { throw error }
      }
    }
  }

  /// All data as a write of probed.xml.
  func xmlWrite(
    with batch: [ClientName: ProbeReport] = [:], isCopy: Bool
  ) throws(ProbeStoreError) -> FileWrite {
    let remedy = layout == .client ? "it is not written" : "use [probes] layout = client"
    return try file.write(table.document(with: batch, isCopy: isCopy), remedy: remedy)
  }

  /// probed.xml, where it is what counts.
  private func writeFile(with batch: [ClientName: ProbeReport], replaced: @escaping () -> Void) async throws {
    try await writeXML(with: batch, isCopy: false) { [self] in
      replaced()
      // All that is known was written with it.
      unwritten = []
      untimed = []
    }
    if isFolderLeft { removeFolder() }
  }

  /// Before probed.xml is written: reads what somebody else made of it, and moves it aside where it cannot be read.
  func lookAgainAtFile() throws {
    switch file.readIfChanged() {
    case .same: break
    case .read(let found): take(found)
    case .broken(let reason): try file.moveAside(reason)
    }
  }
}

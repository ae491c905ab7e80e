import EventLoop
import Identity
import Logging

// Writes reports to disk: those of one iteration, and those that arrive during a write, together.
extension ProbeStore {
  /// Begins to write at the end of this iteration.
  func begin() {
    guard !isWriting, !isReadOnly, !pending.isEmpty || isLateDue else { return }
    isWriting = true
    loop.atEndOfIteration { [self] in Task { await writeAll() } }
  }

  private func writeAll() async {
    while !pending.isEmpty || isLateDue {
      if !pending.isEmpty {
        beginBatch()
        // A write succeeded, so data that could not be written before is tried again.
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

  /// Moves as many reports as may be written together from `pending` to `underway`.
  private func beginBatch() {
    underway = pending
    if layout == .client, pending.count >= FileWriter.openLimit {
      underway = [:]
      for (client, change) in pending.prefix(FileWriter.openLimit - 1) { underway[client] = change }
    }
    for client in underway.keys { pending[client] = nil }
  }

  /// Returns whether any of them is on disk.
  private func write(_ batch: [ClientName: Change]) async -> Bool {
    let failures = await write(batch.mapValues(\.report)) { [self] in wrote($0) }
    if let failure = Self.first(failures) {
      let others = failures.count == 1 ? "" : ", and of \(failures.count - 1) other clients"
      logger.error("Failed to write probe data of \(failure.client)\(others): \(failure.error)")
    }
    for (client, change) in batch {
      underway[client] = nil
      for waiter in change.waiters {
        if let failure = failures[client] { waiter.resume(throwing: failure) } else { waiter.resume() }
      }
    }
    copySoon()
    return failures.count < batch.count
  }

  static func first(_ failures: [ClientName: any Error]) -> (client: ClientName, error: any Error)? {
    failures.min { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// Writes reports to the place that the layout names.
  ///
  /// - Parameter replaced: called with the reports that were written, before anybody can have read them.
  /// - Returns: why a client's report is not on disk. A file that is in place but may not survive a crash is `unwritten`.
  func write(
    _ reports: [ClientName: ProbeReport], replaced: @escaping ([ClientName: ProbeReport]) -> Void
  ) async -> [ClientName: any Error] {
    if layout == .client { return await writeClients(reports, replaced: replaced) }
    var isInPlace = false
    do {
      try await writeFile(with: reports) {
        replaced(reports)
        isInPlace = true
      }
      return [:]
    } catch is ProbeStoreError where reports.count > 1 {
      // A report that is too large fails alone.
      var failures: [ClientName: any Error] = [:]
      for (client, report) in reports {
        if let failure = await write([client: report], replaced: replaced)[client] { failures[client] = failure }
      }
      return failures
    } catch {
      if isInPlace { unwritten.formUnion(reports.keys) }
      return reports.mapValues { _ in error }
    }
  }

  /// Records that reports were written.
  private func wrote(_ reports: [ClientName: ProbeReport]) {
    for (client, report) in reports {
      let isNew = table[client].map { !$0.saysSame(as: report) } ?? true
      table.set(report, of: client)
      markWritten(client)
      if isNew { onChange(client, report) }
    }
  }

  /// Records that a client's data is on disk.
  func markWritten(_ client: ClientName) {
    unwritten.remove(client)
    untimed.remove(client)
    vanished.remove(client)
  }

  // MARK: The files of clients

  /// Writes each client's file by itself: one that fails refuses the report of its own client alone.
  private func writeClients(
    _ batch: [ClientName: ProbeReport], replaced: @escaping ([ClientName: ProbeReport]) -> Void
  ) async -> [ClientName: any Error] {
    var left = batch
    var failures: [ClientName: any Error] = [:]
    var inPlace: Set<ClientName> = []
    for attempt in 1...FileWriter.attemptLimit where !left.isEmpty {
      do {
        try makeFolder()
        if !hasOriginal { try await makeOriginal() }
      } catch {
        for client in left.keys { failures[client] = error }
        break
      }
      let outcomes = await writeOnce(left) {
        inPlace.formUnion($0.keys)
        replaced($0)
      }
      for (client, outcome) in outcomes {
        failures[client] = outcome
        if outcome == nil || !isWorthAnotherTry(outcome, isInPlace: inPlace.contains(client)) {
          left[client] = nil
        } else if case FileWriteError.changed? = outcome, !isFolderMissing {
          // A report is newer than an edit that was made before it arrived.
          do { try folder.reread(at: client) } catch {
            failures[client] = error
            left[client] = nil
          }
        }
        if attempt < FileWriter.attemptLimit, left[client] != nil { failures[client] = nil }
      }
    }
    // In place, but it may not survive a crash: written again before the client is told that it is on disk.
    unwritten.formUnion(failures.keys.filter(inPlace.contains))
    return failures
  }

  /// Reads a file first that somebody else has changed. Writes a file again if its folder was not synchronized to disk, or
  /// was deleted meanwhile.
  private func isWorthAnotherTry(_ failure: (any Error)?, isInPlace: Bool) -> Bool {
    switch failure as? FileWriteError {
    case .changed: true
    case .system: isInPlace || isFolderMissing
    case nil: false
    }
  }

  private var isFolderMissing: Bool { if case .missing = folder.state { true } else { false } }

  /// Returns why a client's report is not on disk, or nil, for each of them.
  private func writeOnce(
    _ batch: [ClientName: ProbeReport], _ replaced: @escaping ([ClientName: ProbeReport]) -> Void
  ) async -> [ClientName: (any Error)?] {
    var outcomes: [ClientName: (any Error)?] = [:]
    var order: [ClientName] = []
    var files: [FileWrite] = []
    for client in batch.keys.sorted() {
      do {
        files.append(try folder.write(batch[client]!, of: client))
        order.append(client)
      } catch {
        // The report is too large.
        outcomes.updateValue(error, forKey: client)
      }
    }
    let written = batch.filter { outcomes[$0.key] == nil }
    // Written together, so that the copy costs no second wait and is replaced only if the files of clients are.
    let copy = written.isEmpty ? nil : copyWrite(with: written)
    let change = lastChange
    let names = order
    let results = await loop.fileWriter.writeEach(files, last: copy) { [self] results in
      var reports: [ClientName: ProbeReport] = [:]
      for (client, result) in zip(names, results) {
        guard case .success(let version) = result else { continue }
        folder.took(version, of: client)
        reports[client] = written[client]
      }
      if copy != nil, case .success(let version)? = results.last {
        file.took(version, as: .copy)
        markCopied(upTo: change)
      } else {
        for client in reports.keys.sorted() { markUncopied(client) }
      }
      replaced(reports)
    }
    for (client, failure) in zip(order, results) { outcomes.updateValue(failure, forKey: client) }
    // A failure of the copy refuses no report: `copySoon` makes it again, or logs why it cannot.
    if copy != nil, results.last != .some(nil) {
      for (client, failure) in zip(names, results) where failure == nil { markUncopied(client) }
    }
    return outcomes
  }

  /// Makes the folder of the clients' files if it is missing. If it was deleted, all data is marked to be written again.
  ///
  /// - Throws: if the folder is away.
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

  /// Whether a start would find in probed.xml all data that the files of clients may lack.
  var hasOriginal: Bool {
    unwritten.isEmpty || file.origin != .copy && file.isAsKnown && unwritten.allSatisfy { uncopied[$0] == nil }
  }

  /// `.original`, unless a client's file is older than its data.
  var originalKind: ProbedFile.Kind { unwritten.isDisjoint(with: folder.clients) ? .original : .plain }

  /// Writes probed.xml as the only place that has all data. While files of clients are missing it must not be marked as a
  /// copy, because a start would not read a copy.
  private func makeOriginal() async throws {
    do {
      try await writeXML(as: originalKind)
    } catch is ProbeStoreError {
      logger.error("\(file.path) cannot have the data of all clients until their files are written: it is too large")
    }
  }

  // MARK: probed.xml

  /// Writes all data to probed.xml.
  ///
  /// - Parameter replaced: called when it is there.
  func writeXML(
    with batch: [ClientName: ProbeReport] = [:], as kind: ProbedFile.Kind, replaced: @escaping () -> Void = {}
  ) async throws {
    for attempt in 1... {
      try rereadFile()
      if kind == .copy { try requireAllWritten() }
      let write = try xmlWrite(with: batch, as: kind)
      let change = lastChange
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(write) { [self] in
          file.took($0, as: kind)
          markCopied(upTo: change)
          replaced()
        }
      } catch {
        guard case .changed = error, attempt < FileWriter.attemptLimit else { throw error }
      }
    }
  }

  /// All data as a write of probed.xml.
  func xmlWrite(
    with batch: [ClientName: ProbeReport] = [:], as kind: ProbedFile.Kind
  ) throws(ProbeStoreError) -> FileWrite {
    let remedy = layout == .client ? "it is not written" : "use [probes] layout = client"
    return try file.write(table.document(with: batch, as: kind), remedy: remedy)
  }

  /// Writes probed.xml if the layout keeps the data there.
  private func writeFile(with batch: [ClientName: ProbeReport], replaced: @escaping () -> Void) async throws {
    try await writeXML(with: batch, as: .plain) { [self] in
      replaced()
      // The file has all data.
      unwritten = []
      untimed = []
    }
    if isFolderLeft { removeFolder() }
  }

  /// Reads probed.xml again before it is written, if somebody else has changed it; puts it aside if it cannot be read.
  func rereadFile() throws {
    switch file.readIfChanged() {
    case .same: break
    case .read(let found): merge(found)
    case .broken(let reason): try file.moveAside(reason)
    }
  }
}

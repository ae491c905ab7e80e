import EventLoop
import Identity
import Logging

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

  /// Writes reports where the layout has them.
  ///
  /// - Parameter replaced: called with those that are there, before anybody can have seen them.
  /// - Returns: why a client's report is not on disk. One that is in its place, but perhaps not for good, is `unwritten`.
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
      // One that is too large refuses itself, not the others.
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

  /// Each client's file is written for itself: one that cannot be refuses its own client's report alone.
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
          // A report is younger than what an administrator has written before it came.
          do { try folder.lookAgain(at: client) } catch {
            failures[client] = error
            left[client] = nil
          }
        }
        if attempt < FileWriter.attemptLimit, left[client] != nil { failures[client] = nil }
      }
    }
    // There, but perhaps not for good: nobody is told that it is on disk before it was written again.
    unwritten.formUnion(failures.keys.filter(inPlace.contains))
    return failures
  }

  /// A file that somebody else has changed is read first. One that is in its place, while its folder did not come to disk,
  /// is written again, and so is one whose folder was deleted meanwhile.
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
        // One that is too large.
        outcomes.updateValue(error, forKey: client)
      }
    }
    let written = batch.filter { outcomes[$0.key] == nil }
    // Together: the copy costs no second wait for the disk, and is replaced only if the files of clients are.
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
        noteCopied(upTo: change)
      } else {
        for client in reports.keys.sorted() { noteUncopied(client) }
      }
      replaced(reports)
    }
    for (client, failure) in zip(order, results) { outcomes.updateValue(failure, forKey: client) }
    // What is wrong with the copy refuses no report: it is made again, by what says why it cannot be.
    if copy != nil, results.last != .some(nil) {
      for (client, failure) in zip(names, results) where failure == nil { noteUncopied(client) }
    }
    return outcomes
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

  /// Whether probed.xml has all data that the files of clients may not have, as a start would find it.
  var hasOriginal: Bool {
    unwritten.isEmpty || file.origin != .copy && file.isAsKnown && unwritten.allSatisfy { uncopied[$0] == nil }
  }

  /// An original, unless a client has a file that is older than what is known of it.
  var originalKind: ProbedFile.Kind { unwritten.isDisjoint(with: folder.clients) ? .original : .plain }

  /// While files of clients are missing, probed.xml must not say that it is a copy of them: a start would look for nothing
  /// else in it. So it is written as what it is, the only place that has everything.
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
      try lookAgainAtFile()
      if kind == .copy { try requireAllWritten() }
      let write = try xmlWrite(with: batch, as: kind)
      let change = lastChange
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(write) { [self] in
          file.took($0, as: kind)
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
    with batch: [ClientName: ProbeReport] = [:], as kind: ProbedFile.Kind
  ) throws(ProbeStoreError) -> FileWrite {
    let remedy = layout == .client ? "it is not written" : "use [probes] layout = client"
    return try file.write(table.document(with: batch, as: kind), remedy: remedy)
  }

  /// probed.xml, where it is what counts.
  private func writeFile(with batch: [ClientName: ProbeReport], replaced: @escaping () -> Void) async throws {
    try await writeXML(with: batch, as: .plain) { [self] in
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

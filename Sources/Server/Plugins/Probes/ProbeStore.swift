import EventLoop
import Glibc
import Logging

/// Probe data of all clients, in memory and on disk.
///
/// With `[probes] layout = client` each client has a file in probed.d, so that a report costs its own size, and
/// probed.xml is a copy for Bcfg2's own programs. With `layout = file` probed.xml is what counts. What another layout has
/// left is taken over at the start.
///
/// New data is on disk before its client is answered; reports of one iteration, and those that come while the disk is
/// waited for, are written together. Where a client reports what it reported before, only its timestamp is new, and that
/// may wait a while.
final class ProbeStore {
  enum Layout: String {
    case file, client
  }

  /// How long a mere timestamp may wait.
  static let timestampDelay: Duration = .seconds(10)
  /// Bytes of all data up to which the copy is written with each report; a larger one is written at the end, and when an
  /// administrator asks.
  static let copiedAtOnceBytes = 256 << 10

  /// A report that is to be written, and who waits for that.
  private struct Change {
    var report: ProbeReport
    /// Nobody, where only the timestamp is new.
    var waiters: [CheckedContinuation<Void, any Error>] = []
  }

  let layout: Layout
  /// probed.xml.
  let path: String
  /// probed.d.
  let folder: ProbedFolder
  /// Called when a client's data on disk is another one, before anybody can have seen it there. The report is nil for a
  /// client whose data is gone.
  var onChange: (_ client: ClientName, ProbeReport?) -> Void = { _, _ in }

  /// Most bytes of a file: no more is written than is read.
  var limitBytes = ProbedFile.limitBytes {
    didSet { folder.limitBytes = limitBytes }
  }

  private let loop: EventLoop
  private let logger: Logger
  /// In a child process nothing is written.
  private let isReadOnly: Bool
  /// What is on disk, but for timestamps.
  private var reports: [ClientName: ProbeReport] = [:]
  /// Names of all clients with data, sorted.
  private var names: [ClientName] = []
  private var totalBytes = 0
  /// Clients whose timestamp is not on disk.
  private var untimed: Set<ClientName> = []
  private var timer: Timer?
  private var pending: [ClientName: Change] = [:]
  /// Being written.
  private var underway: [ClientName: Change] = [:]
  private var isWriting = false
  /// probed.xml as it was read or written last.
  private var version = FileVersion.missing
  /// Clients whose data probed.xml does not have as it is here, where it is a copy.
  private var uncopied: Set<ClientName> = []
  private var isCopying = false

  /// Reads what there is, takes over what another layout has left, and moves aside what cannot be read.
  init(layout: Layout, pluginFolder: String, isReadOnly: Bool, loop: EventLoop, logger: Logger) {
    self.layout = layout
    self.isReadOnly = isReadOnly
    self.loop = loop
    self.logger = logger
    path = "\(pluginFolder)/probed.xml"
    folder = ProbedFolder(path: "\(pluginFolder)/\(ProbedFolder.name)", isReadOnly: isReadOnly, logger: logger)
    load()
  }

  /// The last report of a client; nil where there is none.
  subscript(_ client: ClientName) -> ProbeReport? { reports[client] }

  // MARK: Reports

  /// Takes a report. New data is on disk when this returns.
  ///
  /// - Throws: where it cannot be written; what was known before stays.
  func save(_ report: ProbeReport, of client: ClientName) async throws {
    let isUnderway = pending[client] != nil || underway[client] != nil
    if !isUnderway, let known = reports[client], known.saysSame(as: report) {
      reports[client] = report
      untimed.insert(client)
      waitWithTimestamps()
      return
    }
    try await withCheckedThrowingContinuation { continuation in
      pending[client, default: Change(report: report)].report = report
      pending[client]?.waiters.append(continuation)
      begin()
    }
  }

  /// Takes a report that another process has written.
  func follow(_ report: ProbeReport, of client: ClientName) { set(report, client) }

  private func set(_ report: ProbeReport, _ client: ClientName) {
    totalBytes += report.sizeBytes
    if let known = reports.updateValue(report, forKey: client) {
      totalBytes -= known.sizeBytes
      return
    }
    totalBytes += client.text.utf8.count
    names.insert(client, at: place(of: client))
  }

  private func remove(_ client: ClientName) {
    guard let known = reports.removeValue(forKey: client) else { return }
    totalBytes -= known.sizeBytes + client.text.utf8.count
    untimed.remove(client)
    let place = place(of: client)
    if place < names.count, names[place] == client { names.remove(at: place) }
  }

  private func place(of client: ClientName) -> Int {
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle] < client { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func waitWithTimestamps() {
    guard timer?.isScheduled != true else { return }
    timer = loop.schedule(after: Self.timestampDelay) { [weak self] in
      guard let self else { return }
      for client in untimed where pending[client] == nil {
        if let report = reports[client] { pending[client] = Change(report: report) }
      }
      untimed = []
      begin()
    }
  }

  // MARK: Writing

  private func begin() {
    guard !isWriting, !isReadOnly, !pending.isEmpty else { return }
    isWriting = true
    loop.atEndOfIteration { [self] in Task { await writePending() } }
  }

  private func writePending() async {
    while !pending.isEmpty {
      takeBatch()
      await write(underway)
      if !untimed.isEmpty { waitWithTimestamps() }
    }
    isWriting = false
  }

  private func write(_ batch: [ClientName: Change]) async {
    var failure: (any Error)?
    do {
      try await write(batch.mapValues(\.report))
    } catch is ProbeStoreError where batch.count > 1 {
      // One that is too large refuses itself, not the others.
      for (client, change) in batch { await write([client: change]) }
      return
    } catch {
      failure = error
      logger.error("Failed to write probe data: \(error)")
    }
    for (client, change) in batch {
      underway[client] = nil
      if failure != nil, change.waiters.isEmpty { untimed.insert(client) }
      for waiter in change.waiters {
        if let failure { waiter.resume(throwing: failure) } else { waiter.resume() }
      }
    }
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

  private func write(_ batch: [ClientName: ProbeReport]) async throws {
    guard layout == .client else { return try await writeFile(with: batch) }
    guard totalBytes <= Self.copiedAtOnceBytes else { return try await writeClients(batch) }
    // Both at once: the copy costs no second wait for the disk.
    let copy = Task { await copyOrLog(with: batch) }
    let result: Result<Void, any Error>
    do { result = .success(try await writeClients(batch)) } catch { result = .failure(error) }
    await copy.value
    try result.get()
  }

  private func wrote(_ batch: [ClientName: ProbeReport]) {
    for (client, report) in batch {
      let isNew = reports[client].map { !$0.saysSame(as: report) } ?? true
      set(report, client)
      untimed.remove(client)
      if isNew { onChange(client, report) }
    }
  }

  /// The files of clients.
  private func writeClients(_ batch: [ClientName: ProbeReport]) async throws {
    var left = batch
    for attempt in 1... {
      let order = left.keys.sorted()
      let files = try order.map { try folder.write(left[$0]!, of: $0) }
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(files) { [self] versions in
          for (client, version) in zip(order, versions) { folder.took(version, of: client) }
          uncopied.formUnion(order)
          wrote(left)
        }
      } catch {
        guard case .changed = error, attempt < FileWriter.attemptLimit else { throw error }
      }
      // A report is younger than what an administrator has written before it came.
      for client in order { try folder.lookAgain(at: client) }
      left = batch
    }
  }

  // MARK: probed.xml

  /// All reports as they will be with a batch.
  private func document(with batch: [ClientName: ProbeReport], isCopy: Bool) throws -> [UInt8] {
    let new = batch.keys.filter { reports[$0] == nil }
    let all = new.isEmpty ? names : (names + new).sorted()
    let bytes = ProbedFile.bytes(of: all.lazy.map { [reports] in ($0, batch[$0] ?? reports[$0]!) }, isCopy: isCopy)
    guard bytes.count <= limitBytes else {
      let remedy = isCopy ? "it is not written" : "use [probes] layout = client"
      throw ProbeStoreError(
        description: "\(path) would have \(bytes.count) bytes, more than the \(limitBytes) that are read: \(remedy)")
    }
    return bytes
  }

  /// probed.xml, where it is what counts.
  private func writeFile(with batch: [ClientName: ProbeReport]) async throws {
    for attempt in 1... {
      try lookAgainAtFile()
      let file = FileWrite(
        try document(with: batch, isCopy: false), to: path, replacing: version, mode: .ordinary)
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(file) { [self] in
          version = $0
          wrote(batch)
          // All timestamps were written with it.
          untimed = []
        }
      } catch {
        guard case .changed = error, attempt < FileWriter.attemptLimit else { throw error }
      }
    }
  }

  /// probed.xml as a copy. What fails is logged: the data is in probed.d.
  private func copyOrLog(with batch: [ClientName: ProbeReport] = [:]) async {
    do { try await copy(with: batch) } catch { logger.error("Failed to write \(path): \(error)") }
  }

  /// Writes probed.xml for Bcfg2's own programs, where it is a copy.
  func copy(with batch: [ClientName: ProbeReport] = [:]) async throws {
    for attempt in 1... {
      try lookAgainAtFile()
      let copied = uncopied.union(batch.keys)
      let file = FileWrite(try document(with: batch, isCopy: true), to: path, replacing: version, mode: .ordinary)
      do throws(FileWriteError) {
        return try await loop.fileWriter.write(file) { [self] in
          version = $0
          uncopied.subtract(copied)
        }
      } catch {
        guard case .changed = error, attempt < FileWriter.attemptLimit else { throw error }
      }
    }
  }

  /// Before probed.xml is written: reads what somebody else made of it, and moves it aside where it cannot be read.
  private func lookAgainAtFile() throws {
    switch readIfChanged() {
    case .same: break
    case .read(let found): take(found)
    case .broken(let reason):
      let aside = try ProbedFile.moveAside(path)
      version = .missing
      logger.error("\(path) cannot be read, and was moved to \(aside): \(reason)")
    }
  }

  private enum Reading {
    case same
    case read([ClientName: ProbeReport])
    case broken(String)
  }

  private func readIfChanged() -> Reading {
    guard let status = FileVersion.Status(of: path) else {
      version = .missing
      return .same
    }
    if status == version.status { return .same }
    switch ProbedFile.read(path, limitBytes: limitBytes, complain: { logger.error("\($0)") }) {
    case .missing: return .same
    case .broken(let reason): return .broken(reason)
    case .reports(let found, let read, _):
      version = read
      return .read(found)
    }
  }

  /// Takes over what somebody else has written to probed.xml. Clients that have reported since it was written here, and
  /// what is being written, stay as they are.
  private func take(_ found: [ClientName: ProbeReport]) {
    let isKept = { [self] (client: ClientName) in
      pending[client] != nil || underway[client] != nil || layout == .client && uncopied.contains(client)
    }
    for client in names where found[client] == nil && !isKept(client) {
      do { if layout == .client { try folder.remove(client) } } catch { logger.error("\(error)") }
      remove(client)
      onChange(client, nil)
    }
    for (client, report) in found where !isKept(client) {
      if let known = reports[client], known.saysSame(as: report) { continue }
      set(report, client)
      onChange(client, report)
      if layout == .client { pending[client] = Change(report: report) }
    }
    begin()
  }

  // MARK: What others write

  /// Reads probed.xml again where somebody else wrote it. One that cannot be read changes nothing.
  func fileChanged() {
    switch readIfChanged() {
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

  private func take(_ change: ProbedFolder.Change) {
    switch change {
    case .same: break
    case .gone(let client):
      guard pending[client] == nil, underway[client] == nil else { return }
      remove(client)
      uncopied.insert(client)
      onChange(client, nil)
      copySoon()
    case .report(let report, let client):
      let isSame = reports[client]?.saysSame(as: report) ?? false
      set(report, client)
      uncopied.insert(client)
      if !isSame { onChange(client, report) }
      copySoon()
    }
  }

  /// Brings the copy up to date after edits, where that costs little.
  private func copySoon() {
    guard layout == .client, !isReadOnly, !isCopying, totalBytes <= Self.copiedAtOnceBytes else { return }
    isCopying = true
    loop.atEndOfIteration { [self] in
      Task {
        isCopying = false
        await copyOrLog()
      }
    }
  }

  // MARK: Start and end

  private func load() {
    var isFolderUsed = false
    if folder.exists {
      for change in folder.refresh() { if case .report(let report, let client) = change { set(report, client) } }
      isFolderUsed = !folder.clients.isEmpty
    }
    let known = Set(names)
    var taken: [ClientName] = []
    var isToBeWritten = true
    switch ProbedFile.read(path, limitBytes: limitBytes, complain: { logger.error("\($0)") }) {
    case .missing: break
    case .broken(let reason):
      guard !isReadOnly else { break }
      do {
        let aside = try ProbedFile.moveAside(path)
        logger.error("\(path) cannot be read, and was moved to \(aside): \(reason)")
      } catch {
        logger.error("\(path) cannot be read, and stays as it is: \(reason); \(error)")
      }
    case .reports(let found, let read, let isOwnCopy):
      version = read
      isToBeWritten = isFolderUsed || isOwnCopy
      if layout == .client {
        for client in known.union(found.keys) where found[client] == nil || !found[client]!.equals(reports[client]) {
          uncopied.insert(client)
        }
        isToBeWritten = !isOwnCopy || !uncopied.isEmpty && totalBytes <= Self.copiedAtOnceBytes
        // A copy that nobody has edited says nothing that the folder does not say; but the folder may be gone.
        if isOwnCopy && isFolderUsed { break }
      }
      for (client, report) in found where !known.contains(client) || report.supersedes(reports[client]) {
        set(report, client)
        taken.append(client)
      }
    }
    guard !isReadOnly else { return }
    do {
      if layout == .client { try takeOver(taken) }
      if isToBeWritten { try writeFileNow() }
      if layout == .file, folder.exists { try removeFolder() }
    } catch {
      logger.error("Probe data was not brought into the layout \(layout.rawValue): \(error)")
    }
  }

  /// Writes the data that probed.xml had to files of the clients. Cut off at any point it is begun again at the next
  /// start, as long as probed.xml was not replaced by a copy.
  private func takeOver(_ clients: [ClientName]) throws {
    try makeFolders(folder.path)
    try folder.moveBrokenAside()
    guard !clients.isEmpty else { return }
    logger.notice("Taking the probe data of \(clients.count) clients from \(path) to \(folder.path)")
    var left = clients.sorted()[...]
    while !left.isEmpty {
      try writeClientsNow(Array(left.prefix(FileWriter.openLimit)))
      left = left.dropFirst(FileWriter.openLimit)
    }
  }

  private func writeClientsNow(_ clients: [ClientName]) throws {
    let files = try clients.map { try folder.write(reports[$0]!, of: $0) }
    for (client, version) in zip(clients, try AtomicFile.write(files)) {
      folder.took(version, of: client)
      uncopied.insert(client)
    }
  }

  private func writeFileNow() throws {
    let bytes = try document(with: [:], isCopy: layout == .client)
    version = try AtomicFile.write(FileWrite(bytes, to: path, replacing: version, mode: .ordinary))
    uncopied = []
    untimed = layout == .file ? [] : untimed
  }

  /// probed.xml has everything by now.
  private func removeFolder() throws {
    for client in Array(folder.clients) { try folder.remove(client) }
    // What is not ours, or cannot be read, stays, and so does the folder.
    rmdir(folder.path)
  }

  /// Writes what is not on disk yet, and brings probed.xml up to date. Blocks for as long as the disk takes.
  func flush() {
    timer?.cancel()
    guard !isReadOnly else { return }
    do {
      if layout == .client {
        let waiting = pending.filter { $0.value.waiters.isEmpty }.map(\.key)
        var left = untimed.union(waiting).filter { reports[$0] != nil }.sorted()[...]
        untimed = []
        while !left.isEmpty {
          try writeClientsNow(Array(left.prefix(FileWriter.openLimit)))
          left = left.dropFirst(FileWriter.openLimit)
        }
      }
      let isCurrent = layout == .client ? uncopied.isEmpty : untimed.isEmpty
      if !isCurrent {
        try lookAgainAtFile()
        try writeFileNow()
      }
    } catch {
      logger.error("Failed to write probe data: \(error)")
    }
  }
}

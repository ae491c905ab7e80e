import EventLoop
import Identity
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
///
/// Three sets say where memory and disk differ. `unwritten`: data that the layout's own place may not have; as long as
/// there is any, probed.xml is not replaced by a copy. `untimed`: only the timestamp is not there. `uncopied`: data that
/// the copy does not have.
final class ProbeStore {
  nonisolated enum Layout: String, CaseIterable, Sendable {
    case client, file
  }

  /// Bytes of all data up to which the copy follows each report; a larger one is written at the end, and when an
  /// administrator asks.
  static let copiedAtOnceBytes = 256 << 10

  /// A report that is to be written, and who waits for that.
  struct Change {
    var report: ProbeReport
    /// Nobody, where the data is known already.
    var waiters: [CheckedContinuation<Void, any Error>] = []
  }

  let layout: Layout
  let file: ProbedXML
  let folder: ProbedFolder
  /// How long a mere timestamp, and what could not be written, may wait.
  let lateDelay: Duration
  let loop: Reactor
  let logger: Logger
  /// In a child process nothing is written.
  let isReadOnly: Bool

  /// Called when a client's data on disk is another one, before anybody can have seen it there. The report is nil for a
  /// client whose data is gone.
  var onChange: (_ client: ClientName, ProbeReport?) -> Void = { _, _ in }
  /// Called when the files of all clients are there again, after their folder was deleted.
  var onRestore: () -> Void = {}
  /// Most bytes of a file: no more is written than is read.
  var limitBytes = ProbedFile.limitBytes {
    didSet {
      folder.limitBytes = limitBytes
      file.limitBytes = limitBytes
    }
  }

  // What is known, and where the disk differs.
  var table = ProbeTable()
  var unwritten: Set<ClientName> = []
  var untimed: Set<ClientName> = []
  /// With the number of the change: a copy has those up to the one that was the last when it was made.
  var uncopied: [ClientName: Int] = [:]
  var lastChange = 0

  // Reports that are written: ProbeStoreWriting.swift.
  var pending: [ClientName: Change] = [:]
  /// Being written.
  var underway: [ClientName: Change] = [:]
  var isWriting = false
  var writingEnds: [CheckedContinuation<Void, Never>] = []

  // What is written without anybody who waits for it: ProbeStoreLate.swift.
  var lateTimer: Timer?
  var isLateDue = false
  var areTimestampsDue = false
  var lateQueue: ArraySlice<ClientName> = []
  /// Whether the log says that something is not on disk.
  var isLateFailing = false
  var isRestoring = false
  /// With `layout = file`: whether probed.d is there until all of it is in probed.xml.
  var isFolderLeft = false

  // The copy: ProbeStoreCopy.swift.
  var isCopying = false
  var isCopyDue = false
  var isCopyFailing = false
  var copyWaiters: [CheckedContinuation<Void, any Error>] = []

  // What others write: ProbeStoreEdits.swift.
  /// How long a client's file has to be gone until that counts: the folder may be about to be deleted as a whole.
  var removalDelay: Duration = .seconds(1)
  /// Clients whose file is gone since less than that.
  var vanished: Set<ClientName> = []
  var removalTimer: Timer?

  /// Reads what there is, takes over what another layout has left, and moves aside what cannot be read.
  init(
    layout: Layout, pluginFolder: String, isReadOnly: Bool, lateDelay: Duration = .seconds(10), loop: Reactor,
    logger: Logger
  ) {
    self.layout = layout
    self.lateDelay = lateDelay
    self.isReadOnly = isReadOnly
    self.loop = loop
    self.logger = logger
    file = ProbedXML(path: "\(pluginFolder)/probed.xml", logger: logger)
    folder = ProbedFolder(path: "\(pluginFolder)/\(ProbedFolder.name)", isReadOnly: isReadOnly, logger: logger)
    load()
  }

  /// The last report of a client; nil where there is none.
  subscript(_ client: ClientName) -> ProbeReport? { table[client] }

  /// Where the data is that counts.
  var place: String { layout == .client ? folder.path : file.path }

  /// Takes a report. New data is on disk when this returns.
  ///
  /// - Throws: where it cannot be written; what was known before stays.
  func save(_ report: ProbeReport, of client: ClientName) async throws {
    let isUnderway = pending[client] != nil || underway[client] != nil
    if !isUnderway, let known = table[client], known.saysSame(as: report), isOnDisk(client) {
      table.set(report, of: client)
      untimed.insert(client)
      scheduleLateWrites()
      return
    }
    try await withCheckedThrowingContinuation { continuation in
      pending[client, default: Change(report: report)].report = report
      pending[client]?.waiters.append(continuation)
      begin()
    }
  }

  /// Whether what is known of a client is on disk, but for the timestamp: what somebody has deleted since is not.
  private func isOnDisk(_ client: ClientName) -> Bool {
    !unwritten.contains(client) && (layout == .client ? folder.isAsKnown(client) : file.isAsKnown)
  }

  /// Takes a report that another process has written.
  func follow(_ report: ProbeReport, of client: ClientName) { table.set(report, of: client) }

  /// A client has no data any more.
  func forget(_ client: ClientName) {
    table.remove(client)
    untimed.remove(client)
    unwritten.remove(client)
  }
}

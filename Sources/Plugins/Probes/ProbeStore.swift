import EventLoop
import Identity
import Logging

/// Probe data of all clients, in memory and on disk.
///
/// With `[probes] layout = client` each client has a file in probed.d, so that a report costs its own size, and
/// probed.xml is a copy for Bcfg2's own programs. With `layout = file` probed.xml is what counts. Data of the other layout is
/// moved at the start.
///
/// New data is on disk before its client is answered. Reports of one iteration, and those that arrive during a write, are
/// written together. If a client reports the same as before, only its timestamp is new, and that may wait a while.
///
/// Three sets record where memory and disk differ. `unwritten`: data that may not be where the layout keeps it; as long as
/// there is any, probed.xml is not replaced by a copy. `untimed`: only the timestamp is not on disk. `uncopied`: data that the
/// copy does not have.
final class ProbeStore {
  nonisolated enum Layout: String, CaseIterable, Sendable {
    case client, file
  }

  /// The most bytes of all data with which the copy is written at each report. With more it is written at the end, and when
  /// an administrator asks for it.
  static let copiedAtOnceBytes = 256 << 10

  /// A report that is to be written, and the tasks that wait for it.
  struct Change {
    var report: ProbeReport
    /// Empty if the data is known already.
    var waiters: [CheckedContinuation<Void, any Error>] = []
  }

  let layout: Layout
  let file: ProbedXML
  let folder: ProbedFolder
  /// How long a timestamp alone, or data that could not be written, may wait.
  let lateDelay: Duration
  let loop: Reactor
  let logger: Logger
  /// True in a child process, which writes nothing.
  let isReadOnly: Bool

  /// Called when a client's data on disk has changed, before anybody can have read it there. The report is nil if the data
  /// is gone.
  var onChange: (_ client: ClientName, ProbeReport?) -> Void = { _, _ in }
  /// Called when the files of all clients are there again, after their folder was deleted.
  var onRestore: () -> Void = {}
  /// The most bytes of a file. The same bound holds for reading and writing.
  var limitBytes = ProbedFile.limitBytes {
    didSet {
      folder.limitBytes = limitBytes
      file.limitBytes = limitBytes
    }
  }

  // What is known, and how the disk differs.
  var table = ProbeTable()
  var unwritten: Set<ClientName> = []
  var untimed: Set<ClientName> = []
  /// Each client with the number of its last change: a copy has all changes up to the number at which it was made.
  var uncopied: [ClientName: Int] = [:]
  var lastChange = 0

  // Reports that are written: ProbeStoreWriting.swift.
  var pending: [ClientName: Change] = [:]
  /// Being written.
  var underway: [ClientName: Change] = [:]
  var isWriting = false
  var writingEnds: [CheckedContinuation<Void, Never>] = []

  // Writes that no task waits for: ProbeStoreLate.swift.
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
  /// How long a client's file has to be missing until it counts as deleted: the whole folder may be about to be deleted.
  var removalDelay: Duration = .seconds(1)
  /// Clients whose file has been missing for less than that.
  var vanished: Set<ClientName> = []
  var removalTimer: Timer?

  /// Reads the data on disk, moves that of another layout, and puts files aside that cannot be read.
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

  /// The path of the data that counts.
  var place: String { layout == .client ? folder.path : file.path }

  /// Stores a report. New data is on disk when this returns.
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

  /// Whether a client's data is on disk, apart from the timestamp, and nobody has deleted it since.
  private func isOnDisk(_ client: ClientName) -> Bool {
    !unwritten.contains(client) && (layout == .client ? folder.isAsKnown(client) : file.isAsKnown)
  }

  /// Stores a report that another process has written.
  func follow(_ report: ProbeReport, of client: ClientName) { table.set(report, of: client) }

  /// A client has no data any more.
  func forget(_ client: ClientName) {
    table.remove(client)
    untimed.remove(client)
    unwritten.remove(client)
  }
}

import EventLoop
import Glibc
import Logging
import XMLRPC

/// Probe data of all clients, in memory and in probed.xml.
///
/// New data is on disk before its client is answered; reports of one iteration of the loop share one write. Where a
/// client reports what it reported before, only its timestamp is new, and that may wait a while.
final class ProbeStore {
  /// Most bytes of probed.xml.
  static let limitBytes = RepositoryXML.fileLimitBytes
  /// How long a mere timestamp may wait.
  static let timestampDelay: Duration = .seconds(10)

  /// How a file is told from another of its name.
  private struct Signature: Equatable {
    let device: UInt
    let inode: UInt
    let size: Int
    let seconds: Int
    let nanoseconds: Int

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      device = UInt(status.st_dev)
      inode = UInt(status.st_ino)
      size = Int(status.st_size)
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
    }
  }

  let path: String
  private let loop: EventLoop
  private let logger: Logger
  private var reports: [ClientName: ProbeReport] = [:]
  /// Names of all clients with data, sorted.
  private var names: [ClientName] = []
  /// Clients whose report is not on disk.
  private var unwritten: Set<ClientName> = []
  /// Those of them that reported something new.
  private var unwrittenData: Set<ClientName> = []
  private var waiting: [CheckedContinuation<Void, any Error>] = []
  private var signature: Signature?
  private var timer: Timer?

  init(path: String, loop: EventLoop, logger: Logger) {
    self.path = path
    self.loop = loop
    self.logger = logger
    if fileExists(path) { reloadIfChanged() } else { writeOrLog() }
  }

  /// The last report of a client; nil where there is none.
  subscript(_ client: ClientName) -> ProbeReport? { reports[client] }

  /// Takes a report.
  ///
  /// - Returns: true where groups or data are not those that are on disk: `save` is to follow.
  func take(_ report: ProbeReport, of client: ClientName) -> Bool {
    let known = reports[client]
    set(report, client)
    unwritten.insert(client)
    let isSame = known?.body == report.body && known?.groups == report.groups
    guard isSame, !unwrittenData.contains(client) else {
      unwrittenData.insert(client)
      return true
    }
    if timer?.isScheduled != true {
      timer = loop.schedule(after: Self.timestampDelay) { [weak self] in self?.flush() }
    }
    return false
  }

  /// Writes at the end of the iteration. Everything that was taken is on disk when this returns.
  ///
  /// - Throws: `SystemError` where it cannot be written.
  func save() async throws {
    try await withCheckedThrowingContinuation { continuation in
      if waiting.isEmpty { loop.atEndOfIteration { [self] in flush() } }
      waiting.append(continuation)
    }
  }

  /// Takes a report that another process has written.
  func follow(_ report: ProbeReport, of client: ClientName) { set(report, client) }

  /// Writes what is not on disk yet.
  func flush() {
    let batch = waiting
    waiting = []
    guard !unwritten.isEmpty else {
      for continuation in batch { continuation.resume() }
      return
    }
    do {
      try write()
      for continuation in batch { continuation.resume() }
    } catch {
      logger.error("Failed to write \(path): \(error)")
      for continuation in batch { continuation.resume(throwing: error) }
    }
  }

  /// Reads probed.xml again where someone else wrote it. What is not on disk yet stays as it is here.
  ///
  /// - Returns: true where it was read.
  @discardableResult
  func reloadIfChanged() -> Bool {
    let present = Signature(path)
    guard present != signature, present != nil else { return false }
    signature = present
    let root: Element
    do {
      root = try Self.read(try AtomicFile.readFile(path, limitBytes: Self.limitBytes))
    } catch {
      logger.error("Failed to read file probed.xml: \(error)")
      return false
    }
    var loaded: [ClientName: ProbeReport] = [:]
    for client in root.children {
      do throws(ClientNameError) {
        loaded[try ClientName(recorded: client.name ?? "")] = ProbeReport(client)
      } catch {
        let name = client.name ?? "a client without a name"
        logger.error("\(path):\(client.line): Probe data of \(name), ignored: \(error)")
      }
    }
    for client in unwritten { loaded[client] = reports[client] }
    reports = loaded
    names = loaded.keys.sorted()
    return true
  }

  /// Parses probed.xml or a part of it, by the reader of what clients send: one output, an attribute here, may be larger
  /// than the 10 MB that libxml2 takes.
  static func read(_ bytes: [UInt8]) throws(XMLError) -> Element {
    var limits = ClientDocument.limits.withoutRequestBounds
    limits.xmlAttributeBytes = limitBytes
    limits.xmlTextBytes = limitBytes
    let budget = RequestBudget(limits: limits, bodyBytes: bytes.count)
    return try ClientDocument.parse(bytes, limits: limits, budget: budget)
  }

  private func set(_ report: ProbeReport, _ client: ClientName) {
    if reports.updateValue(report, forKey: client) != nil { return }
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle] < client { low = middle + 1 } else { high = middle }
    }
    names.insert(client, at: low)
  }

  private func write() throws {
    reloadIfChanged()
    var bytes: [UInt8] = []
    bytes.reserveCapacity(reports.values.reduce(64) { $0 + $1.body.count + 128 })
    if names.isEmpty {
      bytes += "<Probed/>\n".utf8
    } else {
      bytes += "<Probed>\n".utf8
      for name in names { reports[name]?.append(to: &bytes, client: name) }
      bytes += "</Probed>\n".utf8
    }
    try AtomicFile.write(bytes, to: path)
    signature = Signature(path)
    unwritten.removeAll()
    unwrittenData.removeAll()
    timer?.cancel()
  }

  private func writeOrLog() {
    do { try write() } catch { logger.error("Failed to write \(path): \(error)") }
  }
}

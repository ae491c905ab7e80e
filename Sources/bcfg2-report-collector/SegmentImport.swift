import Databases
import EventLoop
import Glibc
import Logging
import ReportRecords

/// Takes the segments of the spool, the oldest first.
@MainActor
final class SegmentImport {
  /// Attempts after which records that the database does not take are refused, where it takes others.
  private static let attemptLimit = 3

  private let folder: String
  private let importer: BatchImport
  private let refused: RefusedRecords
  private let logger: Logger
  /// A segment that is being stored.
  private final class Segment {
    let path: String
    /// The file. One of a server that has ended is locked: no server may begin to write it.
    let file: FileDescriptor
    let interactions: [Interaction]
    /// How many of them are stored.
    var next = 0

    init(_ path: String, _ file: consuming FileDescriptor, _ interactions: [Interaction]) {
      self.path = path
      self.file = file
      self.interactions = interactions
    }
  }

  private var current: Segment?
  /// A batch that fails again and again, for a reason that need not be its own, and what was stored before it.
  private var failing: (path: String, attempts: Int, stored: Int)?
  /// Segments that are left for later.
  private var setAside: Set<String> = []
  /// Segments that could not be read, each told of once.
  private var unreadable: Set<String> = []
  /// Segments whose torn and damaged parts were told of. During an outage a segment is read many times.
  private var examined: Set<String> = []
  /// Whether a segment could not be read or removed.
  private(set) var hasFailed = false

  init(_ folder: String, _ importer: BatchImport, _ refused: RefusedRecords, _ logger: Logger) {
    self.folder = folder
    self.importer = importer
    self.refused = refused
    self.logger = logger
  }

  /// Stores one batch.
  ///
  /// - Returns: whether there may be more.
  func step() throws(DatabaseError) -> Bool {
    if current == nil { current = next() }
    guard let segment = current else { return false }
    let path = segment.path
    let interactions = segment.interactions
    let start = segment.next
    var end = start
    var bytes = 0
    while end < interactions.count, end - start < BatchImport.batchCount, bytes < BatchImport.batchBytes {
      bytes += interactions[end].approximateBytes
      end += 1
    }
    let batch = Array(interactions[start..<end])
    do throws(DatabaseError) {
      try importer.store(batch)
    } catch {
      current = nil
      guard !error.isTemporary, error.kind != .missing else { throw error }
      try failed(path, batch, error)
      return true
    }
    if failing?.path == path { failing = nil }
    setAside.removeAll()
    segment.next = end
    if end == interactions.count { remove(path) }
    return true
  }

  /// The database failed for a reason that may be this batch's own: the next segments show it.
  private func failed(_ path: String, _ batch: [Interaction], _ error: DatabaseError) throws(DatabaseError) {
    let before = failing?.path == path ? failing : nil
    let attempts = (before?.attempts ?? 0) + 1
    if attempts >= Self.attemptLimit, importer.stored > before?.stored ?? 0 {
      for interaction in batch { refused.keep(interaction, "\(error)") }
      failing = nil
      // Its other batches are stored, or follow.
      refusedBatches[path, default: []].formUnion(batch.map(\.microseconds))
      return
    }
    failing = (path, attempts, before?.stored ?? importer.stored)
    setAside.insert(path)
    throw error
  }

  /// Times of interactions that were refused, of segments that are not removed yet.
  private var refusedBatches: [String: Set<Int64>] = [:]

  private func remove(_ path: String) {
    current = nil
    refusedBatches[path] = nil
    examined.remove(path)
    if unlink(path) != 0, errno != ENOENT {
      unreadable.insert(path)
      hasFailed = true
      logger.error("\(path) is stored, and cannot be removed: \(String(cString: strerror(errno)))")
    }
  }

  // MARK: Reading

  /// The oldest segment that can be read.
  private func next() -> Segment? {
    let names = FolderNames.read(folder).filter { SpoolSegment.Name($0) != nil }.sorted()
    if setAside.count >= names.count { setAside.removeAll() }
    let paths = Set(names.map { "\(folder)/\($0)" })
    unreadable.formIntersection(paths)
    examined.formIntersection(paths)
    for name in names {
      let path = "\(folder)/\(name)"
      guard !unreadable.contains(path), !setAside.contains(path) else { continue }
      do throws(SystemError) {
        let file = try RegularFile.open(path)
        // Its server still writes it, or has completed it meanwhile.
        if name.hasSuffix(".open"), !FileLock.lockForReading(file) || !fileExists(path) { continue }
        let bytes = try RegularFile.read(file, path, limitBytes: SpoolSegment.limitBytes)
        return Segment(path, consume file, interactions(of: bytes, name, path))
      } catch {
        if error.errno == ENOENT { continue }
        unreadable.insert(path)
        hasFailed = true
        logger.error("A segment of the spool cannot be read: \(error)")
      }
    }
    return nil
  }

  private func interactions(of bytes: [UInt8], _ name: String, _ path: String) -> [Interaction] {
    var interactions: [Interaction] = []
    let known = refusedBatches[path] ?? []
    let isFirstTime = examined.insert(path).inserted
    SpoolSegment.read(bytes) { part in
      switch part {
      case .interaction(let interaction):
        if !known.contains(interaction.microseconds) { interactions.append(interaction) }
      case .damaged where !isFirstTime, .torn where !isFirstTime: break
      case .damaged(let range, let error):
        refused.keep(damaged: bytes[range], of: name, at: range.lowerBound, "\(error)")
      case .torn(let range):
        logger.warning(
          "The last \(range.count) bytes of \(name) are no whole record: the server ended while it wrote them, and has not acknowledged them"
        )
      }
      return true
    }
    return interactions
  }
}

extension Interaction {
  /// Bytes of the texts of its entries, about.
  fileprivate var approximateBytes: Int {
    items.reduce(256) { sum, item in
      item.attributes.reduce(sum + 32) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    }
  }
}

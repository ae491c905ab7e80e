import EventLoop
import Glibc
import Logging
import ReportRecords

/// What waits in the spool for the collector.
package struct SpoolCounts: Equatable, Sendable {
  package var files = 0
  package var bytes = 0
  /// When the oldest segment was begun, since 1970; nil: there is none.
  package var oldestMicroseconds: Int64?
  /// Records that were dropped, since the start.
  package var dropped = 0
}

/// Appends records to the spool. All records of one turn of the loop, and those that come while the disk is waited for, are written
/// and synchronized together.
///
/// Half a second after its first record a segment is complete, and the next record begins another one: so the collector gets it. Where
/// the collector leaves segments behind, they grow to their full size before there are more of them.
final class SpoolWriter {
  /// The bounds of the spool.
  struct Limits {
    /// Bytes of all segments: the oldest are dropped.
    var spoolBytes = 1 << 30
    /// How long after its first record a segment is complete.
    var age = Duration.milliseconds(500)

    /// Bytes after which a segment is complete.
    var segmentBytes: Int { min(8 << 20, max(64 << 10, spoolBytes / 8)) }
    /// Segments that may wait for the collector before they are made as large as they may be.
    static let waitingSegments = 16
    /// Names of a new segment that may be taken already.
    static let names = 100
    /// Segments that are counted for metrics, at most: each costs a system call.
    static let countedSegments = 4096
    /// Bytes of records that may wait to be written.
    static let waitingBytes = 128 << 20
  }

  private struct Record {
    let bytes: [UInt8]
    let done: CheckedContinuation<SystemError?, Never>
  }

  /// A segment that is appended to.
  private final class Segment {
    let descriptor: FileDescriptor
    let path: String
    let microseconds: Int64
    /// Bytes and records that are on disk.
    var bytes = 0
    var count = 0
    /// Whether its name is on disk.
    var isNamed = false

    init(_ descriptor: consuming FileDescriptor, path: String, microseconds: Int64) {
      self.descriptor = descriptor
      self.path = path
      self.microseconds = microseconds
    }

    /// Whether nobody has removed it.
    var exists: Bool {
      var status = stat()
      return fstat(descriptor.rawValue, &status) == 0 && status.st_nlink > 0
    }
  }

  let folder: String
  var limits: Limits
  /// Records that were dropped, since the start.
  private(set) var dropped = 0
  private unowned let loop: Reactor
  private let logger: Logger
  private var waiting: [Record] = []
  private var waitingBytes = 0
  private var isPosted = false
  /// The records that are being synchronized; nil if none are.
  private var current: (records: [Record], bytes: Int)?
  private var segment: Segment?
  private var timer: Timer?
  /// Paths of segments that are complete, as long as the collector has not taken them.
  private var finished: [String] = []
  private var hasComplained = false
  private var lastMicroseconds: Int64 = 0
  private var isClosed = false

  init(folder: String, limits: Limits = Limits(), on loop: Reactor, logger: Logger) {
    self.folder = folder
    self.limits = limits
    self.loop = loop
    self.logger = logger
  }

  /// Appends a record. It is on disk when this returns.
  ///
  /// - Throws: `SystemError` if it cannot be; ENOSPC where the disk is full.
  func write(_ record: [UInt8]) async throws(SystemError) {
    guard record.count <= SpoolSegment.recordLimitBytes else {
      throw SystemError(call: "write", errno: EFBIG, detail: folder)
    }
    guard !isClosed, waitingBytes + record.count <= Limits.waitingBytes else {
      throw SystemError(
        call: "write", errno: EAGAIN, detail: folder,
        explanation: isClosed ? "the server stops" : "the disk is too slow for all reports")
    }
    waitingBytes += record.count
    let failure = await withCheckedContinuation { done in
      waiting.append(Record(bytes: record, done: done))
      post()
    }
    if let failure { throw failure }
  }

  /// Completes the segment. What is not on disk by then fails.
  func close() {
    isClosed = true
    timer?.cancel()
    timer = nil
    finish()
    let left = waiting
    waiting = []
    for record in left {
      record.done.resume(
        returning: SystemError(call: "write", errno: ECANCELED, detail: folder, explanation: "the server stops"))
    }
  }

  // MARK: Writing

  private func post() {
    guard !isPosted, current == nil, !waiting.isEmpty else { return }
    isPosted = true
    loop.atEndOfIteration { [weak self] in
      guard let self else { return }
      isPosted = false
      flush()
    }
  }

  /// Writes what waits, and has it synchronized.
  private func flush() {
    guard current == nil, !waiting.isEmpty else { return }
    let records = waiting
    waiting = []
    let total = records.reduce(0) { $0 + $1.bytes.count }
    waitingBytes -= total
    do throws(SystemError) {
      let segment = try segmentToWrite()
      var bytes: [UInt8] = []
      if records.count == 1 {
        bytes = records[0].bytes
      } else {
        bytes.reserveCapacity(total)
        for record in records { bytes += record.bytes }
      }
      do throws(SystemError) {
        try append(bytes, to: segment)
      } catch {
        take(back: segment)
        throw error
      }
      current = (records, total)
      synchronize(segment)
    } catch {
      fail(records, error)
    }
  }

  private func append(_ bytes: [UInt8], to segment: Segment) throws(SystemError) {
    let descriptor = segment.descriptor.rawValue
    var written = 0
    while written < bytes.count {
      let offset = off_t(segment.bytes + written)
      let start = written
      let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + start, $0.count - start, offset) }
      if count > 0 {
        written += count
      } else if count == 0 || errno != EINTR {
        throw SystemError(call: "write", errno: count == 0 ? EIO : errno, detail: segment.path)
      }
    }
  }

  /// Cuts off what was not written whole. A segment that cannot be cut is left as it is, for the reader knows a torn end.
  private func take(back segment: Segment) {
    if ftruncate(segment.descriptor.rawValue, off_t(segment.bytes)) != 0 { finish() }
  }

  /// The segment to append to; made where there is none, or where somebody has removed it.
  private func segmentToWrite() throws(SystemError) -> Segment {
    if let segment {
      if segment.exists { return segment }
      self.segment = nil
      logger.warning("Reporting: \(segment.path) was removed; the spool begins anew")
    }
    try makeFolders(folder)
    keepWithinLimit()
    for _ in 0..<Limits.names {
      lastMicroseconds = max(lastMicroseconds + 1, Self.microseconds())
      let path = "\(folder)/\(SpoolSegment.openName(microseconds: lastMicroseconds))"
      let descriptor: FileDescriptor
      do throws(SystemError) {
        descriptor = try .open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
      } catch {
        // Another server writes to this spool, too.
        if error.errno == EEXIST { continue }
        throw error
      }
      let new = Segment(descriptor, path: path, microseconds: lastMicroseconds)
      // The lock says that this process lives. A collector that looked before it was there has taken the file.
      guard FileLock.lockForProcess(new.descriptor), new.exists else { continue }
      do throws(SystemError) {
        try append(SpoolSegment.start, to: new)
      } catch {
        unlink(path)
        throw error
      }
      new.bytes = SpoolSegment.start.count
      segment = new
      return new
    }
    throw SystemError(call: "open", errno: EEXIST, detail: folder, explanation: "somebody takes each new segment")
  }

  static func microseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
  }

  // MARK: The disk

  private func synchronize(_ segment: Segment) {
    var left = segment.isNamed ? 1 : 2
    var failure: Int32 = 0
    let synchronizer = loop.fileWriter.synchronizer
    func one(_ code: Int32) {
      if code != 0 { failure = code }
      left -= 1
      if left == 0 { synchronized(segment, failure) }
    }
    if !segment.isNamed {
      do throws(SystemError) {
        let directory = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
        let owner = DescriptorOwner(directory)
        synchronizer.synchronize(owner.descriptor) { code in withExtendedLifetime(owner) { one(code) } }
      } catch {
        one(error.errno)
      }
    }
    synchronizer.synchronize(segment.descriptor.rawValue, one)
  }

  private final class DescriptorOwner {
    let owner: FileDescriptor
    var descriptor: Int32 { owner.rawValue }
    init(_ owner: consuming FileDescriptor) { self.owner = owner }
  }

  private func synchronized(_ segment: Segment, _ code: Int32) {
    guard let (records, bytes) = current else { return }
    current = nil
    if code == 0 {
      segment.bytes += bytes
      segment.count += records.count
      segment.isNamed = true
      recovered()
      for record in records { record.done.resume(returning: nil) }
      if isClosed || segment.bytes >= limits.segmentBytes { finish() } else { scheduleEnd() }
    } else {
      // Which bytes are on disk is not known after that: the clients are told that theirs are not.
      fail(records, SystemError(call: "fsync", errno: code, detail: segment.path))
      take(back: segment)
      finish()
    }
    post()
  }

  private func fail(_ records: [Record], _ error: SystemError) {
    if !hasComplained {
      hasComplained = true
      logger.error("Reporting: Statistics cannot be kept, clients are told so: \(error)")
    }
    for record in records { record.done.resume(returning: error) }
  }

  private func recovered() {
    guard hasComplained else { return }
    hasComplained = false
    logger.notice("Reporting: Statistics are kept again")
  }

  // MARK: Metrics

  /// What is in the folder now. Of a folder with more segments than anybody should have, the first are looked at.
  var counts: SpoolCounts {
    var counts = SpoolCounts()
    counts.dropped = dropped
    for name in Self.names(in: folder).prefix(Limits.countedSegments) {
      guard let parsed = SpoolSegment.Name(name) else { continue }
      var status = stat()
      guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
      counts.files += 1
      counts.bytes += Int(status.st_size)
      counts.oldestMicroseconds = min(counts.oldestMicroseconds ?? .max, parsed.microseconds)
    }
    return counts
  }

  // MARK: Segments

  private func scheduleEnd() {
    guard timer == nil, segment != nil else { return }
    timer = loop.schedule(after: limits.age) { [weak self] in
      guard let self else { return }
      timer = nil
      // The collector takes the oldest first.
      while let first = finished.first, !fileExists(first) { finished.removeFirst() }
      if finished.count < Limits.waitingSegments, current == nil { finish() } else { scheduleEnd() }
    }
  }

  /// Completes the segment, if there is one.
  private func finish() {
    timer?.cancel()
    timer = nil
    guard let segment else { return }
    // Records that are being synchronized belong to it: it is completed after them.
    if current != nil, !isClosed { return }
    self.segment = nil
    if segment.count == 0, current == nil {
      unlink(segment.path)
      return
    }
    let count = segment.count + (current?.records.count ?? 0)
    for number in 0..<Int64(Limits.names) {
      let path = "\(folder)/\(SpoolSegment.name(microseconds: segment.microseconds + number, count: count))"
      do throws(SystemError) {
        try AtomicFile.move(segment.path, to: path)
        finished.append(path)
        return
      } catch {
        // Another server began a segment at the same time, which has as many records.
        if error.errno == EEXIST { continue }
        // The collector takes it all the same when this process has closed it.
        if error.errno != ENOENT { logger.error("Reporting: \(segment.path): \(error)") }
        return
      }
    }
    logger.error("Reporting: \(SystemError(call: "rename", errno: EEXIST, detail: segment.path))")
  }

  /// Drops the oldest segments while there are too many bytes.
  private func keepWithinLimit() {
    var segments: [(path: String, name: SpoolSegment.Name, bytes: Int)] = []
    var total = 0
    for name in Self.names(in: folder).sorted() {
      guard let parsed = SpoolSegment.Name(name) else { continue }
      var status = stat()
      guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
      total += Int(status.st_size)
      segments.append(("\(folder)/\(name)", parsed, Int(status.st_size)))
    }
    var lost = 0
    for segment in segments where total + limits.segmentBytes > limits.spoolBytes {
      guard let count = segment.name.count ?? Self.countOfAbandoned(segment.path), unlink(segment.path) == 0 else {
        continue
      }
      total -= segment.bytes
      lost += count
    }
    guard lost > 0 else { return }
    dropped += lost
    logger.error(
      "Reporting: The oldest \(lost) statistics were dropped, \(dropped) since the start: the spool has reached [reporting] spool_limit. Does bcfg2-report-collector run, and does it reach the database?"
    )
  }

  /// How many records an open segment has whose server has ended; nil if it is written, or cannot be read.
  private static func countOfAbandoned(_ path: String) -> Int? {
    do throws(SystemError) {
      let file = try RegularFile.open(path)
      guard FileLock.lockForReading(file) else { return nil }
      return SpoolSegment.count(try RegularFile.read(file, path, limitBytes: SpoolSegment.limitBytes))
    } catch {
      return nil
    }
  }

  private static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }
}

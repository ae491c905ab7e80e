import Databases
import EventLoop
import Glibc
import Logging
import Plugins
import ReportRecords
import Repository
import XMLRPC

/// Takes what a Python server left behind: a pickle for each report in `LocalFilesystem/work`, and the queue that DirectStore saved at
/// its end. A file is removed when all that is in it is stored; one that cannot be read stays, and is told of once.
@MainActor
final class PickleImport {
  private static let fileLimit = 64 << 20
  /// Files of one transaction.
  private static let batchCount = 100

  private let folder: String
  private let importer: BatchImport
  private let logger: Logger
  private var unreadable: Set<String> = []
  var hasFailed: Bool { !unreadable.isEmpty }

  init(_ folder: String, _ importer: BatchImport, _ logger: Logger) {
    self.folder = folder
    self.importer = importer
    self.logger = logger
  }

  /// Stores what is in some files.
  ///
  /// - Returns: whether there may be more.
  func step() throws(DatabaseError) -> Bool {
    var batch: [Interaction] = []
    var paths: [String] = []
    var bytes = 0
    for path in files() where !unreadable.contains(path) {
      guard let (interactions, count) = read(path) else { continue }
      batch += interactions
      bytes += count
      paths.append(path)
      if paths.count >= Self.batchCount || bytes >= BatchImport.batchBytes { break }
    }
    guard !paths.isEmpty else { return false }
    var start = 0
    while start < batch.count {
      let end = min(batch.count, start + BatchImport.batchCount)
      try importer.store(Array(batch[start..<end]))
      start = end
    }
    for path in paths where unlink(path) != 0 && errno != ENOENT {
      unreadable.insert(path)
      logger.error("\(path) is stored, and cannot be removed: \(String(cString: strerror(errno)))")
    }
    return true
  }

  /// Files of both transports, the oldest first: names end in a time, and those of one client are in its order.
  private func files() -> [String] {
    let work = "\(folder)/LocalFilesystem/work"
    let names = FolderNames.read(work).filter { !$0.hasPrefix(".") }
    let sorted = names.map { name in
      (time: name.split(separator: "-").last.flatMap { Double($0) } ?? .infinity, name: name)
    }.sorted { ($0.time, $0.name) < ($1.time, $1.name) }
    let saved = "\(folder)/DirectStore/.saved"
    return (fileExists(saved) ? [saved] : []) + sorted.map { "\(work)/\($0.name)" }
  }

  private func read(_ path: String) -> ([Interaction], bytes: Int)? {
    do {
      let bytes = try RegularFile.read(path, limitBytes: Self.fileLimit)
      let value = try Unpickler.read(bytes)
      let values: [PickledValue] = if case .list(let list) = value { list } else { [value] }
      return (try values.enumerated().map { try PickledInteraction.read($1, number: $0) }, bytes.count)
    } catch {
      if let error = error as? SystemError, error.errno == ENOENT { return nil }
      unreadable.insert(path)
      logger.error("Failed to unpickle payload: \(path): \(error)")
      return nil
    }
  }
}

/// Makes an interaction of the dictionary that Bcfg2's transports pickle: `hostname`, `metadata`, `stats`.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/Transport/LocalFilesystem.py, Server/Plugins/Reporting.py.
@MainActor
enum PickledInteraction {
  static func read(_ value: PickledValue, number: Int) throws -> Interaction {
    guard let hostname = value["hostname"]?.text, let metadata = value["metadata"], let text = value["stats"]?.text
    else {
      throw CollectorError("it has no hostname, metadata and stats")
    }
    let statistics = try ClientDocument.parse(text)
    guard let time = statistics["time"] else { throw CollectorError("the statistics have no time") }
    guard let seconds = PythonTime.seconds(time) else {
      throw CollectorError("the time \(time.prefix(64)) is not known")
    }
    // Python's time has whole seconds, and a client with two runs in one of them had the first alone.
    var interaction = Interaction(hostname: hostname, microseconds: seconds * 1_000_000)
    interaction.server = metadata["server"]?.text ?? ""
    interaction.profile = metadata["profile"]?.text ?? ""
    interaction.groups = metadata["groups"]?.list?.compactMap(\.text) ?? []
    interaction.bundles = metadata["bundles"]?.list?.compactMap(\.text) ?? []
    _ = ReportedDocument.read(statistics, into: &interaction, limits: .init(entries: .max, bytes: .max))
    return interaction
  }
}

/// Times as `time.asctime` writes them: local time, `Sun Nov 29 04:13:16 2026`.
enum PythonTime {
  private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

  /// Seconds since 1970; nil for a text that is no such time.
  static func seconds(_ text: String) -> Int64? {
    let words = text.split(separator: " ", omittingEmptySubsequences: true)
    guard words.count == 5, let month = months.firstIndex(of: String(words[1])), let day = Int32(words[2]),
      let year = Int32(words[4]), (1...31).contains(day), (1970...9999).contains(year)
    else { return nil }
    let clock = words[3].split(separator: ":").compactMap { Int32($0) }
    guard clock.count == 3, (0...23).contains(clock[0]), (0...59).contains(clock[1]), (0...61).contains(clock[2]) else {
      return nil
    }
    var parts = tm()
    parts.tm_year = year - 1900
    parts.tm_mon = Int32(month)
    parts.tm_mday = day
    parts.tm_hour = clock[0]
    parts.tm_min = clock[1]
    parts.tm_sec = clock[2]
    parts.tm_isdst = -1
    let seconds = mktime(&parts)
    return seconds == -1 ? nil : Int64(seconds)
  }
}

import EventLoop
import Glibc
import Logging
import ReportRecords

/// Keeps records that cannot be stored, each in a segment of its own beside the reason: an administrator who has repaired what was
/// wrong moves it back to the spool.
@MainActor
final class RefusedRecords {
  /// Bounds of the folder: what is beyond them is told of, and lost.
  private static let fileLimit = 2000
  private static let byteLimit = 64 << 20
  /// Lines of the log about them, in an hour.
  private static let logLimit = 20

  private let folder: String
  private let logger: Logger
  /// Records and damaged parts that were not stored, since the start.
  private(set) var count = 0
  private var window: (begin: MonotonicTime, lines: Int)?

  init(folder: String, logger: Logger) {
    self.folder = folder
    self.logger = logger
  }

  func keep(_ interaction: Interaction, _ reason: String) {
    let bytes = SpoolSegment.start + interaction.record()
    keep(bytes, name(of: bytes, interaction.microseconds), "the report of \(interaction.hostname)", reason)
  }

  /// A name that no other report has: those of a Python server have the second as time. The same report has the same name again.
  private func name(of bytes: [UInt8], _ microseconds: Int64) -> String {
    let names = (0..<Int64(Self.fileLimit)).lazy.map {
      SpoolSegment.name(microseconds: min(microseconds, .max - $0) + $0, count: 1)
    }
    let free = names.first { name in
      let path = "\(self.folder)/\(name)"
      guard fileExists(path) else { return true }
      return (try? RegularFile.read(path, limitBytes: bytes.count)) == bytes
    }
    return free ?? SpoolSegment.name(microseconds: microseconds, count: 1)
  }

  /// Keeps bytes that are no records.
  func keep(damaged bytes: ArraySlice<UInt8>, of segment: String, at place: Int, _ reason: String) {
    keep(Array(bytes), "\(segment).\(place).damaged", "\(bytes.count) bytes of \(segment)", reason)
  }

  private func keep(_ bytes: [UInt8], _ name: String, _ what: String, _ reason: String) {
    count += 1
    let path = "\(folder)/\(name)"
    do {
      try makeFolders(folder)
      let (files, total) = size()
      guard files < Self.fileLimit, total + bytes.count <= Self.byteLimit else {
        return log("\(what) cannot be stored, and is lost, since \(folder) is full: \(reason)")
      }
      try AtomicFile.writeNew(path, bytes)
      try AtomicFile.writeNew(path + ".reason", Array("\(reason)\n".utf8))
      log("\(what) cannot be stored, and is kept as \(path): \(reason)")
    } catch {
      log("\(what) cannot be stored, and is lost, since it could not be kept: \(error): \(reason)")
    }
  }

  private func log(_ text: String) {
    let now = MonotonicTime.now()
    if window.map({ now - $0.begin >= .seconds(3600) }) ?? true { window = (now, 0) }
    window?.lines += 1
    switch window?.lines ?? 0 {
    case ...Self.logLimit: logger.error("\(text)")
    case Self.logLimit + 1: logger.error("More reports cannot be stored: see \(folder)")
    default: logger.debug("\(text)")
    }
  }

  private func size() -> (files: Int, bytes: Int) {
    var files = 0
    var bytes = 0
    for name in FolderNames.read(folder) {
      var status = stat()
      guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
      files += 1
      bytes += Int(status.st_size)
    }
    return (files, bytes)
  }
}

extension AtomicFile {
  /// Writes a file, also in the place of one that is there, and brings it to disk.
  @MainActor fileprivate static func writeNew(_ path: String, _ bytes: [UInt8]) throws {
    let version = try AtomicFile.version(of: path, limitBytes: 1 << 30)
    try AtomicFile.write(FileWrite(bytes, to: path, replacing: version, mode: .secret))
  }
}

/// The names in a folder.
enum FolderNames {
  /// The most names that are looked at.
  static let limit = 1_000_000

  /// - Returns: names without `.` and `..`, in no order; none of a folder that is not there.
  static func read(_ folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while names.count < limit, let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}

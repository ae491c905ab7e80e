public import EventLoop
import Glibc
import Logging

/// A monitored path that was there, or readable, and is not now. The contents read last stay in use.
public struct RepositoryTrouble: Sendable {
  /// Absolute path of the missing or unreadable file or folder.
  public let path: String
  /// The system's error message.
  public let reason: String
  /// Seconds since 1970.
  public let since: Int64
  /// The same instant on the monotonic clock.
  public let began: MonotonicTime
  /// True for a folder of the repository, or all of it: answers may be outdated. An unreadable file counts like one
  /// that does not parse.
  public internal(set) var isFolder: Bool
  /// Number of monitored paths affected.
  public internal(set) var pathCount: Int

  /// `since` in the form of RFC 3339, in UTC.
  public var sinceText: String {
    var time = time_t(since)
    var parts = tm()
    gmtime_r(&time, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// The reason why a node cannot be compared with the file system.
struct NodeTrouble {
  enum Kind {
    /// The node's own path is missing or unreachable.
    case path
    /// The folder's names, or their types, are unreadable.
    case list
    /// The file's contents are unreadable.
    case contents
  }

  let kind: Kind
  /// The missing or unreadable path.
  let path: String
  /// ENOENT if it is missing.
  let errno: Int32
  /// Time of the next check, if no event reports recovery.
  var nextCheck = MonotonicTime(nanoseconds: 0)

  /// Whether inotify reports recovery: it does for new names, permissions and links; it does not for mounts, nor for
  /// freed memory or descriptors.
  var hasEvents: Bool { kind != .path && (errno == EACCES || errno == EPERM) }
}

/// All present troubles, logged once each: nodes that miss the same folder share one.
final class TroubleTable {
  private struct Entry {
    var trouble: RepositoryTrouble
    var nodes: Set<ObjectIdentifier> = []
  }

  private let logger: Logger
  private var entries: [String: Entry] = [:]
  /// Level of its log lines.
  var logLevel = Logger.Level.error
  /// Set at shutdown: troubles are then cleared without a check, and without a log line.
  var isEnding = false

  init(logger: Logger) { self.logger = logger }

  /// Sorted by path.
  var all: [RepositoryTrouble] {
    if entries.isEmpty { return [] }
    return entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { entry in
      var trouble = entry.value.trouble
      trouble.pathCount = entry.value.nodes.count
      return trouble
    }
  }

  /// Records a node's trouble and replaces its previous one.
  ///
  /// - Parameter isFolder: see `RepositoryTrouble.isFolder`.
  func record(_ trouble: NodeTrouble, of node: FileNode, isFolder: Bool) {
    if let old = node.trouble, old.path != trouble.path { clear(node) }
    node.trouble = trouble
    if entries[trouble.path] == nil {
      let new = RepositoryTrouble(
        path: trouble.path, reason: String(cString: strerror(trouble.errno)), since: Int64(time(nil)), began: .now(),
        isFolder: isFolder, pathCount: 0)
      entries[trouble.path] = Entry(trouble: new)
      logger.log(level: logLevel, "\(trouble.path): \(new.reason). The last state read stays in use")
    }
    entries[trouble.path]?.nodes.insert(ObjectIdentifier(node))
    if isFolder { entries[trouble.path]?.trouble.isFolder = true }
  }

  /// Clears a node's trouble.
  ///
  /// - Parameter isGone: it was deleted or is no longer monitored, rather than readable again.
  func clear(_ node: FileNode, isGone: Bool = false) {
    guard let trouble = node.trouble else { return }
    node.trouble = nil
    guard entries[trouble.path]?.nodes.remove(ObjectIdentifier(node)) != nil,
      let entry = entries[trouble.path], entry.nodes.isEmpty
    else { return }
    entries[trouble.path] = nil
    if isEnding { return }
    guard !isGone else {
      return logger.log(level: min(logLevel, .notice), "\(trouble.path): deleted, or no longer monitored")
    }
    let seconds = (MonotonicTime.now() - entry.trouble.began).wholeNanoseconds / 1_000_000_000
    logger.log(
      level: min(logLevel, .notice),
      "\(trouble.path): readable again after \(seconds) seconds")
  }
}

public import EventLoop
import Glibc
import Logging

/// Something that the file monitor follows and that was there, or readable, and is not now. What was read last stays.
public struct RepositoryTrouble: Sendable {
  /// The absolute path of what is not there or cannot be read.
  public let path: String
  /// Why, in the words of the system.
  public let reason: String
  /// Seconds since 1970.
  public let since: Int64
  /// The same instant, for waiting.
  public let began: MonotonicTime
  /// True for a folder of the repository, or all of it: clients may be told older things than they are to be. A file
  /// that cannot be read is as one that does not parse.
  public internal(set) var isFolder: Bool
  /// How many monitored paths it concerns.
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

/// What keeps one node from being compared with the file system.
struct NodeTrouble {
  enum Kind {
    /// The node's own path leads nowhere, or no further for us.
    case path
    /// The folder's names, or what they are, cannot be read.
    case list
    /// The file's contents cannot be read.
    case contents
  }

  let kind: Kind
  /// What is not there, or cannot be read.
  let path: String
  /// ENOENT for what is not there.
  let errno: Int32
  /// When it is worth another look, where no event tells.
  var nextLook = MonotonicTime(nanoseconds: 0)

  /// Whether the system tells of the end of it: of names that come, of permissions and links that change. It does not
  /// tell of mounts, and not of memory or descriptors that are there again.
  var hasEvents: Bool { kind != .path && (errno == EACCES || errno == EPERM) }
}

/// What is in trouble, told once each: several nodes that miss the same folder are one.
final class TroubleTable {
  private struct Entry {
    var trouble: RepositoryTrouble
    var nodes: Set<ObjectIdentifier> = []
  }

  private let logger: Logger
  private var entries: [String: Entry] = [:]
  /// The level of the lines that tell of it.
  var logLevel = Logger.Level.error
  /// The monitor shuts down: what is cleared from here on was not looked at again.
  var isEnding = false

  init(logger: Logger) { self.logger = logger }

  /// In the order of their paths.
  var all: [RepositoryTrouble] {
    if entries.isEmpty { return [] }
    return entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { entry in
      var trouble = entry.value.trouble
      trouble.pathCount = entry.value.nodes.count
      return trouble
    }
  }

  /// Notes that a node is in trouble, in place of what it was in before.
  ///
  /// - Parameter isFolder: what `RepositoryTrouble.isFolder` says.
  func note(_ trouble: NodeTrouble, of node: FileNode, isFolder: Bool) {
    if let old = node.trouble, old.path != trouble.path { clear(node) }
    node.trouble = trouble
    if entries[trouble.path] == nil {
      let new = RepositoryTrouble(
        path: trouble.path, reason: String(cString: strerror(trouble.errno)), since: Int64(time(nil)), began: .now(),
        isFolder: isFolder, pathCount: 0)
      entries[trouble.path] = Entry(trouble: new)
      logger.log(level: logLevel, "\(trouble.path): \(new.reason). What was read last stays in use")
    }
    entries[trouble.path]?.nodes.insert(ObjectIdentifier(node))
    if isFolder { entries[trouble.path]?.trouble.isFolder = true }
  }

  /// The node is in trouble no more.
  ///
  /// - Parameter isGone: it is no longer there or no longer of interest, rather than readable again.
  func clear(_ node: FileNode, isGone: Bool = false) {
    guard let trouble = node.trouble else { return }
    node.trouble = nil
    guard entries[trouble.path]?.nodes.remove(ObjectIdentifier(node)) != nil,
      let entry = entries[trouble.path], entry.nodes.isEmpty
    else { return }
    entries[trouble.path] = nil
    if isEnding { return }
    guard !isGone else {
      return logger.log(level: min(logLevel, .notice), "\(trouble.path): no longer there, and no longer followed")
    }
    let seconds = (MonotonicTime.now() - entry.trouble.began).wholeNanoseconds / 1_000_000_000
    logger.log(
      level: min(logLevel, .notice),
      "\(trouble.path): can be read again, after \(seconds) seconds")
  }
}

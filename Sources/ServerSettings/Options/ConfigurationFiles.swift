import Glibc

/// The configuration files of one start, by path: read from disk and remembered, or given by a process that could read
/// them when this one may not.
public nonisolated struct ConfigurationFiles: Sendable {
  /// Texts by absolute path.
  public private(set) var texts: [String: [UInt8]]
  let isSnapshot: Bool
  /// Stand for files that this process may not read, in tests that root runs.
  var forbidden: Set<String> = []

  /// Files of the disk.
  public init() {
    texts = [:]
    isSnapshot = false
  }

  /// These files and no others.
  public init(texts: [String: [UInt8]]) {
    self.texts = texts
    isSnapshot = true
  }

  func exists(_ path: String) -> Bool {
    isSnapshot ? texts[path] != nil : forbidden.contains(path) || access(path, F_OK) == 0
  }

  /// Whether a file is there that is for others.
  func isForbidden(_ path: String) -> Bool {
    forbidden.contains(path) || !isSnapshot && access(path, R_OK) != 0 && errno == EACCES
  }

  mutating func contents(path: String) throws(SettingsError) -> [UInt8] {
    if let text = texts[path] { return text }
    if isSnapshot { throw .unreadable(path: path, reason: "the parent process has not read it") }
    if forbidden.contains(path) { throw .unreadable(path: path, reason: "Permission denied") }
    let text = try INIFile.contents(path: path)
    texts[path] = text
    return text
  }
}

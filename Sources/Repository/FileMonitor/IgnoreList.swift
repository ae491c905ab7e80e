import EventLoop
import Glibc

/// `[server] ignore_files`: names without events, such as files of editors and version control.
public nonisolated struct IgnoreList: Sendable {
  /// The defaults of Bcfg2 1.4: src/lib/Bcfg2/Server/FileMonitor/__init__.py.
  public static let defaults = [
    "*~", "*#", ".#*", "*.swp", "*.swpx", ".*.swx", "SCCS", ".svn", "4913", ".gitignore",
  ]

  /// fnmatch(3) patterns; `*` also matches a leading dot and a slash, a backslash is literal, as in Python.
  public let patterns: [String]

  public init(_ patterns: [String] = defaults) { self.patterns = patterns }

  /// Whether a pattern matches the name of a file or folder, or the whole path of a monitored one.
  ///
  /// Temporary files of the server's own writes always match.
  public func matches(_ name: String) -> Bool {
    AtomicFile.isTemporaryName(name) || patterns.contains { fnmatch($0, name, FNM_NOESCAPE) == 0 }
  }

  /// Whether a pattern matches a monitored path or its last component.
  public func matches(path: String) -> Bool {
    matches(path) || matches(String(path.utf8.split(separator: UInt8(ascii: "/")).last.map(Substring.init) ?? ""))
  }
}

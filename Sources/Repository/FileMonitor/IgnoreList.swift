import EventLoop
import Glibc

/// `[server] ignore_files`: names that no handler hears of, such as what editors and version control leave behind.
public nonisolated struct IgnoreList: Sendable {
  /// What Bcfg2 1.4 ignores where bcfg2.conf does not say: src/lib/Bcfg2/Server/FileMonitor/__init__.py.
  public static let defaults = [
    "*~", "*#", ".#*", "*.swp", "*.swpx", ".*.swx", "SCCS", ".svn", "4913", ".gitignore",
  ]

  /// fnmatch(3) patterns; `*` also matches a leading dot and a slash, a backslash means itself, as in Python.
  public let patterns: [String]

  public init(_ patterns: [String] = defaults) { self.patterns = patterns }

  /// Whether a pattern matches the name of a file or folder, or the whole path of one that is monitored itself.
  ///
  /// The temporary files of the server's own writes are always ignored.
  public func matches(_ name: String) -> Bool {
    AtomicFile.isTemporaryName(name) || patterns.contains { fnmatch($0, name, FNM_NOESCAPE) == 0 }
  }

  /// Whether a pattern matches a monitored path or its last component.
  public func matches(path: String) -> Bool {
    matches(path) || matches(String(path.utf8.split(separator: UInt8(ascii: "/")).last.map(Substring.init) ?? ""))
  }
}

import CLinux
import Glibc
import TextBytes

/// Handles paths as Python's os.path does: as text; only `glob` reads the disk.
package enum RepositoryPath {
  /// The part before the last slash; empty if there is none.
  package static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The part after the last slash.
  package static func name(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path.part(after: slash))
  }

  /// `path` relative to `folder`; an absolute `path` as it is.
  package static func joined(_ folder: String, _ path: String) -> String {
    if path.utf8.first == UInt8(ascii: "/") || folder.isEmpty { return path }
    return folder.utf8.last == UInt8(ascii: "/") ? folder + path : folder + "/" + path
  }

  /// Whether a path is the folder itself or below it, compared by bytes. Everything is below the empty path.
  package static func isSameOrBelow(_ path: String, _ folder: String) -> Bool {
    guard !folder.isEmpty else { return true }
    guard let rest = path.dropping(prefix: folder) else { return false }
    return rest.isEmpty || rest.begins(with: "/")
  }

  /// Whether a path has characters that glob(3) expands.
  static func isPattern(_ path: String) -> Bool {
    path.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") }
  }

  /// Existing paths that match a pattern, sorted by bytes.
  package static func glob(_ pattern: String) -> [String] {
    var matches = glob_t()
    defer { globfree(&matches) }
    guard Glibc.glob(pattern, GLOB_NOSORT, nil, &matches) == 0, let paths = matches.gl_pathv else { return [] }
    var found: [String] = []
    for index in 0..<Int(matches.gl_pathc) { if let path = paths[index] { found.append(String(cString: path)) } }
    return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The folder above the first component with a pattern: watched for new matches.
  package static func fixedFolder(of pattern: String) -> String {
    var fixed: [Substring] = []
    for part in pattern.parts(between: "/", omittingEmptySubsequences: false).dropLast() {
      if isPattern(String(part)) { break }
      fixed.append(part)
    }
    let folder = fixed.joined(separator: "/")
    return folder.isEmpty ? "/" : folder
  }

  /// The path relative to a folder, by text: `../shared/x`.
  static func relative(_ path: String, to folder: String) -> String {
    let target = components(path)
    let start = components(folder)
    let shared = zip(target, start).prefix { $0.isSame(as: $1) }.count
    return (Array(repeating: "..", count: start.count - shared) + target.dropFirst(shared)).joined(separator: "/")
  }

  /// The absolute path without `.`, `..` and double slashes, by text.
  package static func normalised(_ path: String) -> String { "/" + components(path).joined(separator: "/") }

  /// Components without `.` and empty ones; `..` removes the one before it.
  private static func components(_ path: String) -> [Substring] {
    var parts: [Substring] = []
    for part in path.parts(between: "/") where part != "." {
      if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
    }
    return parts
  }
}

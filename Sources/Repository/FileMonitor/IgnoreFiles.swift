import EventLoop
import Glibc
public import Logging
import XMLRPC

/// What the files `.bcfg2-ignore` of a repository hide: below the folder of each, the paths that its patterns match.
///
/// A file deeper in the repository goes before one above it, a later line before an earlier one. What is in a hidden folder
/// cannot be taken back. The file monitor keeps one of these up to date (`load`); a tool that looks at the disk once has files
/// read as they are needed.
public final class IgnoreFiles {
  /// The name of such a file, in any folder.
  public nonisolated static let fileName = ".bcfg2-ignore"

  private let logger: Logger
  private let readsByItself: Bool
  private var rules: [Name: IgnoreRules] = [:]
  /// Folders that were looked at, if it reads by itself.
  private var seen: Set<Name> = []
  private var changed: [String] = []
  private var logged: Set<String> = []
  /// The root of the repository without a trailing slash; nil: nothing is hidden.
  var repository: String?

  /// For the file monitor.
  init(logger: Logger) {
    self.logger = logger
    readsByItself = false
  }

  /// Reads the files of a repository when they are needed, each once.
  public init(reading repository: String, logger: Logger) {
    self.logger = logger
    self.repository = RepositoryPath.normalised(repository)
    readsByItself = true
  }

  /// Whether no file has a pattern.
  var isEmpty: Bool { rules.isEmpty && !readsByItself }

  /// Whether a path is in the repository.
  func covers(_ path: String) -> Bool { repository.map { RepositoryPath.isSameOrBelow(path, $0) } ?? false }

  /// Whether a path, or a folder that it is in, is hidden.
  public func hides(_ path: String) -> Bool {
    guard !isEmpty else { return false }
    return isHidden(path, isFolder: { Self.isFolder(path) }, looksAbove: true)
  }

  /// Whether a path is hidden in a folder that is not.
  ///
  /// - Parameter isFolder: whether the path is a folder.
  func hides(_ path: String, isFolder: Bool) -> Bool {
    !isEmpty && isHidden(path, isFolder: { isFolder }, looksAbove: false)
  }

  private func isHidden(_ path: String, isFolder: () -> Bool, looksAbove: Bool) -> Bool {
    guard let repository, covers(path) else { return false }
    let names = path.utf8.dropFirst(repository.utf8.count).split(separator: UInt8(ascii: "/")).map {
      String(Substring($0))
    }
    if names.isEmpty { return false }
    var folders = [repository]
    for name in names.dropLast() { folders.append(folders[folders.count - 1] + "/" + name) }
    if names.contains(Self.fileName) { return true }
    // The folders that it is in.
    for end in looksAbove ? 1..<names.count : names.count..<names.count {
      if isHidden(names[..<end], folders, isFolder: { true }) { return true }
    }
    return isHidden(names[...], folders, isFolder: isFolder)
  }

  private func isHidden(_ names: ArraySlice<String>, _ folders: [String], isFolder: () -> Bool) -> Bool {
    for depth in (0..<names.count).reversed() {
      if let verdict = rules(of: folders[depth])?.verdict(names[depth...], isFolder: isFolder) { return verdict }
    }
    return false
  }

  private func rules(of folder: String) -> IgnoreRules? {
    let name = Name(folder)
    if readsByItself, seen.insert(name).inserted { load(folder) }
    return rules[name]
  }

  private static func isFolder(_ path: String) -> Bool {
    guard case .success(let status) = FileSystem.inspect(path, followsLinks: true) else { return false }
    return FileSystem.type(status) == S_IFDIR
  }

  // MARK: Reading

  /// Reads the file of a folder, or learns that there is none.
  ///
  /// Problems of lines are logged, the others hold. A file that is too large, or cannot be read, leaves the patterns that were
  /// read last.
  /// - Returns: why it could not be read, for a next attempt; nil where that makes no difference.
  @discardableResult
  func load(_ folder: String) -> SystemError? {
    let path = folder + "/" + Self.fileName
    let new: IgnoreRules?
    do throws(SystemError) {
      new = IgnoreRules(try AtomicFile.readFile(path, limitBytes: IgnoreRules.limitBytes))
    } catch {
      switch error.errno {
      // A folder of this name, or a device, has no patterns.
      case ENOENT, ENOTDIR, EISDIR, EINVAL: new = nil
      case EFBIG:
        warn("\(path): larger than \(IgnoreRules.limitBytes) bytes, not read")
        return nil
      default:
        warn("\(error), the patterns stay as they were")
        return error
      }
    }
    let old = rules[Name(folder)]
    guard let new else {
      if old != nil { set(nil, of: folder) }
      return nil
    }
    for (line, problem) in new.problems { warn("\(path):\(line): this line is left out: \(problem)") }
    if !new.isSame(as: old) { set(new, of: folder) }
    return nil
  }

  /// The same for a folder of which patterns are known: from a time at which it was not watched.
  func loadIfKnown(_ folder: String) {
    if rules[Name(folder)] != nil { load(folder) }
  }

  private func set(_ new: IgnoreRules?, of folder: String) {
    rules[Name(folder)] = new.flatMap { $0.isEmpty ? nil : $0 }
    changed.append(folder)
  }

  /// Folders whose patterns have changed since the last call.
  func takeChanged() -> [String] {
    defer { changed = [] }
    return changed
  }

  /// Logs a warning once.
  private func warn(_ message: String) {
    if logged.count > 10_000 { logged = [] }
    if logged.insert(message).inserted { logger.warning("\(message)") }
  }
}

import EventLoop
import Glibc
import ServerSettings

/// git, for reading a working copy that others may have written: nothing that its configuration names is run.
@MainActor
struct GitReader {
  private static let outputLimitBytes = 64 << 20
  private static let timeout = Duration.seconds(600)

  private let repository: String
  private let loop: Reactor
  /// The top folder of the working copy.
  let top: String
  private let gitFolder: String
  /// `-c` and settings that take the programs of filters away.
  private var filters: [String] = []

  /// - Throws: `InfoProblem` if the repository is in no working copy of git, or in that of another user.
  init(of repository: String, on loop: Reactor) async throws {
    guard let path = Self.real(repository), let (top, marker) = Self.workingCopy(of: path) else {
      throw InfoProblem("\(repository) is in no working copy of git")
    }
    self.repository = path
    self.loop = loop
    self.top = top
    gitFolder = try Self.gitFolder(marker)
    for folder in [top, marker, gitFolder, try Self.commonFolder(of: gitFolder)] { try Self.checkOwner(of: folder) }
    let names = try await run(
      ["config", "-z", "--name-only", "--get-regexp", #"^filter\."#], emptyStatus: 1)
    filters = try Self.withoutPrograms(names)
  }

  // MARK: The working copy

  /// The top folder of the working copy that a folder is in, and its `.git`.
  private static func workingCopy(of path: String) -> (top: String, marker: String)? {
    var folder = path
    while true {
      let marker = folder == "/" ? "/.git" : "\(folder)/.git"
      if fileExists(marker) { return (folder, marker) }
      guard folder != "/", let slash = folder.lastIndex(of: "/") else { return nil }
      folder = slash == folder.startIndex ? "/" : String(folder[..<slash])
    }
  }

  /// `.git` itself, or the folder that a file of this name tells.
  private static func gitFolder(_ marker: String) throws -> String {
    var status = stat()
    guard stat(marker, &status) == 0 else { throw problem(marker) }
    if status.st_mode & S_IFMT == S_IFDIR { return try real(marker, orThrow: marker) }
    let line = try firstLine(of: marker)
    guard line.hasPrefix("gitdir: ") else { throw InfoProblem("\(marker) names no folder of git") }
    let named = String(line.dropFirst("gitdir: ".count))
    return try real(named.hasPrefix("/") ? named : "\(marker.dropLast(".git".count))\(named)", orThrow: named)
  }

  /// Where the configuration is: another folder if there are several working copies.
  private static func commonFolder(of folder: String) throws -> String {
    guard fileExists("\(folder)/commondir") else { return folder }
    let named = try firstLine(of: "\(folder)/commondir")
    return try real(named.hasPrefix("/") ? named : "\(folder)/\(named)", orThrow: named)
  }

  private static func firstLine(of path: String) throws -> String {
    let bytes = try AtomicFile.readFile(path, limitBytes: Int(PATH_MAX) * 2)
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }

  private static func real(_ path: String) -> String? {
    guard let found = realpath(path, nil) else { return nil }
    defer { free(found) }
    return String(cString: found)
  }

  private static func real(_ path: String, orThrow name: String) throws -> String {
    guard let found = real(path) else { throw problem(name) }
    return found
  }

  private static func problem(_ path: String) -> InfoProblem {
    InfoProblem("\(path): \(String(cString: strerror(errno)))")
  }

  /// What git does depends on files that the owner writes, so another user than root must not own them.
  private static func checkOwner(of path: String) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw problem(path) }
    guard status.st_uid != geteuid(), status.st_uid != 0 else { return }
    let (owner, me) = (Accounts.names(of: status.st_uid, 0).user, Accounts.names(of: geteuid(), 0).user)
    throw InfoProblem("\(path) belongs to \(owner), and git would run as \(me): run it as \(owner)")
  }

  // MARK: Running git

  /// - Parameter names: keys of the configuration, each with a zero byte behind it.
  static func withoutPrograms(_ names: String) throws -> [String] {
    var found: Set<Substring> = []
    for key in names.split(separator: "\0") {
      guard let dot = key.lastIndex(of: "."), key[..<dot].contains(".") else { continue }
      found.insert(key[..<dot])
    }
    return try found.sorted().flatMap { name in
      // -c ends the name at the first one.
      guard !name.contains("="), !name.contains("\n") else {
        throw InfoProblem("the configuration of git has a filter whose name cannot be overridden: \(name)")
      }
      return ["smudge=", "clean=", "process=", "required=false"].flatMap { ["-c", "\(name).\($0)"] }
    }
  }

  /// The output of git.
  ///
  /// - Parameters:
  ///   - folder: where it runs; nil: in the repository.
  ///   - emptyStatus: an exit status that says that there is nothing.
  /// - Throws: `InfoProblem` with what it says.
  func run(
    _ arguments: [String], in folder: String? = nil, _ more: [String: String] = [:], emptyStatus: Int32? = nil
  ) async throws -> String {
    let command =
      ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"] + filters
      + ["-C", folder ?? repository]
    var environment: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "TMPDIR"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    environment.merge(more) { $1 }
    // The folders whose owners were checked, and no others: git itself takes none of root's from another user.
    environment["GIT_DIR"] = gitFolder
    environment["GIT_WORK_TREE"] = top
    // Objects that are missing are not fetched; older versions of git know only the second.
    environment["GIT_NO_LAZY_FETCH"] = "1"
    environment["GIT_ALLOW_PROTOCOL"] = "none"
    environment["GIT_TERMINAL_PROMPT"] = "0"
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    let output = try await ChildProcess.run(
      command + arguments, environment: environment, timeout: Self.timeout, outputLimitBytes: Self.outputLimitBytes,
      on: loop)
    if let emptyStatus, output.status == .exited(emptyStatus) { return "" }
    guard output.status.isSuccess else {
      let text = String(decoding: output.standardError, as: UTF8.self)
      throw InfoProblem("git \(arguments[0]): \(text.isEmpty ? "\(output.status)" : text.trimmedEnd)")
    }
    return String(decoding: output.standardOutput, as: UTF8.self)
  }
}

extension String {
  var trimmedEnd: String {
    var text = self
    while text.last?.isWhitespace ?? false { text.removeLast() }
    return text
  }
}

import EventLoop
import Glibc
import ServerSettings

/// git, for reading a working copy that others may have written: nothing that its configuration names is run.
///
/// Its configuration is read only by commands that run no program of it (rev-parse, ls-files), for it may say something else each
/// time that it is read. Files are written by `write`, with a configuration of its own.
@MainActor
struct GitReader {
  /// How long commands may take that read its configuration, which may include anything: a FIFO, for one.
  static let patience: Duration = .seconds(60)
  /// How long the files of a revision may take to write.
  private static let writingTime: Duration = .seconds(600)
  private static let outputLimitBytes = 64 << 20

  private let patience: Duration
  private let repository: String
  private let loop: Reactor
  /// The top folder of the working copy.
  let top: String
  private let gitFolder: String
  /// Where objects are.
  private let commonFolder: String

  /// - Throws: `InfoProblem` if the repository is in no working copy of git, or in that of another user.
  init(of repository: String, on loop: Reactor, patience: Duration = GitReader.patience) async throws {
    guard let path = Self.real(repository), let (top, marker) = Self.workingCopy(of: path) else {
      throw InfoProblem("\(repository) is in no working copy of git")
    }
    self.repository = path
    self.loop = loop
    self.patience = patience
    self.top = top
    gitFolder = try Self.gitFolder(marker)
    commonFolder = try Self.commonFolder(of: gitFolder)
    for folder in [top, marker, gitFolder, commonFolder, "\(commonFolder)/objects"] { try Self.checkOwner(of: folder) }
    for name in ["config", "config.worktree", "objects/info/alternates"] {
      for file in Set(["\(gitFolder)/\(name)", "\(commonFolder)/\(name)"]).sorted() where fileExists(file) {
        try Self.checkOwner(of: file, isFile: true)
      }
    }
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
  private static func checkOwner(of path: String, isFile: Bool = false) throws {
    var status = stat()
    guard stat(path, &status) == 0 else { throw problem(path) }
    if isFile { try RegularFile.require(mode: status.st_mode, path) }
    guard status.st_uid != geteuid(), status.st_uid != 0 else { return }
    let (owner, me) = (Accounts.names(of: status.st_uid, 0).user, Accounts.names(of: geteuid(), 0).user)
    throw InfoProblem("\(path) belongs to \(owner), and git would run as \(me): run it as \(owner)")
  }

  // MARK: Running git

  /// The output of git.
  ///
  /// - Parameter emptyStatus: an exit status that says that there is nothing.
  /// - Throws: `InfoProblem` with what it says.
  func run(_ arguments: [String], emptyStatus: Int32? = nil) async throws -> String {
    do {
      return try await run(
        arguments, in: repository, ["GIT_DIR": gitFolder, "GIT_WORK_TREE": top], within: patience,
        emptyStatus: emptyStatus)
    } catch ChildProcess.RunError.timedOut {
      throw InfoProblem(
        "git \(arguments[0]) takes longer than \(patience) in \(repository): see whether its configuration includes a FIFO"
      )
    }
  }

  /// Writes the files of a commit below a folder that is not there yet.
  ///
  /// - Parameter commit: its whole number.
  func write(_ commit: String, to folder: String) async throws {
    let own = "\(folder).git"
    let isSHA256 = commit.utf8.count == 64
    let configuration =
      isSHA256
      ? "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectFormat = sha256\n"
      : "[core]\nrepositoryformatversion = 0\n"
    for path in ["", "/objects", "/objects/info", "/refs", "/files"] {
      guard mkdir(own + path, 0o700) == 0 else { throw Self.problem(own + path) }
    }
    for (name, text) in [
      ("config", configuration), ("HEAD", "ref: refs/heads/none\n"),
      // A line in quotes may have anything in it.
      ("objects/info/alternates", Self.quoted("\(commonFolder)/objects") + "\n"),
    ] {
      try AtomicFile.writeTemporary(Array(text.utf8), to: "\(own)/\(name)")
    }
    let environment = [
      "GIT_DIR": own, "GIT_WORK_TREE": "\(own)/files", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
      "GIT_ATTR_NOSYSTEM": "1",
      // Older versions of git read it there, whatever GIT_CONFIG_GLOBAL says.
      "HOME": own, "XDG_CONFIG_HOME": own,
    ]
    for arguments in [["read-tree", commit], ["checkout-index", "--all", "--force", "--prefix=\(folder)/"]] {
      _ = try await run(arguments, in: "\(own)/files", environment, within: Self.writingTime)
    }
  }

  private static func quoted(_ path: String) -> String {
    "\"" + path.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
  }

  private func run(
    _ arguments: [String], in folder: String, _ more: [String: String], within time: Duration, emptyStatus: Int32? = nil
  ) async throws -> String {
    let command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", folder]
    var environment: [String: String] = [:]
    for name in ["PATH", "HOME", "LANG", "TMPDIR"] {
      if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    // GIT_DIR is a folder whose owner was checked, or our own: git itself takes none of root's from another user.
    environment.merge(more) { $1 }
    // Objects that are missing are not fetched; older versions of git know only the second.
    environment["GIT_NO_LAZY_FETCH"] = "1"
    environment["GIT_ALLOW_PROTOCOL"] = "none"
    environment["GIT_TERMINAL_PROMPT"] = "0"
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    let output = try await ChildProcess.run(
      command + arguments, environment: environment, timeout: time, outputLimitBytes: Self.outputLimitBytes,
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

public import EventLoop
public import Glibc

/// `bcfg2-admin backup`: the repository in one compressed archive, by tar.
public struct Backup {
  /// The most that tar may say.
  private static let outputLimitBytes = 1 << 20
  /// Longer than any repository takes, so that a hanging file system does not keep the command for ever.
  private static let timeout: Duration = .seconds(24 * 3600)

  /// Seconds for which an archive that is not complete is left alone.
  private static let leftoverAge = 60

  public struct Problem: Error, CustomStringConvertible {
    public let description: String
  }

  public let repository: String
  /// The archive's name: the local time.
  public let name: String

  public init(of repository: String, at time: time_t = time(nil)) {
    self.repository = repository
    var (time, parts) = (time, tm())
    localtime_r(&time, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(parts.tm_year + 1900)\(two(parts.tm_mon + 1))\(two(parts.tm_mday))"
    name = "\(date)\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec)).tar.gz"
  }

  /// Makes the archive: under a name of its own until it is complete, for its user only.
  ///
  /// What backups have left that were killed is removed.
  ///
  /// - Returns: what tar says of files that changed meanwhile; empty if there was none.
  /// - Throws: `Problem`; nothing is left then.
  public func run(on loop: Reactor) async throws(Problem) -> String {
    // The archive of a name that is a link would hold the link alone.
    guard let real = realpath(repository, nil) else {
      throw Problem(description: "\(repository): \(String(cString: strerror(errno)))")
    }
    defer { free(real) }
    let repository = String(cString: real)
    let path = "\(repository)/\(name)"
    guard !fileExists(path) else { throw Problem(description: "\(path) exists already") }
    let temporary = "\(repository)/.\(name).part"
    let split = repository.lastIndex(of: "/") ?? repository.startIndex
    let parent = String(repository[..<split])
    let base = String(repository[split...].drop { $0 == "/" })
    loop.childQueue.timeLimit = Self.timeout
    let digits = String(repeating: "[0-9]", count: 14)
    let command = [
      "tar", "--create", "--gzip", "--file", "-", "--directory", parent.isEmpty ? "/" : parent, "--anchored",
      "--wildcards", "--exclude", "\(Self.escaped(base))/\(digits).tar.gz", "--exclude",
      "\(Self.escaped(base))/.\(digits).tar.gz.part", "--", base,
    ]
    let file: FileDescriptor
    do throws(SystemError) {
      // New: the name can be guessed, and somebody may have put a link there.
      file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    } catch {
      throw Problem(description: "\(error)")
    }
    // Held as long as the archive is being written: no other backup takes it for a leftover.
    guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
      let problem = Problem(description: "\(temporary): \(String(cString: strerror(errno)))")
      unlink(temporary)
      throw problem
    }
    Self.removeLeftovers(in: repository)
    let duty = EndingDuty { unlink(temporary) }
    defer { withExtendedLifetime(duty) {} }
    do {
      let result = try await ChildProcess.run(
        command, input: [], timeout: Self.timeout, output: file.rawValue, outputLimitBytes: Self.outputLimitBytes,
        on: loop)
      let said = String(decoding: result.standardError, as: UTF8.self)
      // Status 1: files changed while they were read, and the archive has what was read of them.
      guard result.status.code == 0 || result.status.code == 1 else {
        throw Problem(description: "tar failed (\(result.status)): \(said)")
      }
      try AtomicFile.move(temporary, to: path)
      return said
    } catch {
      unlink(temporary)
      if let problem = error as? Problem { throw problem }
      throw Problem(description: "\(error)")
    }
  }

  /// Removes archives that are not complete, and that no backup is writing.
  private static func removeLeftovers(in repository: String) {
    guard let folder = opendir(repository) else { return }
    defer { closedir(folder) }
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      guard isUnfinished(name) else { continue }
      let path = "\(repository)/\(String(decoding: name, as: UTF8.self))"
      // Without waiting; also not a link.
      let raw = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      guard raw >= 0 else { continue }
      defer { close(raw) }
      var status = stat()
      guard fstat(raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
        status.st_mtim.tv_sec < time(nil) - leftoverAge,
        flock(raw, LOCK_EX | LOCK_NB) == 0
      else { continue }
      unlink(path)
    }
  }

  /// Whether a name is like `.20200101000000.tar.gz.part`.
  private static func isUnfinished(_ name: [UInt8]) -> Bool {
    guard name.first == UInt8(ascii: "."), name.count == 1 + 14 + ".tar.gz.part".utf8.count else { return false }
    return name[1...14].allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      && name[15...].elementsEqual(".tar.gz.part".utf8)
  }

  /// A name as a pattern that fits only it.
  private static func escaped(_ name: String) -> String {
    String(name.flatMap { "*?[]\\".contains($0) ? ["\\", $0] : [$0] })
  }
}

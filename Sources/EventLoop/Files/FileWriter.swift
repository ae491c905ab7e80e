import Glibc

/// Writes files durably without blocking the loop: only the task that writes waits for the disk.
///
/// All writes of one iteration begin together at its end. The contents go to temporary files, a part in each iteration.
/// Once they are on disk, and if the paths still hold what was read, the files are renamed into place and the folders
/// synchronized: once for all files that came to a folder meanwhile. Only then `write` returns.
public final class FileWriter {
  /// Files that are open at a time; others wait for their turn.
  public nonisolated static let openLimit = 64

  /// Most bytes that are written of the files of one job in one turn of the loop.
  nonisolated static let turnBytes = 512 << 10

  /// Files that begin together.
  private final class Job {
    enum Kind {
      /// All are replaced, or, but for a rename that fails, none.
      case together
      /// Each for itself.
      case each
      /// Each for itself, and the last one only where all others are replaced.
      case eachThenLast
    }

    let files: [FileWrite]
    let kind: Kind
    let replaced: ([Result<FileVersion, FileWriteError>]) -> Void
    let done: CheckedContinuation<[FileWriteError?], Never>
    /// By the file's place in `files`; nil where it is not open.
    var pending: [PendingFile?]
    /// By the file's place in `files`.
    var failures: [FileWriteError?]
    /// Of those that are in their places.
    var folders: [String?]
    /// Files, then folders, that are not on disk yet.
    var left = 0

    init(
      _ files: [FileWrite], _ kind: Kind, _ replaced: @escaping ([Result<FileVersion, FileWriteError>]) -> Void,
      _ done: CheckedContinuation<[FileWriteError?], Never>
    ) {
      self.files = files
      self.kind = kind
      self.replaced = replaced
      self.done = done
      pending = files.map { _ in nil }
      failures = files.map { _ in nil }
      folders = files.map { _ in nil }
    }

    /// Records that a file cannot be written, which fails all files that are replaced together with it.
    func fail(_ index: Int, _ error: FileWriteError) {
      for other in files.indices where (other == index || kind == .together) && failures[other] == nil {
        failures[other] = error
      }
    }

    /// Removes the temporary files of what has failed; none of them is being synchronized.
    func dropFailed() {
      for index in files.indices where failures[index] != nil { pending[index] = nil }
    }
  }

  /// A folder that has new names.
  private final class Folder {
    let descriptor: FileDescriptor
    /// Jobs whose names are in it, by whether the synchronization that runs began before or after them.
    var current: [Job] = []
    var next: [Job] = []

    init(_ path: String) throws(SystemError) { descriptor = try .open(path, O_RDONLY | O_DIRECTORY) }
  }

  /// Brings files to disk. The default blocks the loop.
  public var synchronizer: any FileSynchronizer = BlockingSynchronizer()

  private unowned let loop: Reactor
  private var waiting: [Job] = []
  private var openFiles = 0
  /// Turns of the loop in which bytes were written.
  private(set) var turns = 0
  private var isBegun = false
  private var folders: [String: Folder] = [:]

  init(on loop: Reactor) { self.loop = loop }

  /// Replaces or creates files. They are on disk when this returns, as after `AtomicFile.write`.
  ///
  /// - Parameter replaced: called when the files are in their places, before anybody else can see them there, with what
  ///   the paths hold now. That is not durable before `write` returns: nothing may be acknowledged by it.
  /// - Throws: as `AtomicFile.write`.
  public func write(
    _ files: [FileWrite], replaced: @escaping ([FileVersion]) -> Void = { _ in }
  ) async throws(FileWriteError) {
    try AtomicFile.requireWritable(files)
    if files.isEmpty { return }
    let failures = await run(files, .together) { results in replaced(results.compactMap { try? $0.get() }) }
    for case let failure? in failures { throw failure }
  }

  /// Replaces or creates files, each for itself: one that cannot be written refuses no other one. They wait for the disk
  /// together.
  ///
  /// - Parameters:
  ///   - last: a file that is replaced only where all others are.
  ///   - replaced: called when files are in their places, before anybody else can see them there, with what each path
  ///     holds now, `last` behind the others; not called where none is. See `write(_:replaced:)`.
  /// - Returns: why a file is not on disk, `last` behind the others; nil where it is. A file that `replaced` has named is
  ///   in its place all the same, perhaps not for good.
  public func writeEach(
    _ files: [FileWrite], last: FileWrite? = nil,
    replaced: @escaping ([Result<FileVersion, FileWriteError>]) -> Void
  ) async -> [FileWriteError?] {
    if files.isEmpty, last == nil { return [] }
    return await run(last.map { files + [$0] } ?? files, last == nil ? .each : .eachThenLast, replaced)
  }

  private func run(
    _ files: [FileWrite], _ kind: Job.Kind, _ replaced: @escaping ([Result<FileVersion, FileWriteError>]) -> Void
  ) async -> [FileWriteError?] {
    await withCheckedContinuation { done in
      waiting.append(Job(files, kind, replaced, done))
      beginLater()
    }
  }

  /// As `write(_:replaced:)`, of one file.
  public func write(
    _ file: FileWrite, replaced: @escaping (FileVersion) -> Void = { _ in }
  ) async throws(FileWriteError) {
    try await write([file]) { replaced($0[0]) }
  }

  /// Replaces or creates a file whatever it holds by then: the contents do not depend on the old ones.
  ///
  /// - Parameters:
  ///   - limitBytes: of what the path holds.
  ///   - followsLinks: whether a path that is a symbolic link is followed; otherwise it is refused with ELOOP.
  ///   - replaced: as of `write`.
  /// - Throws: as `write`; `.changed` where it changes again and again.
  public func overwrite(
    _ path: String, with bytes: [UInt8], mode: FileWrite.Mode, limitBytes: Int, followsLinks: Bool = true,
    replaced: @escaping () -> Void = {}
  ) async throws(FileWriteError) {
    for attempt in 1... {
      let version = try FileWriteError.wrap { () throws(SystemError) in
        try AtomicFile.version(of: path, limitBytes: limitBytes)
      }
      do throws(FileWriteError) {
        let file = FileWrite(bytes, to: path, replacing: version, mode: mode, followsLinks: followsLinks)
        return try await write(file) { _ in replaced() }
      } catch {
        guard case .changed = error, attempt < Self.attemptLimit else { throw error }
      }
    }
  }

  /// Attempts to overwrite a path that somebody else keeps changing.
  public nonisolated static let attemptLimit = 5

  /// Ends the writes that wait for the disk; the loop is about to end.
  func close() {
    synchronizer.close()
    let jobs = waiting
    waiting = []
    for job in jobs {
      for index in job.files.indices { job.fail(index, Self.canceled) }
      job.done.resume(returning: job.failures)
    }
  }

  private static let canceled = FileWriteError.system(SystemError(call: "write", errno: ECANCELED))

  // MARK: Files

  private func begin() {
    isBegun = false
    while let job = waiting.first, openFiles == 0 || openFiles + job.files.count <= Self.openLimit {
      waiting.removeFirst()
      begin(job)
    }
  }

  private func beginLater() {
    guard !waiting.isEmpty, !isBegun else { return }
    isBegun = true
    loop.atEndOfIteration { [weak self] in self?.begin() }
  }

  private func begin(_ job: Job) {
    openFiles += job.files.count
    for (index, file) in job.files.enumerated() where job.failures[index] == nil {
      do throws(FileWriteError) {
        try AtomicFile.requireWritable([file])
        job.pending[index] = try PendingFile(file)
      } catch {
        job.fail(index, error)
      }
    }
    job.dropFailed()
    writePart(of: job, 0)
  }

  /// Writes as much as one turn may, and the rest in later turns.
  private func writePart(of job: Job, _ first: Int) {
    var index = first
    var left = Self.turnBytes
    while index < job.files.count, left > 0 {
      guard let file = job.pending[index] else {
        index += 1
        continue
      }
      do throws(FileWriteError) {
        left -= try file.write(limitBytes: left)
        if file.isWritten { index += 1 }
      } catch {
        job.fail(index, error)
        job.dropFailed()
      }
    }
    if job.pending.contains(where: { $0 != nil }) { turns += 1 }
    if index < job.files.count {
      loop.post { [weak self] in self?.writePart(of: job, index) }
    } else {
      synchronize(job)
    }
  }

  private func synchronize(_ job: Job) {
    let indices = job.files.indices.filter { job.pending[$0] != nil }
    job.left = indices.count
    if indices.isEmpty { return replace(job) }
    for index in indices {
      guard let file = job.pending[index] else { continue }
      synchronizer.synchronize(file.descriptor) { [weak self] code in
        if code != 0 { job.fail(index, .system(SystemError(call: "fsync", errno: code, detail: file.target))) }
        job.left -= 1
        if job.left == 0 { self?.replace(job) }
      }
    }
  }

  private func replace(_ job: Job) {
    job.dropFailed()
    let results = replaceFiles(of: job)
    job.pending = []
    openFiles -= job.files.count
    beginLater()
    let folders = Set(job.folders.compactMap { $0 })
    if folders.isEmpty {
      job.done.resume(returning: job.failures)
      return
    }
    job.replaced(results)
    job.left = folders.count
    for folder in folders { synchronize(folder, for: job) }
  }

  private func replaceFiles(of job: Job) -> [Result<FileVersion, FileWriteError>] {
    var versions: [FileVersion?] = job.files.map { _ in nil }
    do throws(FileWriteError) {
      let files = job.pending.compactMap { $0 }
      if job.kind == .together, !files.isEmpty {
        versions = try PendingFile.replace(files)
        job.folders = files.map(\.folder)
      }
    } catch {
      job.fail(0, error)
    }
    for (index, file) in job.pending.enumerated() where job.kind != .together {
      guard let file else { continue }
      if job.kind == .eachThenLast, index == job.files.count - 1, job.failures.contains(where: { $0 != nil }) {
        job.fail(index, Self.canceled)
        continue
      }
      do throws(FileWriteError) {
        versions[index] = try PendingFile.replace([file])[0]
        job.folders[index] = file.folder
      } catch {
        job.fail(index, error)
      }
    }
    return zip(versions, job.failures).map { version, failure in
      version.map { .success($0) } ?? .failure(failure ?? Self.canceled)
    }
  }

  // MARK: Folders

  private func synchronize(_ path: String, for job: Job) {
    if let folder = folders[path] {
      folder.next.append(job)
      return
    }
    let folder: Folder
    do throws(SystemError) {
      folder = try Folder(path)
    } catch {
      return folderIsDone(path, of: job, .system(error))
    }
    folder.next = [job]
    folders[path] = folder
    // With the files that come to it in this iteration.
    loop.atEndOfIteration { [weak self] in self?.synchronize(folder, path) }
  }

  private func synchronize(_ folder: Folder, _ path: String) {
    folder.current = folder.next
    folder.next = []
    synchronizer.synchronize(folder.descriptor.rawValue) { [weak self] code in
      guard let self else { return }
      let jobs = folder.current
      folder.current = []
      let failure = code == 0 ? nil : FileWriteError.system(SystemError(call: "fsync", errno: code, detail: path))
      for job in jobs { folderIsDone(path, of: job, failure) }
      if folder.next.isEmpty { folders[path] = nil } else { synchronize(folder, path) }
    }
  }

  private func folderIsDone(_ path: String, of job: Job, _ failure: FileWriteError?) {
    if let failure {
      for index in job.files.indices where job.folders[index] == path { job.fail(index, failure) }
    }
    job.left -= 1
    if job.left == 0 { job.done.resume(returning: job.failures) }
  }
}

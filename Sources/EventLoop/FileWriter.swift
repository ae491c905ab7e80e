import Glibc

/// Writes files durably while the loop goes on with others: whoever has to wait for the disk waits alone.
///
/// What is written in one iteration begins together at its end. The contents go to temporary files, a part in each turn
/// of the loop; when the disk has
/// them, and the paths still hold what was read, they take their places, and the folders are synchronized: once for all
/// files that came to a folder meanwhile. Only then `write` returns.
public final class FileWriter {
  /// Files that are open at a time; others wait for their turn.
  public nonisolated static let openLimit = 64

  /// Most bytes that are written of the files of one job in one turn of the loop.
  nonisolated static let turnBytes = 512 << 10

  /// Files that are written together.
  private final class Job {
    let files: [FileWrite]
    let replaced: ([FileVersion]) -> Void
    let done: CheckedContinuation<Result<Void, FileWriteError>, Never>
    var pending: [PendingFile] = []
    /// Files, then folders, that are not on disk yet.
    var left = 0
    var failure: FileWriteError?

    init(
      _ files: [FileWrite], _ replaced: @escaping ([FileVersion]) -> Void,
      _ done: CheckedContinuation<Result<Void, FileWriteError>, Never>
    ) {
      self.files = files
      self.replaced = replaced
      self.done = done
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

  /// How files come to disk. On the loop, until somebody sets something better.
  public var synchronizer: any FileSynchronizer = BlockingSynchronizer()

  private unowned let loop: EventLoop
  private var waiting: [Job] = []
  private var openFiles = 0
  /// Turns of the loop in which bytes were written.
  private(set) var turns = 0
  private var isBegun = false
  private var folders: [String: Folder] = [:]

  init(on loop: EventLoop) { self.loop = loop }

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
    let result = await withCheckedContinuation { done in
      waiting.append(Job(files, replaced, done))
      beginLater()
    }
    try result.get()
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
  ///   - replaced: as of `write`.
  /// - Throws: as `write`; `.changed` where it changes again and again.
  public func overwrite(
    _ path: String, with bytes: [UInt8], mode: FileWrite.Mode, limitBytes: Int, replaced: @escaping () -> Void = {}
  ) async throws(FileWriteError) {
    for attempt in 1... {
      let version = try FileWriteError.wrap { () throws(SystemError) in
        try AtomicFile.version(of: path, limitBytes: limitBytes)
      }
      do throws(FileWriteError) {
        return try await write(FileWrite(bytes, to: path, replacing: version, mode: mode)) { _ in replaced() }
      } catch {
        guard case .changed = error, attempt < Self.attemptLimit else { throw error }
      }
    }
  }

  /// How often contents are made again for a path that somebody else writes meanwhile.
  public nonisolated static let attemptLimit = 5

  /// Ends what waits for the disk; the loop is about to be gone.
  func close() {
    synchronizer.close()
    let jobs = waiting
    waiting = []
    for job in jobs { finish(job, .system(SystemError(call: "write", errno: ECANCELED))) }
  }

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
    do throws(FileWriteError) {
      for file in job.files { job.pending.append(try PendingFile(file)) }
    } catch {
      job.pending = []
      return finish(job, error)
    }
    openFiles += job.pending.count
    writePart(of: job, 0)
  }

  /// Writes what a turn may take, the rest in turns to come.
  private func writePart(of job: Job, _ first: Int) {
    var index = first
    var left = Self.turnBytes
    do throws(FileWriteError) {
      while index < job.pending.count, left > 0 {
        left -= try job.pending[index].write(limitBytes: left)
        if job.pending[index].isWritten { index += 1 }
      }
    } catch {
      openFiles -= job.pending.count
      job.pending = []
      beginLater()
      return finish(job, error)
    }
    turns += 1
    if index < job.pending.count {
      loop.post { [weak self] in self?.writePart(of: job, index) }
    } else {
      synchronize(job)
    }
  }

  private func synchronize(_ job: Job) {
    job.left = job.pending.count
    for file in job.pending {
      synchronizer.synchronize(file.descriptor) { [weak self] code in
        if code != 0 { job.failure = .system(SystemError(call: "fsync", errno: code, detail: file.target)) }
        job.left -= 1
        if job.left == 0 { self?.replace(job) }
      }
    }
  }

  private func replace(_ job: Job) {
    let pending = job.pending
    job.pending = []
    let folders = Set(pending.map(\.folder))
    defer {
      openFiles -= pending.count
      beginLater()
    }
    if let failure = job.failure { return finish(job, failure) }
    do throws(FileWriteError) {
      job.replaced(try PendingFile.replace(pending))
    } catch {
      return finish(job, error)
    }
    job.left = folders.count
    for folder in folders { synchronize(folder, for: job) }
  }

  private func finish(_ job: Job, _ failure: FileWriteError?) {
    job.done.resume(returning: failure.map { .failure($0) } ?? .success(()))
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
      return folderIsDone(job, .system(error))
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
      for job in jobs { folderIsDone(job, failure) }
      if folder.next.isEmpty { folders[path] = nil } else { synchronize(folder, path) }
    }
  }

  private func folderIsDone(_ job: Job, _ failure: FileWriteError?) {
    if let failure { job.failure = failure }
    job.left -= 1
    if job.left == 0 { finish(job, job.failure) }
  }
}

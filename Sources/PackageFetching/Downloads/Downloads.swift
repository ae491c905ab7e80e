import EventLoop
import Glibc

/// What another file says that a file has to be.
nonisolated struct ExpectedFile: Hashable, Sendable {
  let algorithm: Digest.Algorithm
  /// Lower-case hexadecimal digits.
  let checksum: String
  let size: Int?
  /// Who says so, for messages: `InRelease`, `repomd.xml`.
  let source: String
}

/// A file of a mirror that is here.
final class Download {
  let name: String
  /// Where it came from, for messages.
  let url: String
  /// False where the mirror has the file of last time.
  let isNew: Bool
  let sha256: String
  let size: Int
  /// The file's place; it changes once the file is kept.
  fileprivate(set) var path: String
  fileprivate let validators: Validators

  fileprivate init(
    name: String, url: String, isNew: Bool, sha256: String, size: Int, path: String, validators: Validators
  ) {
    self.name = name
    self.url = url
    self.isNew = isNew
    self.sha256 = sha256
    self.size = size
    self.path = path
    self.validators = validators
  }
}

/// The folder of downloaded files: what each URL had last, as the mirror gave it.
///
/// `NAME` is the last file that passed its checks; `partial/NAME` what is being transferred, or was when a transfer broke;
/// `state/NAME` what is known of both. A new file takes the place of the old one by `keep`, after its checks.
final class Downloads {
  let folder: String
  private let transfers: Transfers
  /// Every file is fetched once in a run, whoever asks for it.
  private var asked: [Question: Task<Result<Download, FetchError>, Never>] = [:]
  /// The names that were asked for.
  private(set) var used: Set<String> = []

  private struct Question: Hashable {
    let name: String
    /// Without user and password.
    let url: String
    let expected: ExpectedFile?
  }

  var options: FetchOptions { transfers.options }

  /// Makes the folder where it is missing.
  init(folder: String, transfers: Transfers) throws(SystemError) {
    self.folder = folder
    self.transfers = transfers
    for path in [folder, folder + "/partial", folder + "/state"] { try makeFolders(path) }
  }

  // MARK: Fetching

  /// Gets a file: the one that is here if it is the expected one, or if the mirror says that it has not changed; or else the
  /// mirror's.
  ///
  /// - Parameters:
  ///   - url: the file's ordinary URL, by which it is kept.
  ///   - place: where it is fetched from, if elsewhere (apt's by-hash).
  ///   - isAskedAgain: true to fetch it again although this run has done so.
  ///   - onRequest: is called where the mirror is asked.
  /// - Throws: `.mismatch` where it is not as expected.
  func fetch(
    _ url: SourceURL, from place: SourceURL? = nil, expecting expected: ExpectedFile? = nil,
    limitBytes: Int? = nil, isAskedAgain: Bool = false, progress: TransferProgress?,
    onRequest: @escaping () -> Void = {}
  ) async throws(FetchError) -> Download {
    let question = Question(name: url.fileName, url: url.description, expected: expected)
    used.insert(question.name)
    let task: Task<Result<Download, FetchError>, Never>
    if let running = asked[question], !isAskedAgain {
      task = running
    } else {
      task = Task {
        do throws(FetchError) {
          return .success(
            try await load(
              question, from: place ?? url, limitBytes: limitBytes ?? options.limitBytes, progress: progress,
              onRequest: onRequest))
        } catch {
          return .failure(error)
        }
      }
      asked[question] = task
    }
    let result = await task.value
    // Another place may have what this one has not.
    if case .failure(let error) = result, error.kind == .missing { asked[question] = nil }
    return try result.get()
  }

  private func load(
    _ question: Question, from place: SourceURL, limitBytes: Int, progress: TransferProgress?,
    onRequest: () -> Void
  ) async throws(FetchError) -> Download {
    let name = question.name
    var state = DownloadState(path: statePath(name))
    let current = good(name, url: question.url, state)
    if let expected = question.expected, let current, try isExpected(current, expected) { return current }
    var limit = limitBytes
    if let expected = question.expected, let size = expected.size {
      guard size <= limitBytes else {
        throw FetchError(.other, "\(place): \(expected.source) gives a size of \(size) bytes, more than \(limitBytes)")
      }
      limit = size
    }
    var request = TransferRequest(
      url: place, path: partialPath(name),
      // A process that was ended leaves bytes without a state; the checksum tells whether they are right.
      partial: state.partial ?? (question.expected == nil ? nil : Validators()),
      isContinuedUnasked: question.expected != nil, limitBytes: limit)
    // What is not as expected has to be sent, even if the server thinks that it has not changed.
    if question.expected == nil, current != nil { request.known = state.validators }
    onRequest()
    while true {
      let isContinued = request.partial != nil
      switch await transfers.transfer(request, progress: progress) {
      case .notModified:
        // What is here is not what was expected: nothing else than the file can make that good.
        guard question.expected == nil, let current else {
          throw FetchError(.other, "\(place): answered 304, although nothing was asked to be new")
        }
        return current
      case .failed(let failure):
        if case .tooLarge = failure.reason, let expected = question.expected, let size = expected.size, size == limit {
          discard(name, &state)
          if isContinued {
            request.partial = nil
            continue
          }
          throw mismatch(place, "more than the \(size) bytes that \(expected.source) gives", name)
        }
        rememberPartial(failure, name, &state)
        throw FetchError(failure)
      case .stored(let stored):
        do throws(FetchError) {
          let download = try check(stored, place, question)
          if state.partial != nil {
            state.partial = nil
            save(state, name)
          }
          return download
        } catch {
          discard(name, &state)
          // A checksum may be wrong because the beginning was that of an older file.
          guard error.kind == .mismatch, isContinued else { throw error }
          request.partial = nil
        }
      }
    }
  }

  private func check(
    _ stored: TransferOutcome.Stored, _ place: SourceURL, _ question: Question
  ) throws(FetchError) -> Download {
    let path = partialPath(question.name)
    if let expected = question.expected {
      if let size = expected.size, size != stored.bytes {
        throw mismatch(place, "\(stored.bytes) bytes, \(expected.source) gives \(size)", question.name)
      }
      let found = try digest(path, expected.algorithm)
      guard found == expected.checksum else {
        throw mismatch(
          place,
          "\(expected.algorithm.rawValue) is \(found), \(expected.source) gives \(expected.checksum)", question.name)
      }
    }
    return Download(
      name: question.name, url: question.url, isNew: true, sha256: try digest(path, .sha256), size: stored.bytes,
      path: path,
      validators: stored.validators)
  }

  private func mismatch(_ place: SourceURL, _ text: String, _ name: String) -> FetchError {
    FetchError(.mismatch, "\(place): \(text)\(Self.isHTML(partialPath(name)) ? "; it is an HTML page" : "")")
  }

  private func digest(_ path: String, _ algorithm: Digest.Algorithm) throws(FetchError) -> String {
    do throws(SystemError) { return try Digest.hexadecimal(ofFile: path, algorithm) } catch { throw FetchError(error) }
  }

  // MARK: Files

  private func statePath(_ name: String) -> String { "\(folder)/state/\(name)" }
  private func partialPath(_ name: String) -> String { "\(folder)/partial/\(name)" }

  /// The last file that passed its checks.
  func lastGood(_ name: String) -> Download? { good(name, url: name, DownloadState(path: statePath(name))) }

  private func good(_ name: String, url: String, _ state: DownloadState) -> Download? {
    let path = "\(folder)/\(name)"
    guard let sha256 = state.sha256, let fingerprint = state.fingerprint, let size = Files.size(path),
      Files.fingerprint(path) == fingerprint
    else { return nil }
    return Download(
      name: name, url: url, isNew: false, sha256: sha256, size: size, path: path, validators: state.validators)
  }

  private func isExpected(_ download: Download, _ expected: ExpectedFile) throws(FetchError) -> Bool {
    if let size = expected.size, size != download.size { return false }
    if expected.algorithm == .sha256 { return download.sha256 == expected.checksum }
    return try digest(download.path, expected.algorithm) == expected.checksum
  }

  /// Gives a new file the place of the old one.
  func keep(_ download: Download) throws(FetchError) {
    let target = "\(folder)/\(download.name)"
    guard download.path != target else { return }
    do throws(SystemError) {
      try Files.move(download.path, to: target)
      download.path = target
      var state = DownloadState()
      state.validators = download.validators
      state.sha256 = download.sha256
      state.fingerprint = Files.fingerprint(target)
      try Files.replace(statePath(download.name), with: state.bytes)
    } catch {
      throw FetchError(error)
    }
  }

  private func rememberPartial(_ failure: TransferFailure, _ name: String, _ state: inout DownloadState) {
    if failure.received > 0, (Files.size(partialPath(name)) ?? 0) > 0 {
      state.partial = failure.validators
      save(state, name)
    } else if state.partial != nil || Files.size(partialPath(name)) != nil {
      discard(name, &state)
    }
  }

  private func discard(_ name: String, _ state: inout DownloadState) {
    unlink(partialPath(name))
    guard state.partial != nil else { return }
    state.partial = nil
    save(state, name)
  }

  /// A state that cannot be written costs a transfer next time, no more.
  private func save(_ state: DownloadState, _ name: String) { try? Files.replace(statePath(name), with: state.bytes) }

  /// Removes what no source needs: files here of names that are not among `names`. Folders and links stay.
  func removeOthers(than names: Set<String>) {
    for sub in ["", "/partial", "/state"] {
      for name in Files.names(in: folder + sub) where !names.contains(name) {
        var status = stat()
        let path = "\(folder)\(sub)/\(name)"
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(path) }
      }
    }
  }

  static func isHTML(_ path: String) -> Bool {
    guard let file = try? FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW) else { return false }
    var start = [UInt8](repeating: 0, count: 512)
    let count = read(file.rawValue, &start, start.count)
    guard count > 0 else { return false }
    let text = String(decoding: start[..<count], as: UTF8.self).lowercased()
    return text.contains("<!doctype html") || text.contains("<html")
  }
}

import EventLoop
import Glibc
import PackageFormats
import PackageSources

/// What the fetching of one source works with.
struct SourceContext {
  let source: PackageSource
  let downloads: Downloads
  let keys: SourceKeys
  let progress: TransferProgress
  let report: SourceReport
  /// What had a right signature in earlier refreshes, as in `SourceStatus`, and the file that says so.
  let signedBefore: [String: Int]
  let statusPath: String

  var options: FetchOptions { downloads.options }
  var isSignatureRequired: Bool { options.verification == .required }

  /// Fetches a file: see `Downloads.fetch`.
  ///
  /// - Parameter isProbe: true for what Bcfg2 does not ask for: no line of the log says so.
  func fetch(
    _ url: SourceURL, from place: SourceURL? = nil, expecting expected: ExpectedFile? = nil, limitBytes: Int? = nil,
    isAskedAgain: Bool = false, isProbe: Bool = false
  ) async throws(FetchError) -> Download {
    // Also where it fails: what has come is continued next time.
    report.files.insert(url.fileName)
    return try await downloads.fetch(
      url, from: place, expecting: expected, limitBytes: limitBytes, isAskedAgain: isAskedAgain, progress: progress
    ) { [report] in report.log(isProbe ? .debug : .info, "Packages: Updating \(url)") }
  }

  /// Fetches a file that need not be there.
  ///
  /// - Returns: nil where the mirror has none.
  func fetchIfThere(
    _ url: SourceURL, limitBytes: Int, isAskedAgain: Bool = false
  ) async throws(FetchError) -> Download? {
    do throws(FetchError) {
      return try await fetch(url, limitBytes: limitBytes, isAskedAgain: isAskedAgain, isProbe: true)
    } catch {
      if error.kind == .missing { return nil }
      throw error
    }
  }

  /// Has the files of each part fetched, all at once; in the order of the parts. Of a rawurl of apt, pacman or pkgng Bcfg2 reads one
  /// file, whose packages belong to the first architecture: the other parts have none.
  func eachPart(_ files: @escaping @MainActor (SourcePart) async -> PartFiles) async -> [PartFiles] {
    let parts = source.parts
    let count = source.rawURL.isEmpty || source.kind == .yum ? parts.count : min(parts.count, 1)
    let tasks = parts[..<count].map { part in Task { await files(part) } }
    var result: [PartFiles] = []
    for task in tasks { result.append(await task.value) }
    return result + parts[count...].map { PartFiles(part: $0, state: .files(PartInput(files: [:]))) }
  }

  /// Reads a whole file of those that are small.
  func read(_ path: String, limitBytes: Int) throws(FetchError) -> [UInt8] {
    do throws(SystemError) {
      return try RegularFile.read(path, limitBytes: limitBytes)
    } catch {
      throw FetchError(error)
    }
  }

  /// Says what a missing signature means: an error where signatures are required, nothing otherwise.
  func requireNoSignature(_ text: @autoclosure () -> String) throws(FetchError) {
    if isSignatureRequired { throw FetchError(.signature, text() + ", and [packages] verify is required") }
  }

  /// Says what it means that something has no signature: an error too where it had one before, since whoever is between can
  /// take a signature away.
  ///
  /// - Parameter place: what `signedBefore` knows it by.
  func acceptUnsigned(_ place: SourceURL, _ text: @autoclosure () -> String) throws(FetchError) {
    try requireNoSignature(text())
    guard signedBefore[place.description] != nil else { return }
    throw FetchError(
      .signature, "\(text()), but it was signed before; if that is right, remove \(statusPath) to have it taken")
  }

  /// Runs a check of a signature. One that cannot be made is an error only where signatures are required.
  ///
  /// - Parameter place: what `signedBefore` knows it by.
  func checkSignature<Value>(
    of url: SourceURL, at place: SourceURL, _ body: (Signature) throws(Signature.Failure) -> Value
  ) throws(FetchError) -> Value? {
    guard let signature = try keys.signature() else {
      try acceptUnsigned(place, "\(url): the source has no usable GPGKey")
      if !keys.isEmpty {
        report.log(.warning, "Packages: the signature of \(url) is not checked: no GPGKey of the source can be used")
      }
      return nil
    }
    do throws(Signature.Failure) {
      let value = try body(signature)
      report.signed[place.description] = 0
      return value
    } catch {
      switch error {
      case .wrong: throw FetchError(.signature, "\(url): \(error)")
      case .unknownKey:
        // The keys of a yum source are those of its packages; the repository may be signed by another.
        guard source.kind == .yum else { throw FetchError(.signature, "\(url): \(error)") }
        try acceptUnsigned(place, "\(url): the signature cannot be checked: \(error)")
        report.log(.warning, "Packages: the signature of \(url) is not checked: \(error)")
        return nil
      case .notChecked:
        try requireNoSignature("\(url): the signature cannot be checked: \(error)")
        report.log(.warning, "Packages: the signature of \(url) is not checked: \(error)")
        return nil
      }
    }
  }
}

/// What happened to one source, as it happens.
final class SourceReport {
  /// Names of the downloads that the source needs.
  var files: Set<String> = []
  /// What had a right signature, as in `SourceStatus`.
  var signed: [String: Int] = [:]
  private let sink: (RefreshEvent.Level, String) -> Void

  init(_ sink: @escaping (RefreshEvent.Level, String) -> Void) { self.sink = sink }

  func log(_ level: RefreshEvent.Level, _ text: String) { sink(level, text) }
}

/// The files of one repository of a source, or why they cannot be had.
struct PartFiles {
  enum State {
    case files(PartInput)
    case failed(FetchError)
  }

  let part: SourcePart
  var state: State
  /// True where Bcfg2 goes on with the other parts if this one cannot be had.
  var failsAlone = false
}

/// The files that one repository is read from.
struct PartInput {
  enum Role: String, CaseIterable {
    /// Packages of apt, the database of pacman, packagesite of pkgng, primary of yum.
    case packages
    case fileLists, groups, modules
  }

  var files: [Role: Download]
  /// When the mirror made it, in seconds since 1970; 0 if it does not say.
  var made: UInt32 = 0
  /// True where the files are those of an earlier time.
  var isKept = false
}

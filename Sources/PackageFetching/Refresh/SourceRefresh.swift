import EventLoop
import Glibc
import PackageFormats
import PackageSources

/// The refresh of one source: fetches what is new, and makes its index anew if something is.
final class SourceRefresh {
  let source: PackageSource
  let progress = TransferProgress()
  private let cache: PackageCache
  private let downloads: Downloads
  private let acceptsMissingParts: Bool
  private let report: SourceReport
  private let onEvent: (RefreshEvent) -> Void
  private var problems: [String] = []

  init(
    _ source: PackageSource, cache: PackageCache, downloads: Downloads, acceptsMissingParts: Bool,
    onEvent: @escaping (RefreshEvent) -> Void
  ) {
    self.source = source
    self.cache = cache
    self.downloads = downloads
    self.acceptsMissingParts = acceptsMissingParts
    self.onEvent = onEvent
    report = SourceReport { onEvent(.log($0, $1)) }
  }

  private var title: String { source.displayName }

  /// The source in Bcfg2's words, for which administrators search the log: `AptSource at http://deb.example.com/debian/`.
  private var bcfg2Title: String {
    let kind = source.kind.rawValue
    let name = kind.prefix(1).uppercased() + kind.dropFirst() + "Source"
    return source.displayURL.isEmpty ? name : "\(name) at \(source.displayURL)"
  }

  // MARK: The run

  func run() async -> RefreshResult {
    let start = ContinuousClock.now
    let old = cache.index(source)
    let outcome: RefreshResult.Outcome
    do throws(FetchError) {
      let keys = try makeKeys()
      await keys.fetch(downloads: downloads, report: report)
      let parts = try await fetch(
        SourceContext(
          source: source, downloads: downloads, keys: keys, progress: progress, report: report,
          signedBefore: cache.status(source)?.signed ?? [:], statusPath: cache.statusPath(source)))
      outcome = try index(parts, old, start)
    } catch {
      problems.append(error.description)
      outcome = old.map { .kept(made: Int($0.time)) } ?? .failed
    }
    let result = RefreshResult(
      name: source.indexFileName, source: title, outcome: outcome, problems: problems, transferred: progress.bytes)
    tell(result)
    save(result)
    return result
  }

  /// Fetches the keys alone, which clients need although the index is there.
  func fetchKeys() async {
    do throws(FetchError) {
      await (try makeKeys()).fetch(downloads: downloads, report: report)
    } catch {
      report.log(.error, "Packages: the keys of \(title) cannot be kept: \(error)")
    }
  }

  private func makeKeys() throws(FetchError) -> SourceKeys {
    do throws(SystemError) {
      return try SourceKeys(
        source, folder: cache.keys, temporaryFolder: downloads.folder + "/partial", name: source.indexFileName)
    } catch {
      throw FetchError(error)
    }
  }

  private func fetch(_ context: SourceContext) async throws(FetchError) -> [PartFiles] {
    switch source.kind {
    case .apt: try await AptSource(context).fetch()
    case .yum: await YumSource(context: context).fetch()
    case .pac, .pkgng: try await PlainSource(context: context).fetch()
    }
  }

  // MARK: The index

  private func index(
    _ parts: [PartFiles], _ old: PackageIndex?, _ start: ContinuousClock.Instant
  ) throws(FetchError) -> RefreshResult.Outcome {
    let oldInputs = old?.fact(IndexInputs.fact).flatMap { IndexInputs(fact: $0) }
    var choice = PartChoice(parts, oldInputs, downloads)
    while true {
      problems = choice.problems
      try requireEnough(choice)
      let inputs = choice.inputs
      if let old, let oldInputs, inputs == oldInputs || (!choice.problems.isEmpty && inputs.hasSameFiles(as: oldInputs))
      {
        return choice.problems.isEmpty ? .unchanged(made: Int(old.time)) : .kept(made: Int(old.time))
      }
      do throws(IndexMakingError) {
        return try make(choice, inputs, start)
      } catch {
        switch error {
        case .part(let number, let error): choice.reject(number, FetchError(.other, error.description))
        case .whole(let error): throw error
        }
      }
    }
  }

  /// Throws where parts are missing and the source counts as a whole: for Bcfg2 a source of which a file is missing is empty,
  /// except that a yum repository without a repomd.xml costs itself alone.
  private func requireEnough(_ choice: PartChoice) throws(FetchError) {
    let missing = choice.missing
    guard let first = missing.first else { return }
    let isPartial =
      missing.count < choice.parts.count && (acceptsMissingParts || missing.allSatisfy { $0.failsAlone })
    guard !isPartial else { return }
    // The caller adds the error to the others.
    problems.removeFirst()
    throw first.error
  }

  private func make(
    _ choice: PartChoice, _ inputs: IndexInputs, _ start: ContinuousClock.Instant
  ) throws(IndexMakingError) -> RefreshResult.Outcome {
    let made = try IndexMaking.index(of: source, choice, inputs)
    do throws(FetchError) {
      for download in choice.downloads { try downloads.keep(download) }
      do throws(SystemError) { try Files.replace(cache.indexPath(source), with: made.bytes) } catch {
        throw FetchError(error)
      }
    } catch {
      throw .whole(error)
    }
    if !choice.missing.isEmpty { return .partial(packages: made.packages, missing: choice.missing.count) }
    if !choice.problems.isEmpty { return .kept(made: Int(time(nil))) }
    return .made(
      packages: made.packages, parts: choice.parts.count, bytes: made.bytes.count, duration: .now - start)
  }

  // MARK: Telling

  private func tell(_ result: RefreshResult) {
    let now = time(nil)
    switch result.outcome {
    case .made(let packages, _, _, let duration):
      verdict(
        .info,
        "Packages: indexed \(packages) packages of \(title) in \(duration.inSeconds.formatted) s")
    case .unchanged: verdict(.debug, "Packages: \(title) is unchanged")
    case .kept(let made):
      for problem in problems { verdict(.error, "Packages: \(problem)") }
      verdict(
        .error, "Packages: \(title) keeps its packages of \(UTC.text(made)), \(UTC.age(now - made)) old")
    case .partial(_, let missing):
      for problem in problems { verdict(.error, "Packages: Failed to load data for \(bcfg2Title): \(problem)") }
      verdict(.error, "Packages: \(title) is without \(missing) of its parts. Some Packages will be missing")
    case .failed:
      for problem in problems { verdict(.error, "Packages: Failed to load data for \(bcfg2Title): \(problem)") }
      verdict(.error, "Packages: \(title) has nothing. Some Packages will be missing")
    }
  }

  private func verdict(_ level: RefreshEvent.Level, _ text: String) { onEvent(.verdict(level, text)) }

  private func save(_ result: RefreshResult) {
    var status = SourceStatus()
    status.time = time(nil)
    status.isGood = result.isGood
    status.problems = result.problems
    status.files = report.files
    let before = cache.status(source)
    if !result.isGood { status.files.formUnion(before?.files ?? []) }
    status.signed = (before?.signed ?? [:]).merging(report.signed) { max($0, $1) }
    do throws(SystemError) {
      try Files.replace(cache.statusPath(source), with: status.bytes)
    } catch {
      report.log(.error, "Packages: the state of \(title) cannot be written: \(error)")
    }
  }
}

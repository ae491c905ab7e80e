import EventLoop
import Glibc
import PackageFormats
import PackageSources

/// The files of a yum source: of each repository the files that its repomd.xml names.
///
/// Format: rpm-software-management/createrepo_c: src/xml_dump_repomd.c; the signature is repomd.xml.asc, as dnf's `repo_gpgcheck`
/// has it.
struct YumSource {
  let context: SourceContext

  func fetch() async -> [PartFiles] {
    await context.eachPart(files)
  }

  private func files(_ part: SourcePart) async -> PartFiles {
    // Bcfg2 goes on without a repository whose repomd.xml cannot be had, but not without one of the files that it names.
    var hasIndex = false
    do throws(FetchError) {
      return PartFiles(part: part, state: .files(try await repository(part, &hasIndex)))
    } catch {
      return PartFiles(part: part, state: .failed(error), failsAlone: !hasIndex)
    }
  }

  /// Fetches one repository; once more if its files are not those of repomd.xml, since it may have been changed in between.
  private func repository(_ part: SourcePart, _ hasIndex: inout Bool) async throws(FetchError) -> PartInput {
    do throws(FetchError) {
      return try await input(part, &hasIndex, isAskedAgain: false)
    } catch {
      // createrepo removes old files at once, so a missing one is such a change too.
      guard hasIndex ? error.kind != .other : error.kind == .signature else { throw error }
      return try await input(part, &hasIndex, isAskedAgain: true)
    }
  }

  private func input(
    _ part: SourcePart, _ hasIndex: inout Bool, isAskedAgain: Bool
  ) async throws(FetchError) -> PartInput {
    let base = SourceURL(part.url)
    let url = base.appending("repodata/repomd.xml")
    let index = try await context.fetch(url, limitBytes: RepomdFile.limitBytes, isAskedAgain: isAskedAgain)
    let signature = try await checkSignature(index, url, isAskedAgain: isAskedAgain)
    let repomd = try parse(index, url)
    hasIndex = true
    // The role stays out of the task: an optimized build loses it in a tuple that a task returns.
    let entries = try entries(repomd, url)
    let tasks = entries.map { _, entry in
      Task { () -> Result<Download, FetchError> in
        do throws(FetchError) { return .success(try await fetch(entry, base)) } catch { return .failure(error) }
      }
    }
    var files: [PartInput.Role: Download] = [:]
    var failure: FetchError?
    for ((role, _), task) in zip(entries, tasks) {
      switch await task.value {
      case .success(let download): files[role] = download
      case .failure(let error): failure = failure ?? error
      }
    }
    if let failure { throw failure }
    for download in [index] + (signature.map { [$0] } ?? []) { try context.downloads.keep(download) }
    return PartInput(files: files, made: UInt32(clamping: repomd.entry("primary")?.timestamp ?? 0))
  }

  private func parse(_ index: Download, _ url: SourceURL) throws(FetchError) -> RepomdFile {
    let bytes = try context.read(index.path, limitBytes: RepomdFile.limitBytes)
    do throws(FormatError) {
      return try RepomdFile(bytes: bytes, name: url.description)
    } catch {
      throw FetchError(.other, error.description)
    }
  }

  private func checkSignature(
    _ index: Download, _ url: SourceURL, isAskedAgain: Bool
  ) async throws(FetchError) -> Download? {
    // Without a key nothing is asked for: most repositories sign their packages only.
    if context.keys.isEmpty {
      try context.requireNoSignature("\(url): the source has no GPGKey")
      return nil
    }
    let signed = try await context.fetchIfThere(
      url.appending(".asc"), limitBytes: 1 << 20, isAskedAgain: isAskedAgain)
    guard let signed else {
      try context.acceptUnsigned(url, "\(url): there is no signature")
      return nil
    }
    _ = try context.checkSignature(of: url, at: url) { signature throws(Signature.Failure) in
      try signature.check(index.path, signature: signed.path)
    }
    return signed
  }

  // MARK: Files

  /// The files to read: primary, which has to be there, and what else there is.
  private func entries(
    _ repomd: RepomdFile, _ url: SourceURL
  ) throws(FetchError) -> [(PartInput.Role, RepomdFile.Entry)] {
    func first(_ types: [String]) -> RepomdFile.Entry? {
      types.compactMap { repomd.entry($0) }.first { !$0.href.ends(in: ".zck") }
    }
    guard let primary = first(["primary"]) else {
      let isZchunk = repomd.entry("primary") != nil || repomd.entry("primary_zck") != nil
      throw FetchError(
        .other,
        isZchunk
          ? "\(url) has primary.xml compressed by zchunk only, which is not read; createrepo_c without --zck-only adds another"
          : "\(url) has no primary")
    }
    var result: [(PartInput.Role, RepomdFile.Entry)] = [(.packages, primary)]
    if let entry = first(["filelists"]) { result.append((.fileLists, entry)) }
    if let entry = first(["group_gz", "group_xz", "group_zst", "group"]) { result.append((.groups, entry)) }
    if let entry = first(["modules"]) { result.append((.modules, entry)) }
    return result
  }

  private func fetch(_ entry: RepomdFile.Entry, _ base: SourceURL) async throws(FetchError) -> Download {
    let place =
      entry.base.isEmpty
      ? base : SourceURL(entry.base + (entry.base.last == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]))
    // A mirror that names a file of this machine would have it copied to where everyone can read it.
    guard place.scheme == base.scheme || ["http", "https", "ftp"].contains(place.scheme) else {
      throw FetchError(.other, "\(base): repomd.xml names \(place), which is no address of a mirror")
    }
    let url = place.appending(entry.href)
    // It stands in messages.
    let name = String(decoding: entry.checksumType.prefix(20).filter { (0x20..<0x7f).contains($0) }, as: UTF8.self)
    guard let algorithm = Digest.Algorithm(name: name), !entry.checksum.isEmpty else {
      try context.requireNoSignature("\(url): repomd.xml has only a checksum that cannot be relied on: \(name)")
      context.report.log(
        .warning,
        "Packages: \(url) is not checked: repomd.xml has no checksum, or one of a kind that is not known: \(name)")
      return try await context.fetch(url)
    }
    if algorithm.isWeak { context.report.log(.warning, "Packages: \(url) is checked by \(algorithm.rawValue) only") }
    let expected = ExpectedFile(
      algorithm: algorithm, checksum: Digest.hexadecimal(entry.checksum), size: entry.size, source: "repomd.xml")
    return try await context.fetch(url, expecting: expected)
  }
}

nonisolated extension [UInt8] {
  fileprivate func ends(in suffix: String) -> Bool { self.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }
}

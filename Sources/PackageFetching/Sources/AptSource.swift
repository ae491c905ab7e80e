import EventLoop
import Glibc
import PackageFormats
import PackageSources

/// The files of an apt source: Packages of each component and architecture, checked by the Release file if there is one.
///
/// Format: https://wiki.debian.org/DebianRepository/Format. Mirrors made by hand may have nothing but Packages.gz, which is
/// all that Bcfg2 reads.
struct AptSource {
  let context: SourceContext
  /// Where the Release file is.
  private let base: SourceURL

  /// One Release file with what it says.
  struct Release {
    let file: ReleaseFile
    /// `InRelease` or `Release`.
    let name: String
    /// To be kept once they are checked.
    let downloads: [Download]
  }

  init(_ context: SourceContext) {
    self.context = context
    let source = context.source
    base = source.rawURL.isEmpty ? SourceURL("\(source.url)dists/\(source.version)/") : SourceURL(source.rawURL)
  }

  /// Fetches what is new.
  ///
  /// - Throws: an error of the Release file, which concerns all parts.
  func fetch() async throws(FetchError) -> [PartFiles] {
    var release = try await release(isAskedAgain: false)
    var files = await parts(release)
    let isChanged = files.contains { file in
      if case .failed(let error) = file.state { error.kind == .mismatch } else { false }
    }
    if isChanged, release != nil {
      // The mirror may have been changed between the Release and the files.
      release = try await self.release(isAskedAgain: true)
      files = await parts(release)
    }
    for download in release?.downloads ?? [] { try context.downloads.keep(download) }
    return files
  }

  // MARK: Release

  private func release(isAskedAgain: Bool) async throws(FetchError) -> Release? {
    do throws(FetchError) {
      return try await checkedRelease(isAskedAgain: isAskedAgain)
    } catch {
      // A Release and its signature may be of two moments.
      guard error.kind == .signature, !isAskedAgain else { throw error }
      return try await checkedRelease(isAskedAgain: true)
    }
  }

  private func checkedRelease(isAskedAgain: Bool) async throws(FetchError) -> Release? {
    let limit = ReleaseFile.limitBytes
    context.report.signed = [:]
    let url = base.appending("InRelease")
    if let download = try await context.fetchIfThere(url, limitBytes: limit, isAskedAgain: isAskedAgain) {
      var text = try context.read(download.path, limitBytes: limit)
      if text.starts(with: "-----BEGIN PGP SIGNED MESSAGE-----".utf8) {
        let signed = try context.checkSignature(of: url, at: base) { signature throws(Signature.Failure) in
          try signature.checkSigned(download.path, limitBytes: limit)
        }
        if let signed { text = signed }
      } else {
        // That it is a page of a proxy says more.
        _ = try parse(text, url)
        try context.acceptUnsigned(base, "\(url) is not signed")
      }
      return try useful(parse(text, url), "InRelease", [download])
    }
    let plain = base.appending("Release")
    guard let download = try await context.fetchIfThere(plain, limitBytes: limit, isAskedAgain: isAskedAgain) else {
      try context.acceptUnsigned(base, "\(base): there is no InRelease and no Release")
      return nil
    }
    var downloads = [download]
    let detached = base.appending("Release.gpg")
    if let signed = try await context.fetchIfThere(detached, limitBytes: 1 << 20, isAskedAgain: isAskedAgain) {
      _ = try context.checkSignature(of: plain, at: base) { signature throws(Signature.Failure) in
        try signature.check(download.path, signature: signed.path)
      }
      downloads.append(signed)
    } else {
      try context.acceptUnsigned(base, "\(plain): there is no signature")
    }
    return try useful(parse(context.read(download.path, limitBytes: limit), plain), "Release", downloads)
  }

  private func parse(_ text: [UInt8], _ url: SourceURL) throws(FetchError) -> ReleaseFile {
    do throws(FormatError) {
      return try ReleaseFile(bytes: text, name: url.description)
    } catch {
      throw FetchError(.other, error.description)
    }
  }

  /// Returns a Release that can be used: it is not too old, and has checksums.
  private func useful(_ file: ReleaseFile, _ name: String, _ downloads: [Download]) throws(FetchError) -> Release? {
    let url = base.appending(name)
    try requireNotOlder(file, url)
    if let end = file.validUntil, end < time(nil) {
      let text = "\(url) is valid until \(UTC.text(end)) only, which is over"
      if context.isSignatureRequired { throw FetchError(.signature, text) }
      context.report.log(.warning, "Packages: \(text)")
    }
    guard file.entries.contains(where: { $0.value.sha256 != nil || $0.value.sha512 != nil }) else {
      // Debian has a small Release beside each Packages, without checksums: a rawurl may name that folder.
      try context.requireNoSignature("\(url) has neither SHA256 nor SHA512")
      return nil
    }
    return Release(file: file, name: name, downloads: downloads)
  }

  /// Refuses a signed Release that is older than the last one: it could be served again and again, to hide newer packages.
  private func requireNotOlder(_ file: ReleaseFile, _ url: SourceURL) throws(FetchError) {
    let place = base.description
    guard let date = file.date, context.report.signed[place] != nil else { return }
    context.report.signed[place] = date
    guard let before = context.signedBefore[place], date < before else { return }
    context.report.signed[place] = before
    throw FetchError(
      .signature,
      "\(url) is of \(UTC.text(date)), which is older than the last one, of \(UTC.text(before)); if that is right, "
        + "remove \(context.statusPath) to have it taken")
  }

  // MARK: Packages

  /// The folder of a part, below that of the Release file.
  private func folder(_ part: SourcePart) -> String {
    context.source.rawURL.isEmpty ? "\(part.component)/binary-\(part.arch)/" : ""
  }

  private func parts(_ release: Release?) async -> [PartFiles] {
    await context.eachPart { await files($0, release) }
  }

  private func files(_ part: SourcePart, _ release: Release?) async -> PartFiles {
    do throws(FetchError) {
      let download = try await packages(part, release)
      let made = UInt32(clamping: release?.file.date ?? 0)
      return PartFiles(part: part, state: .files(PartInput(files: [.packages: download], made: made)))
    } catch {
      return PartFiles(part: part, state: .failed(error))
    }
  }

  private func packages(_ part: SourcePart, _ release: Release?) async throws(FetchError) -> Download {
    guard let release else {
      do throws(FetchError) { return try await context.fetch(base.appending(folder(part) + "Packages.gz")) } catch {
        guard error.kind == .missing else { throw error }
        throw FetchError(.missing, "\(error). \(base) has no InRelease and no Release either")
      }
    }
    let candidates = candidates(part, release)
    guard !candidates.isEmpty else {
      throw FetchError(.missing, "\(base.appending(release.name)) has no \(folder(part))Packages\(choices(release))")
    }
    var failure: FetchError?
    for candidate in candidates {
      do throws(FetchError) { return try await fetch(candidate, release) } catch {
        // A Release also names files that a mirror need not have, such as the uncompressed one.
        guard error.kind == .missing else { throw error }
        failure = failure ?? error
      }
    }
    throw failure ?? FetchError(.missing, "\(base): no Packages")
  }

  /// What a source may name instead of what the Release has not; empty where it says nothing.
  private func choices(_ release: Release) -> String {
    guard context.source.rawURL.isEmpty else { return "" }
    var text = ""
    for (name, words) in [("components", release.file.components), ("architectures", release.file.architectures)]
    where !words.isEmpty {
      let list = words.prefix(20).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
      text += "; its \(name) are \(list)\(words.count > 20 ? " ..." : "")"
    }
    return text
  }

  private struct Candidate {
    let path: String
    let folder: String
    let expected: ExpectedFile
    /// The name of the folder in by-hash.
    let list: String
  }

  /// The files that the Release has for a part, the best compression first.
  private func candidates(_ part: SourcePart, _ release: Release) -> [Candidate] {
    var folders = [folder(part)]
    // "updates/main" is "main" in the Release of a suite whose name ends in "/updates", as apt takes it.
    if context.source.rawURL.isEmpty, let slash = part.component.lastIndex(of: "/") {
      folders.append("\(part.component[part.component.index(after: slash)...])/binary-\(part.arch)/")
    }
    for folder in folders {
      let found = [".xz", ".zst", ".gz", ".bz2", ""].compactMap { suffix -> Candidate? in
        let path = "\(folder)Packages\(suffix)"
        guard let entry = release.file.entry(path), let sum = entry.sha256 ?? entry.sha512 else { return nil }
        let algorithm: Digest.Algorithm = entry.sha256 == nil ? .sha512 : .sha256
        let expected = ExpectedFile(
          algorithm: algorithm, checksum: Digest.hexadecimal(sum), size: entry.size, source: release.name)
        return Candidate(
          path: path, folder: folder, expected: expected, list: algorithm == .sha256 ? "SHA256" : "SHA512")
      }
      if !found.isEmpty { return found }
    }
    return []
  }

  private func fetch(_ candidate: Candidate, _ release: Release) async throws(FetchError) -> Download {
    let url = base.appending(candidate.path)
    if release.file.acquireByHash {
      let place = base.appending("\(candidate.folder)by-hash/\(candidate.list)/\(candidate.expected.checksum)")
      do throws(FetchError) {
        return try await context.fetch(url, from: place, expecting: candidate.expected)
      } catch {
        guard error.kind == .missing else { throw error }
      }
    }
    return try await context.fetch(url, expecting: candidate.expected)
  }
}

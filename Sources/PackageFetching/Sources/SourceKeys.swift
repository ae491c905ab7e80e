import EventLoop
import Glibc
import PackageSources

/// The keys that a source names: fetched, kept as they are for clients, and given to gpgv.
final class SourceKeys {
  /// The addresses, each with the name of its file.
  private let urls: [(url: SourceURL, name: String?)]
  private let folder: String
  private var armourless: [[UInt8]] = []
  private var prepared: Signature?
  private let name: String
  private let temporaryFolder: String

  /// More bytes than any key has; those of a distribution with all their signatures have some 100 kB.
  private static let limitBytes = 1 << 20

  /// - Parameters:
  ///   - folder: `keys` of the cache: the plugin gives clients the files there.
  ///   - temporaryFolder: for files of a check, which are called after `name`.
  init(_ source: PackageSource, folder: String, temporaryFolder: String, name: String) throws(SystemError) {
    urls = source.gpgKeys.map { (SourceURL($0), Self.fileName($0)) }
    self.folder = folder
    self.name = name
    self.temporaryFolder = temporaryFolder
    if !urls.isEmpty { try makeFolders(folder) }
  }

  isolated deinit { prepared?.close() }

  var isEmpty: Bool { urls.isEmpty }

  /// The name of a key's file, as in Bcfg2: the last part of its address.
  static func fileName(_ url: String) -> String? {
    let last = url.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init) ?? ""
    return ["", ".", ".."].contains(last) || last.utf8.contains(0) ? nil : last
  }

  /// True where the file of some key is not there yet.
  static func areMissing(_ source: PackageSource, folder: String) -> Bool {
    source.gpgKeys.contains { key in fileName(key).map { Files.size("\(folder)/\($0)") == nil } ?? false }
  }

  /// Fetches the keys. A key that cannot be had leaves the file of last time.
  func fetch(downloads: Downloads, report: SourceReport) async {
    armourless = []
    for (url, name) in urls {
      guard let name else {
        report.log(.error, "Packages: Failed to fetch url \(url). It ends without the name of a key")
        continue
      }
      let path = "\(folder)/\(name)"
      report.files.insert(url.fileName)
      let last = downloads.lastGood(url.fileName)
      do throws(FetchError) {
        let download = try await downloads.fetch(url, limitBytes: Self.limitBytes, progress: nil) {
          report.log(.info, "Packages: Downloading and parsing \(url)")
        }
        try keep(download, url, path, downloads)
        if let last, last.sha256 != download.sha256 {
          report.log(.warning, "Packages: \(url) has another key than last time")
        }
      } catch {
        report.log(.error, "Packages: \(error)\(Files.size(path) == nil ? "" : "; the key of last time is used")")
      }
      // The file in `keys` may be one that another source names so too, or be all there is.
      let own = downloads.lastGood(url.fileName)?.path ?? path
      guard let bytes = try? RegularFile.read(own, limitBytes: Self.limitBytes) else { continue }
      guard let key = Armour.keys(bytes) else {
        report.log(.warning, "Packages: \(url) has no OpenPGP key; signatures are not checked with it")
        continue
      }
      armourless.append(key)
    }
  }

  private func keep(
    _ download: Download, _ url: SourceURL, _ path: String, _ downloads: Downloads
  ) throws(FetchError) {
    guard !Downloads.isHTML(download.path) else {
      throw FetchError(.other, "Failed to fetch url \(url). It is an HTML page, not a key")
    }
    do throws(SystemError) {
      let bytes = try RegularFile.read(download.path, limitBytes: Self.limitBytes)
      if (try? RegularFile.read(path, limitBytes: Self.limitBytes)) != bytes { try Files.replace(path, with: bytes) }
    } catch {
      throw FetchError(error)
    }
    try downloads.keep(download)
  }

  /// What checks signatures with these keys; nil without a key.
  func signature() throws(FetchError) -> Signature? {
    if let prepared { return prepared }
    guard !armourless.isEmpty else { return nil }
    do throws(SystemError) {
      prepared = try Signature(keys: armourless, in: temporaryFolder, name: name)
      return prepared
    } catch {
      throw FetchError(error)
    }
  }
}

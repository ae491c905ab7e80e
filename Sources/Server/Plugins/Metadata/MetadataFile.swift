import EventLoop
import Glibc

/// clients.xml or groups.xml, with the files that it includes: what was read, and whether the disk has something newer.
///
/// Changes are found by comparing digests of the bytes, so that the server's own writes, which it knows, cost no second
/// parse, and what an administrator saves between two events is not missed. The bytes themselves are not kept.
final class MetadataFile {
  enum Outcome {
    /// The disk has what was read.
    case same
    /// New contents, in use from now on.
    case changed(Element)
    /// Not usable; what was read before stays.
    case broken
  }

  /// Most bytes of one file.
  static let limitBytes = RepositoryXML.fileLimitBytes
  /// How often a file that changes while it is read is read again at once.
  private static let attempts = 5

  let path: String
  /// True once it was read without errors.
  private(set) var isRead = false
  /// Digests of the file and of those it includes, as they were read last, good or not; a missing one has none.
  private var digests: [String: FileDigest] = [:]
  private var isBroken = false
  /// What the root element is to be called, and what it is called in the version in use.
  private let rootTag: String
  private var lastRootTag: String?
  /// Files that the last version that could be read included.
  private var goodIncludes: Set<String> = []
  /// True where files came or went that a glob may fit.
  private var mustParse = true
  private var watchedPaths: Set<String> = []
  private var watchedPatterns: [String] = []
  private var monitored: Set<String> = []
  private unowned let plugin: MetadataPlugin

  /// Creates the file where it does not exist, with nothing but its root.
  ///
  /// - Parameter mode: of a file that is created.
  /// - Throws: `FileWriteError` where it cannot be created.
  init(plugin: MetadataPlugin, name: String, rootTag: String, mode: FileWrite.Mode) throws {
    self.plugin = plugin
    self.rootTag = rootTag
    path = plugin.folder + "/" + name
    guard !fileExists(path) else { return }
    plugin.logger.warning("\(path) does not exist, creating")
    try AtomicFile.write(FileWrite(Array("<\(rootTag)/>\n".utf8), to: path, replacing: .missing, mode: mode))
  }

  /// The file itself, then those that it includes.
  var paths: [String] { [path] + digests.keys.filter { $0 != path }.sorted() }

  /// Takes note of an event: whether a glob may fit other files now.
  func note(_ event: FileEvent) {
    guard !event.isDirectory, digests[event.path] == nil else { return }
    if watchedPaths.contains(event.path)
      || watchedPatterns.contains(where: { fnmatch($0, event.path, FNM_PATHNAME) == 0 })
    {
      mustParse = true
    }
  }

  /// Compares with the disk and reads again what differs.
  func refresh() -> Outcome {
    var present = digests(of: paths)
    guard mustParse || present != digests else { return isBroken ? .broken : .same }
    for _ in 0..<Self.attempts {
      let document = XIncludedDocument(path: path, known: goodIncludes)
      let parsed = digests(of: [path] + document.includedFiles)
      guard parsed == present else {
        present = parsed
        continue
      }
      digests = parsed
      mustParse = false
      watch(document)
      for problem in document.problems { plugin.logger.error("\(problem)") }
      switch check(document.document) {
      case .success(let parsed):
        isBroken = false
        isRead = true
        lastRootTag = parsed.root.tag
        goodIncludes = Set(document.includedFiles)
        return .changed(parsed.root)
      case .failure(let error):
        isBroken = true
        plugin.logger.error("Failed to parse \(RepositoryPath.name(of: path)): \(error)")
        if let cause = error.cause { plugin.core.fileMonitor.couldNotRead(error.path, cause) }
        return .broken
      }
    }
    plugin.logger.warning("\(path) or a file that it includes keeps changing while it is read; it is read again later")
    mustParse = true
    return .broken
  }

  /// A document with a root element that may be taken.
  private func check(_ document: Result<RepositoryDocument, XMLFileError>) -> Result<RepositoryDocument, XMLFileError> {
    guard case .success(let parsed) = document else { return document }
    do throws(XMLFileError) {
      try RootName.check(parsed.root, allowed: [rootTag], last: lastRootTag, path: path) {
        plugin.logger.error("\($0)")
      }
      return document
    } catch {
      return .failure(error)
    }
  }

  /// The file and those it includes as they are on disk; nil where the disk has others than were read last.
  func unchangedContents() -> [String: (bytes: [UInt8], version: FileVersion)]? {
    var contents: [String: (bytes: [UInt8], version: FileVersion)] = [:]
    for path in paths {
      let found = read(path)
      guard found?.version.digest == digests[path] else { return nil }
      contents[path] = found
    }
    return contents
  }

  /// Has the file parsed at the next `refresh`, whatever the disk has.
  func invalidate() { mustParse = true }

  /// Takes over contents that the server itself has just written.
  func wrote(_ version: FileVersion, to path: String) { digests[path] = version.digest }

  /// Logs what is wrong with an element.
  func complain(_ line: Int32, _ message: String) {
    let place = digests.count > 1 ? "\(path) or a file that it includes" : path
    plugin.logger.error("\(place):\(line): \(message)")
  }

  private func digests(of paths: [String]) -> [String: FileDigest] {
    var digests: [String: FileDigest] = [:]
    for path in paths { digests[path] = read(path)?.version.digest }
    return digests
  }

  /// A file; nil for one that is missing or unreadable, which the parser tells of.
  private func read(_ path: String) -> (bytes: [UInt8], version: FileVersion)? {
    try? AtomicFile.readVersion(path, limitBytes: Self.limitBytes)
  }

  /// The plugin's folder is watched as a whole; here what is included from elsewhere.
  private func watch(_ document: XIncludedDocument) {
    watchedPaths = Set(document.watchedPaths)
    watchedPatterns = document.watchedPatterns
    let folders = watchedPatterns.map(RepositoryPath.fixedFolder(of:))
    for path in document.watchedPaths + folders
    where !path.hasPrefix(plugin.folder + "/") && path != plugin.folder && monitored.insert(path).inserted {
      plugin.core.fileMonitor.add(path, recursive: false, handler: plugin)
    }
  }
}

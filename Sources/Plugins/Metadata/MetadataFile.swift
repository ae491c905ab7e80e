import Core
import EventLoop
import Glibc
import Logging
import Repository

/// clients.xml or groups.xml, with the files that it includes: what was read, and whether the disk has something newer.
///
/// Changes are found by comparing versions: what stat(2) says of the file and, where that does not tell all, a digest of
/// the bytes. So the server's own writes, which it knows, cost no second reading, and what an administrator saves between
/// two events is not missed. The bytes themselves are not kept.
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
  /// How often it was parsed.
  private(set) var readings = 0
  /// The file and those it includes, as they were read last, good or not, or written by us; a missing one has none.
  private var versions: [String: FileVersion] = [:]
  private var isBroken = false
  /// Why the version on disk cannot be used; nil where it can.
  private(set) var problem: String?
  /// What the root element is to be called, and what it is called in the version in use.
  private let rootTag: String
  private var lastRootTag: String?
  /// Files that the last version that could be read included.
  private var goodIncludes: Set<String> = []
  /// True after files appeared or disappeared that a glob may match.
  private var mustParse = true
  private var watchedPaths: Set<String> = []
  private var watchedPatterns: [String] = []
  private var monitored: Set<String> = []
  private unowned let plugin: MetadataPlugin

  init(plugin: MetadataPlugin, name: String, rootTag: String) {
    self.plugin = plugin
    self.rootTag = rootTag
    path = plugin.folder + "/" + name
  }

  /// Creates the file where it does not exist, with nothing but its root.
  ///
  /// - Throws: `FileWriteError` where it cannot be created.
  func createIfMissing(mode: FileWrite.Mode) throws {
    guard !fileExists(path), !plugin.core.isReadOnly else { return }
    plugin.logger.warning("\(path) does not exist, creating")
    try AtomicFile.write(FileWrite(Array("<\(rootTag)/>\n".utf8), to: path, replacing: .missing, mode: mode))
  }

  /// The file itself, then those that it includes.
  var paths: [String] { [path] + versions.keys.filter { $0 != path }.sorted() }

  /// Has the file parsed again where an event may have changed which files a glob fits.
  func observe(_ event: FileEvent) {
    // One that is ignored now has not changed, but counts as missing.
    if plugin.core.fileMonitor.hides(event.path) { mustParse = true }
    guard !event.isDirectory, versions[event.path] == nil else { return }
    if watchedPaths.contains(event.path)
      || watchedPatterns.contains(where: { fnmatch($0, event.path, FNM_PATHNAME) == 0 })
    {
      mustParse = true
    }
  }

  /// Compares with the disk and reads again what differs.
  func refresh() -> Outcome {
    guard mustParse || !isAsItWasRead() else { return isBroken ? .broken : .same }
    if plugin.core.isReadOnly, !fileExists(path) {
      isRead = true
      mustParse = false
      return .changed(Element(rootTag))
    }
    var present = currentVersions(of: paths)
    for _ in 0..<Self.attempts {
      readings += 1
      let monitor = plugin.core.fileMonitor
      let document = XIncludedDocument(path: path, known: goodIncludes) { monitor.hides($0) }
      let parsed = currentVersions(of: [path] + document.includedFiles)
      guard parsed.mapValues(\.digest) == present.mapValues(\.digest) else {
        present = parsed
        continue
      }
      versions = parsed
      mustParse = false
      watch(document)
      for problem in document.problems {
        FileBacked.onMissingInclude?(path, "\(problem)")
        plugin.logger.error("\(problem)")
      }
      switch check(document.document) {
      case .success(let parsed):
        isBroken = false
        problem = nil
        isRead = true
        lastRootTag = parsed.root.tag
        goodIncludes = Set(document.includedFiles)
        return .changed(parsed.root)
      case .failure(let error):
        isBroken = true
        problem = "\(error)"
        plugin.logger.error("Failed to parse \(RepositoryPath.name(of: path)): \(error)")
        FileBacked.onProblem?(path, "\(error)")
        if let cause = error.cause { plugin.core.fileMonitor.couldNotRead(error.path, cause) }
        return .broken
      }
    }
    plugin.logger.warning("\(path) or a file that it includes keeps changing while it is read; it is read again later")
    mustParse = true
    return .broken
  }

  /// A document, if its root element is the right one.
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
      guard Self.areSame(found?.version, versions[path]) else { return nil }
      contents[path] = found
    }
    return contents
  }

  /// A file as it was read last, or written by us; nil for one that is missing.
  func version(of path: String) -> FileVersion? { versions[path] }

  /// Whether the disk has what was read last. Reads the contents only if the status leaves doubt.
  private func isAsItWasRead() -> Bool {
    for path in paths {
      if let known = versions[path], known.isToldByStatus, known.status == FileVersion.Status(of: path) { continue }
      let found = read(path)?.version
      guard Self.areSame(found, versions[path]) else { return false }
      versions[path] = found
    }
    return true
  }

  /// Whether a file that was read now has the contents of a version that is known.
  private static func areSame(_ found: FileVersion?, _ known: FileVersion?) -> Bool {
    guard let known else { return found == nil }
    return known.digest.map { found?.digest == $0 } ?? (known.isToldByStatus && known.status == found?.status)
  }

  /// Refuses contents that are too large to be read again.
  func require(_ count: Int, of path: String) throws(MetadataRuntimeError) {
    guard count > Self.limitBytes else { return }
    throw MetadataRuntimeError("\(plugin.core.pathForClients(path)) would have \(count) bytes, more than are read")
  }

  /// Has the file parsed at the next `refresh`, whatever the disk has.
  func invalidate() { mustParse = true }

  /// Records contents that the server itself has just written.
  func wrote(_ version: FileVersion, to path: String) { versions[path] = version }

  /// Logs what is wrong with an element.
  func complain(_ line: Int32, _ message: String) {
    let place = versions.count > 1 ? "\(path) or a file that it includes" : path
    plugin.logger.error("\(place):\(line): \(message)")
  }

  private func currentVersions(of paths: [String]) -> [String: FileVersion] {
    var versions: [String: FileVersion] = [:]
    for path in paths { versions[path] = read(path)?.version }
    return versions
  }

  /// Reads a file; nil if it is missing or unreadable, which the parser reports.
  private func read(_ path: String) -> (bytes: [UInt8], version: FileVersion)? {
    try? AtomicFile.readVersion(path, limitBytes: Self.limitBytes)
  }

  /// Watches files that are included from elsewhere; the plugin's folder is watched as a whole.
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

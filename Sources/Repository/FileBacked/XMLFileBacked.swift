import EventLoop
import Glibc
public import Logging

/// An XML file of the repository and its included files.
///
/// It watches its includes, existing or not, and the folders of its globs, and reads the file again when one changes.
/// If the file or an include does not parse, the last good version stays.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, XMLFileBacked.
open class XMLFileBacked: FileBacked {
  /// The last good version, includes expanded; nil before the first.
  public private(set) var document: RepositoryDocument?
  /// Files included by the version read last, good or not.
  public private(set) var includedFiles: [String] = []
  /// Files included by the last good version.
  private var goodIncludes: Set<String> = []
  private var watchedIncludes: Set<String> = []
  private var watchedPatterns: Set<String> = []
  /// Normalised paths and patterns of the includes in the version read last.
  private var includes: Set<String> = []
  private var globs: [Glob] = []
  private var isAddingWatches = false
  private var lastIncludeProblems: [String] = []
  private var lastRootProblem: String?

  /// Allowed names of the root element; empty allows all.
  ///
  /// Bcfg2 checks no names of root elements, and files with other names have worked for years. An edit is therefore
  /// refused only if `RootName` considers the name a mistake.
  public var rootTags: Set<String> = []

  /// The root element of the last good version.
  public var root: Element? { document?.root }

  /// - Parameter topTag: creates a missing file with this empty root element.
  public init(path: String, monitor: any FileMonitor, logger: Logger, creatingTopTag topTag: String? = nil) {
    super.init(path: path, monitor: monitor, logger: logger)
    if let topTag { rootTags = [topTag] }
    if let topTag, !fileExists(path) {
      logger.warning("\(path) does not exist, creating")
      do throws(FileWriteError) {
        try AtomicFile.write(
          FileWrite(Array("<\(topTag)/>\n".utf8), to: path, replacing: .missing, mode: .ordinary))
      } catch {
        logger.error("\(error)")
      }
    }
  }

  /// Compiles a new version of the file.
  ///
  /// - Throws: the error; the last good version stays, and stays `document`.
  open func compile(_ document: RepositoryDocument) throws {}

  open override func handleEvent(_ event: FileEvent) {
    // Events while watches are placed concern files that are read anyway.
    if isAddingWatches { return }
    if event.path == path {
      super.handleEvent(event)
    } else if isInclude(RepositoryPath.normalised(event.path)) {
      markStale()
    }
  }

  open override func changesApplied() {
    if isAddingWatches { return }
    super.changesApplied()
  }

  open override func load() {
    let read = readDocument()
    includedFiles = read.includedFiles
    // Watch before reading: if watches were added, an include may have changed before its watch, so read again.
    let loaded = addWatches(read) ? readDocument() : read
    includedFiles = loaded.includedFiles
    addWatches(loaded)
    includes = Set(loaded.watchedPaths.map { RepositoryPath.normalised($0) })
    globs = loaded.watchedPatterns.map { Glob(RepositoryPath.normalised($0)) }
    reportIncludes(loaded.problems)
    attempt {
      let new = try loaded.document.get()
      try RootName.check(new.root, allowed: rootTags, last: document?.root.tag, path: path) { reportRootName($0) }
      goodIncludes = Set(loaded.includedFiles)
      try compile(new)
      document = new
    }
  }

  private func readDocument() -> XIncludedDocument {
    XIncludedDocument(path: path, known: goodIncludes) { [monitor] in monitor.hides($0) }
  }

  open override func stopWatching() {
    super.stopWatching()
    watchedIncludes.removeAll()
    watchedPatterns.removeAll()
  }

  /// - Returns: true if a watch was added.
  @discardableResult
  private func addWatches(_ read: XIncludedDocument) -> Bool {
    var added = false
    isAddingWatches = true
    defer { isAddingWatches = false }
    for path in read.watchedPaths where watchedIncludes.insert(path).inserted {
      monitor.add(path, recursive: false, handler: self)
      added = true
    }
    for pattern in read.watchedPatterns where watchedPatterns.insert(pattern).inserted {
      let folder = RepositoryPath.fixedFolder(of: pattern)
      let isDeep = RepositoryPath.folder(of: pattern) != folder
      monitor.add(folder, recursive: isDeep, handler: self)
      added = true
    }
    return added
  }

  /// Whether a normalised path is an include, or matches the glob of one. Ignores other files in a glob's folder.
  private func isInclude(_ path: String) -> Bool {
    if includes.contains(path) { return true }
    let depth = path.utf8.count { $0 == UInt8(ascii: "/") }
    return globs.contains { glob in
      // fnmatch's `*` matches slashes, glob's does not.
      glob.matches(path) && glob.pattern.utf8.count { $0 == UInt8(ascii: "/") } == depth
    }
  }

  /// Logs an error once for the same contents: an empty `<Bundel/>` is a bundle without entries.
  private func reportRootName(_ problem: String) {
    guard problem != lastRootProblem else { return }
    lastRootProblem = problem
    logger.error("\(problem)")
  }

  private func reportIncludes(_ problems: [XMLFileError]) {
    let lines = problems.map(\.description)
    for line in lines where !lastIncludeProblems.contains(line) {
      Self.onMissingInclude?(path, line)
      logger.error("\(line)")
    }
    lastIncludeProblems = lines
  }
}

import EventLoop
import Glibc
public import Logging

/// An XML file of the repository with the files that it includes.
///
/// Watches its includes by itself, existing or not, and the folders of its globs; a change of any of them reads the file
/// again. A file that does not parse, or includes one that does not, keeps its last good version.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, XMLFileBacked.
open class XMLFileBacked: FileBacked {
  /// The last good version, includes expanded; nil before the first.
  public private(set) var document: RepositoryDocument?
  /// Files that the last read version includes, also where it was not good.
  public private(set) var includedFiles: [String] = []
  /// Those of the last version that could be read.
  private var goodIncludes: Set<String> = []
  private var watchedIncludes: Set<String> = []
  private var watchedPatterns: Set<String> = []
  /// Normalised paths and patterns of the last read version's includes.
  private var includes: Set<String> = []
  private var globs: [Glob] = []
  private var isAddingWatches = false
  private var lastIncludeProblems: [String] = []
  private var lastRootProblem: String?

  /// What the root element may be called; empty: anything.
  ///
  /// Bcfg2 looks at no root element's name, and files with another one have worked for years. So an edit is not taken
  /// only where the name is a mistake, which `RootName` decides.
  public var rootTags: Set<String> = []

  /// The root element of the last good version.
  public var root: Element? { document?.root }

  /// - Parameter topTag: where the file does not exist, it is created with this empty root element.
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

  /// Takes a new version of the file.
  ///
  /// - Throws: what is wrong with it; the last good version stays, and is still `document`.
  open func compile(_ document: RepositoryDocument) throws {}

  open override func handleEvent(_ event: FileEvent) {
    // What exists when an include's watch is placed has been, or is about to be, read.
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
    let read = XIncludedDocument(path: path, known: goodIncludes)
    includedFiles = read.includedFiles
    // The watch comes before the read: what a new watch had to be placed for is read once more.
    let loaded = addWatches(read) ? XIncludedDocument(path: path, known: goodIncludes) : read
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

  open override func stopWatching() {
    super.stopWatching()
    watchedIncludes.removeAll()
    watchedPatterns.removeAll()
  }

  /// - Returns: true where a watch was added.
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

  /// Whether a normalised path is that of an include, or fits a glob of one. Other files in a glob's folder do not matter.
  private func isInclude(_ path: String) -> Bool {
    if includes.contains(path) { return true }
    let depth = path.utf8.count { $0 == UInt8(ascii: "/") }
    return globs.contains { glob in
      // fnmatch's `*` takes slashes, glob's does not.
      glob.matches(path) && glob.pattern.utf8.count { $0 == UInt8(ascii: "/") } == depth
    }
  }

  /// Told once for the same contents, as an error: an empty `<Bundel/>` is a bundle without entries.
  private func reportRootName(_ problem: String) {
    guard problem != lastRootProblem else { return }
    lastRootProblem = problem
    logger.error("\(problem)")
  }

  private func reportIncludes(_ problems: [XMLFileError]) {
    let lines = problems.map(\.description)
    for line in lines where !lastIncludeProblems.contains(line) { logger.error("\(line)") }
    lastIncludeProblems = lines
  }
}

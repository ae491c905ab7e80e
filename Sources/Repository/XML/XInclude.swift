import EventLoop
import Glibc

/// A repository file with its included files, as `XMLFileBacked` of Bcfg2 reads it.
///
/// Bcfg2 extends XInclude: an `href` may be a glob. In the file itself every `xi:include` is removed, and the roots of
/// matching files are appended to its parent in the order of their paths; an `xi:fallback` there only suppresses the
/// error about a missing file, its contents are not used. In included files libxml2 does the work in Bcfg2: the
/// included root replaces the include, and a fallback is used.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, XMLFileBacked._follow_xincludes.
public struct XIncludedDocument {
  /// The document, or the error of the file or of an included one.
  public let document: Result<RepositoryDocument, XMLFileError>
  /// Files included directly or indirectly, each once, in the order of occurrence.
  public let includedFiles: [String]
  /// Paths in includes, existing or not: all must be watched.
  public let watchedPaths: [String]
  /// Globs in includes: a new matching file changes the document.
  public let watchedPatterns: [String]
  /// Includes without a file and without a fallback, and include loops: to be logged as errors.
  public let problems: [XMLFileError]

  /// Reads a file and everything it includes.
  ///
  /// - Parameters:
  ///   - known: files that the last good version included. If one of them is missing (its folder is missing or unreadable)
  ///     without being deleted, the document fails: it would lose contents.
  ///   - isHidden: whether a file is not to be seen, and so counts as missing.
  public init(path: String, known: Set<String> = [], isHidden: @escaping (String) -> Bool = { _ in false }) {
    var includer = Includer(path: path, known: known, isHidden: isHidden)
    do throws(XMLFileError) {
      let parsed = try RepositoryXML.parse(path: path)
      try includer.expandMain(parsed.root)
      document = .success(parsed)
    } catch {
      document = .failure(error)
    }
    includedFiles = includer.included
    watchedPaths = includer.paths
    watchedPatterns = includer.patterns
    problems = includer.problems
  }
}

/// Expands includes in our own trees.
private struct Includer {
  static let include = "{http://www.w3.org/2001/XInclude}include"
  static let fallback = "{http://www.w3.org/2001/XInclude}fallback"
  /// As libxml2's XINCLUDE_MAX_DEPTH.
  static let depthLimit = 40
  /// Most files that one document includes.
  static let countLimit = 10_000

  let path: String
  var included: [String] = []
  var paths: [String] = []
  var patterns: [String] = []
  var problems: [XMLFileError] = []
  private var roots: [String: Element] = [:]
  private var open: [String]
  private var count = 0
  private let known: Set<String>
  private let isHidden: (String) -> Bool

  init(path: String, known: Set<String>, isHidden: @escaping (String) -> Bool) {
    self.path = path
    self.known = known
    self.isHidden = isHidden
    open = [path]
  }

  mutating func expandMain(_ root: Element) throws(XMLFileError) {
    if root.tag == Self.include {
      throw XMLFileError(path: path, line: Int(root.line), message: "the root element is an xi:include")
    }
    var parents: [(parent: Element, include: Element)] = []
    collect(root, into: &parents)
    for (parent, include) in parents {
      parent.remove(include)
      for file in try targets(of: include, in: path) where file != path {
        if let text = try text(of: include, file: file) {
          parent.text = (parent.text ?? "") + text
        } else {
          parent.children.append(try self.root(of: file, includedBy: path, at: include))
        }
      }
    }
  }

  private func collect(_ element: Element, into found: inout [(parent: Element, include: Element)]) {
    for child in element.children {
      if child.tag == Self.include {
        found.append((element, child))
      } else {
        collect(child, into: &found)
      }
    }
  }

  /// Expands an included file: in place, with fallbacks.
  private mutating func expandNested(_ element: Element, file: String) throws(XMLFileError) {
    guard element.children.contains(where: { $0.tag == Self.include }) else {
      for child in element.children { try expandNested(child, file: file) }
      return
    }
    var children: [Element] = []
    for child in element.children {
      guard child.tag == Self.include else {
        try expandNested(child, file: file)
        children.append(child)
        continue
      }
      let files = try targets(of: child, in: file)
      for target in files {
        if let text = try text(of: child, file: target) {
          if children.isEmpty { element.text = (element.text ?? "") + text }
        } else if open.contains(target) {
          problems.append(XMLFileError(path: file, line: Int(child.line), message: "detected a loop in XInclude"))
        } else {
          children.append(try root(of: target, includedBy: file, at: child))
        }
      }
      if files.isEmpty, let fallback = child.firstChild(tagged: Self.fallback) {
        try expandNested(fallback, file: file)
        children += fallback.children
      }
    }
    element.children = children
  }

  /// The files that an include names. A missing one is a problem unless there is a fallback.
  private mutating func targets(of include: Element, in file: String) throws(XMLFileError) -> [String] {
    guard let href = include["href"] else {
      throw XMLFileError(path: file, line: Int(include.line), message: "xi:include without href")
    }
    let target = RepositoryPath.joined(RepositoryPath.folder(of: file), href)
    let found: [String]
    if RepositoryPath.isPattern(target) {
      if !patterns.contains(target) { patterns.append(target) }
      found = RepositoryPath.glob(target).filter { !isHidden($0) }
      let pattern = Glob(target)
      // fnmatch's `*` matches slashes, glob's does not.
      for name in known where pattern.matches(name) && slashes(name) == slashes(target) && !found.contains(name) {
        try requireDeleted(name, file)
      }
    } else {
      if !paths.contains(target) { paths.append(target) }
      found = fileExists(target) && !isHidden(target) ? [target] : []
      if found.isEmpty, known.contains(target) { try requireDeleted(target, file) }
    }
    for name in found {
      if !included.contains(name), name != path { included.append(name) }
      if !paths.contains(name) { paths.append(name) }
    }
    if found.isEmpty, include.firstChild(tagged: Self.fallback) == nil {
      problems.append(
        XMLFileError(path: file, line: Int(include.line), message: "\(href) does not exist, skipping"))
    }
    return found
  }

  private func slashes(_ path: String) -> Int { path.utf8.count { $0 == UInt8(ascii: "/") } }

  /// Requires that a file included before was deleted from an existing folder.
  ///
  /// - Throws: if it is missing: its folder is not the document's and is gone, or a system call fails.
  private func requireDeleted(_ target: String, _ includer: String) throws(XMLFileError) {
    var folder = RepositoryPath.folder(of: path)
    if case .found(let real) = PathWalk.walk(folder) { folder = real }
    switch PathWalk.walk(target) {
    case .found, .missing(_, isLast: true): return
    case .missing(let gone, isLast: false) where gone.utf8.starts(with: (folder + "/").utf8): return
    case .unreadable(let place, let errno):
      throw XMLFileError(path: includer, notRead: SystemError(call: "stat", errno: errno, detail: place))
    case .missing(let place, _):
      throw XMLFileError(path: includer, notRead: SystemError(call: "stat", errno: ENODEV, detail: place))
    }
  }

  /// The contents of a file included as text; nil for one included as XML.
  private func text(of include: Element, file: String) throws(XMLFileError) -> String? {
    guard include["parse"] == "text" else { return nil }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try AtomicFile.readFile(file, limitBytes: RepositoryXML.fileLimitBytes)
    } catch {
      throw XMLFileError(path: file, notRead: error)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw XMLFileError(path: file, line: 0, message: "text to be included is not UTF-8")
    }
    return text
  }

  /// The expanded root of an included file, as a copy.
  private mutating func root(of file: String, includedBy includer: String, at include: Element) throws(XMLFileError)
    -> Element
  {
    count += 1
    guard count <= Self.countLimit, open.count <= Self.depthLimit else {
      throw XMLFileError(path: includer, line: Int(include.line), message: "too many XIncludes")
    }
    let root: Element
    if let known = roots[file] {
      root = known.deepCopy()
    } else {
      root = try RepositoryXML.parse(path: file).root
      open.append(file)
      if root.tag == Self.include {
        throw XMLFileError(path: file, line: Int(root.line), message: "the root element is an xi:include")
      }
      try expandNested(root, file: file)
      open.removeLast()
      roots[file] = root.deepCopy()
    }
    // libxml2 records the file of an include, unless it is in the same folder; clients see it.
    let relative = RepositoryPath.relative(file, to: RepositoryPath.folder(of: includer))
    if relative.utf8.contains(UInt8(ascii: "/")), root[RepositoryXML.baseAttribute] == nil {
      root[RepositoryXML.baseAttribute] = relative
    }
    return root
  }
}

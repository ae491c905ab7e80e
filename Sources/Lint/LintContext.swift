import Glibc
import Logging
import Repository
public import ServerSettings
import XMLRPC

/// What a run of checks has: the repository, what to look at, where findings go.
public final class LintContext {
  /// Absolute path of the repository, without a slash at its end.
  let repository: String
  let settings: Settings
  let configuration: LintConfiguration
  let schemas: SchemaFolder
  public let report: LintReport
  /// The files of `--stdin`, absolute; nil: all of the repository.
  private let files: Set<String>?
  /// What the server does not see; it is the server that warns of problems in them.
  private let ignoreFiles: IgnoreFiles
  /// Templates that cannot be loaded, by path; nil before they were.
  var templateFailures: [String: String]?
  /// What the server logged since its core was made.
  let messages: GatheredLog

  /// - Parameter files: the lines of `--stdin`: absolute, or below the working folder or the repository; nil: all files.
  public init(
    settings: Settings, configuration: LintConfiguration, schemas: SchemaFolder, report: LintReport,
    messages: GatheredLog, files: [String]? = nil
  ) {
    repository = RepositoryPath.normalised(settings.repository)
    ignoreFiles = IgnoreFiles(
      reading: repository, logger: Logger(label: "bcfg2-lint") { _ in SwiftLogNoOpLogHandler() })
    self.settings = settings
    self.configuration = configuration
    self.schemas = schemas
    self.report = report
    self.messages = messages
    self.files = files.map { [repository] files in
      Set(files.flatMap { [Self.absolute($0, below: Self.workingFolder), Self.absolute($0, below: repository)] })
    }
  }

  /// Whether only some files are looked at: checks that need all of them are left out then.
  var isPartial: Bool { files != nil }

  /// Whether a file is looked at.
  func handles(_ path: String) -> Bool {
    let path = RepositoryPath.normalised(path)
    return (files?.contains(path) ?? true) && !ignoreFiles.hides(path)
  }

  /// A file with its includes, as the server reads it.
  func document(_ path: String) -> XIncludedDocument {
    XIncludedDocument(path: path) { [ignoreFiles] in ignoreFiles.hides($0) }
  }

  /// The files to look at that fit a glob below the repository, sorted.
  func files(_ pattern: String) -> [String] {
    RepositoryPath.glob("\(repository)/\(pattern)").filter { handles($0) }.sorted { Name.isOrdered($0, before: $1) }
  }

  /// All files below a folder of the repository that are looked at, those of each folder before those of its folders, and by
  /// name; no links to folders are followed.
  func allFiles(below folder: String) -> [String] {
    var found: [String] = []
    Self.walk("\(repository)/\(folder)", depth: 0, into: &found)
    return found.filter { handles($0) }
  }

  /// A path without the repository's.
  func relative(_ path: String) -> String {
    path.hasPrefix(repository + "/") ? String(path.utf8.dropFirst(repository.utf8.count + 1)) ?? path : path
  }

  /// Deeper folders are not looked at.
  private static let depthLimit = 64

  private static func walk(_ folder: String, depth: Int, into found: inout [String]) {
    guard depth < depthLimit, let stream = opendir(folder) else { return }
    var folders: [String] = []
    var files: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name == "." || name == ".." { continue }
      var status = stat()
      guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFDIR { folders.append(name) } else { files.append(name) }
    }
    closedir(stream)
    found += files.sorted { Name.isOrdered($0, before: $1) }.map { "\(folder)/\($0)" }
    for name in folders.sorted(by: { Name.isOrdered($0, before: $1) }) {
      walk("\(folder)/\(name)", depth: depth + 1, into: &found)
    }
  }

  private static func absolute(_ path: String, below folder: String) -> String {
    RepositoryPath.normalised(path.hasPrefix("/") ? path : "\(folder)/\(path)")
  }

  private static var workingFolder: String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }
}

import EventLoop
import Glibc
import Identity
import Logging
import Repository
import ServerSettings

/// The files of a repository: what is not used as before, and what cannot be used.
struct RepositoryReview {
  /// Files that are looked at; a repository with more is told of.
  private static let fileLimit = 1_000_000
  /// Findings of one kind that are told one by one.
  private static let shownLimit = 20

  private let settings: Settings
  private let is13: Bool
  private let ignoreFiles: IgnoreFiles
  private(set) var findings: [Migration.Finding] = []
  private(set) var signsOf13: [String] = []
  private var counts: [String: Int] = [:]
  private var files = 0
  /// Kinds of templates, by their suffixes, with the first file of each.
  private var templates: [String: (path: String, count: Int)] = [:]

  init(_ settings: Settings) {
    self.settings = settings
    is13 = settings.compatibility == .v1_3
    ignoreFiles = IgnoreFiles(
      reading: settings.repository, logger: Logger(label: "Migration") { _ in SwiftLogNoOpLogHandler() })
  }

  mutating func review() {
    let root = settings.repository
    guard isFolder(root) else {
      return add(root, .lost, "the repository is not there: the server does not start", kind: "repository")
    }
    for name in settings.plugins.sorted() where isFolder("\(root)/\(name)") {
      walk("\(root)/\(name)", of: name, depth: 0)
    }
    reviewClients("\(root)/Metadata/clients.xml")
    for (suffix, found) in templates.sorted(by: { $0.key < $1.key }) {
      let library =
        ["genshi": "python3-genshi", "cheetah": "python3-cheetah", "jinja2": "python3-jinja2"][suffix] ?? ""
      findings.append(
        Migration.Finding(
          place: found.path, level: .note,
          text:
            "\(found.count) template\(found.count == 1 ? " needs" : "s need") \(library); bcfg2-server --check-templates renders with Python 3"
        ))
    }
    for (kind, count) in counts.sorted(by: { $0.key < $1.key }) where count > Self.shownLimit {
      findings.append(
        Migration.Finding(place: root, level: .note, text: "\(count - Self.shownLimit) more like this: \(kind)"))
    }
    if files >= Self.fileLimit {
      findings.append(
        Migration.Finding(place: root, level: .note, text: "only \(Self.fileLimit) files were looked at"))
    }
  }

  private mutating func add(_ place: String, _ level: Migration.Level, _ text: String, kind: String) {
    counts[kind, default: 0] += 1
    guard counts[kind, default: 0] <= Self.shownLimit else { return }
    findings.append(Migration.Finding(place: place, level: level, text: text))
  }

  // MARK: Files

  private mutating func walk(_ folder: String, of plugin: String, depth: Int) {
    guard depth < 64, let stream = opendir(folder) else {
      return add(folder, .lost, "cannot be read: \(String(cString: strerror(errno)))", kind: "unreadable folders")
    }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    closedir(stream)
    for name in names.sorted() where name != "." && name != ".." && !isIgnored(name) {
      let path = "\(folder)/\(name)"
      if ignoreFiles.hides(path) { continue }
      var status = stat()
      guard stat(path, &status) == 0 else {
        add(path, .lost, "cannot be read: \(String(cString: strerror(errno)))", kind: "files that cannot be read")
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: walk(path, of: plugin, depth: depth + 1)
      case S_IFREG:
        files += 1
        if files < Self.fileLimit { review(path, name, of: plugin) }
      default: add(path, .lost, "is no regular file, and not read", kind: "special files")
      }
    }
  }

  private func isIgnored(_ name: String) -> Bool {
    settings.ignoredFiles.contains { fnmatch($0, name, 0) == 0 }
  }

  private mutating func review(_ path: String, _ name: String, of plugin: String) {
    if access(path, R_OK) != 0 {
      return add(path, .lost, "cannot be read: \(String(cString: strerror(errno)))", kind: "files that cannot be read")
    }
    switch plugin {
    case "Cfg":
      if name.contains(".cat") || name.contains(".diff") {
        let base = name.split(separator: ".")
        if base.contains(where: { $0 == "cat" || $0 == "diff" }) { sign13(path, "a filter file") }
      }
      if name == "info" || name == ":info" { sign13(path, "an info file, in place of 1.4's info.xml") }
      noteTemplate(path, name)
    case "SSHbase", "SEModules", "SSLCA", "TGenshi", "TCheetah":
      if name == "info" || name == ":info" { sign13(path, "an info file, in place of 1.4's info.xml") }
    case "Decisions":
      if !name.hasSuffix(".xml") { sign13(path, "a decision list; 1.4 has whitelist.xml and blacklist.xml") }
    case "Bundler":
      if name.hasSuffix(".genshi") {
        add(path, .note, "is a template of 1.3; .xml files may be templates, too", kind: "bundles with .genshi")
      }
    default: break
    }
    let isXML = name.hasSuffix(".xml") && plugin != "Probes" && plugin != "Reporting"
    if isXML || plugin == "Bundler" && name.hasSuffix(".genshi") { parse(path) }
  }

  private mutating func sign13(_ path: String, _ what: String) {
    signsOf13.append(path)
    if !is13 {
      add(path, .lost, "\(what): not used without [server] compatibility = 1.3", kind: "files of 1.3")
    }
  }

  private mutating func noteTemplate(_ path: String, _ name: String) {
    for suffix in ["genshi", "cheetah", "jinja2"]
    where name.split(separator: ".").dropFirst().contains(where: { $0 == suffix }) {
      let before = templates[suffix]
      templates[suffix] = (before?.path ?? path, (before?.count ?? 0) + 1)
    }
  }

  private mutating func parse(_ path: String) {
    do throws(XMLFileError) {
      _ = try RepositoryXML.parse(path: path)
    } catch {
      add("\(path):\(max(1, error.line))", .lost, "cannot be parsed: \(error.message)", kind: "XML with errors")
    }
  }

  // MARK: Clients

  private mutating func reviewClients(_ path: String) {
    guard fileExists(path), case .success(let document) = XIncludedDocument(path: path).document else { return }
    for client in document.root.descendants(tagged: "Client") {
      guard let name = client.name else { continue }
      do throws(ClientNameError) {
        _ = try ClientName(recorded: name)
      } catch {
        add("\(path):\(client.line)", .lost, "client \(name) cannot be used: \(error)", kind: "names of clients")
      }
    }
  }
}

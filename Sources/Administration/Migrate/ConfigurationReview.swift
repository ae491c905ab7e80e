import Core
import Formats
import Plugins
import ServerSettings

/// bcfg2.conf: options and plugins that mean something else here, or nothing.
struct ConfigurationReview {
  private let settings: Settings
  private(set) var findings: [Migration.Finding] = []
  private(set) var signsOf13: [String] = []

  init(_ settings: Settings) { self.settings = settings }

  mutating func review(_ file: INIFile) {
    reviewOptions(file)
    reviewValues()
    reviewPlaces()
    reviewPlugins()
  }

  private mutating func add(_ origin: SettingOrigin, _ level: Migration.Level, _ text: String) {
    findings.append(Migration.Finding(place: origin.description, level: level, text: text))
  }

  /// Options that one version of Bcfg2 alone knows.
  private mutating func reviewOptions(_ file: INIFile) {
    let registry = PluginRegistry.standard.settings
    for section in file.sections {
      for name in section.order {
        guard let entry = section.entries[name], let definition = registry.definition(section.name, name) else {
          continue
        }
        if definition.availability == .only1_3 {
          signsOf13.append("\(entry.origin): [\(section.name)] \(entry.spelling)")
          add(entry.origin, .note, "[\(section.name)] \(entry.spelling) is an option of 1.3 alone")
        }
      }
    }
  }

  /// Values that are taken for others.
  private mutating func reviewValues() {
    let options = ServerOptions.standard
    let monitor = settings[options.fileMonitor]
    if ["gamin", "fam"].contains(monitor) {
      add(settings.origin(of: options.fileMonitor), .differs, "filemonitor = \(monitor) means inotify here")
    }
    if settings[options.backend] == "cherrypy" {
      add(
        settings.origin(of: options.backend), .lost,
        "the server does not start with backend = cherrypy, since CherryPy is Python's: use builtin, or nio in its place"
      )
    }
    if settings[options.backend] == "nio" {
      add(
        settings.origin(of: options.backend), .note,
        "backend = nio needs a bcfg2-server that was built with it (docs/core.md): others do not start")
    }
    if settings[options.transportProtocol] == "xmlrpc/ssl" {
      add(settings.origin(of: options.transportProtocol), .differs, "xmlrpc/ssl is TLS 1.2 and later here")
    } else {
      add(
        settings.origin(of: options.transportProtocol), .note,
        "xmlrpc/tlsv1 accepts clients with TLS 1.0; set protocol = xmlrpc/ssl once all have a newer one")
    }
    if settings[options.encoding].asciiLowercased != "utf-8" {
      add(
        settings.origin(of: options.encoding), .note,
        "texts are read in \(settings[options.encoding]), and names of files are bytes")
    }
    reviewDatabase()
    let transport = settings[ReportingOptions.standard.transport]
    if settings.plugins.contains("Reporting"), !["DirectStore", "LocalFilesystem"].contains(transport) {
      add(
        settings.origin(of: ReportingOptions.standard.transport), .lost,
        "\(transport) does not exist here: DirectStore, where the server starts the collector, or LocalFilesystem")
    }
  }

  /// Folders that the server writes, and that the units of systemd do not let it write.
  private mutating func reviewPlaces() {
    let options = ServerOptions.standard
    var folders: [(folder: String, origin: SettingOrigin)] = [
      (settings.repository, settings.origin(of: options.repository))
    ]
    if let log = settings[options.logPath] {
      folders.append((Self.folder(of: log), settings.origin(of: options.logPath)))
    }
    let databases = DatabaseOptions.standard
    if settings[databases.engine] == "sqlite3" {
      folders.append((Self.folder(of: settings[databases.name]), settings.origin(of: databases.name)))
    }
    var told: [String] = []
    for (folder, origin) in folders {
      let isWritable = (Self.writableByUnits + told).contains { folder == $0 || folder.hasPrefix("\($0)/") }
      if isWritable || !folder.hasPrefix("/") { continue }
      told.append(folder)
      add(
        origin, .note,
        "under systemd the server may write \(folder) only if its units have ReadWritePaths=\(folder) (docs/systemd.md)"
      )
    }
  }

  /// What the units in packaging/systemd have among `ReadWritePaths=` and `LogsDirectory=`.
  private static let writableByUnits = ["/var/lib/bcfg2", "/var/log/bcfg2"]

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private mutating func reviewDatabase() {
    let engine = settings.origin(of: "database", "engine")
    do {
      _ = try settings.serverDatabase
      _ = try settings.reportingDatabase
    } catch {
      add(engine, .lost, "the database cannot be used: \(error)")
    }
  }

  // MARK: Plugins

  private mutating func reviewPlugins() {
    let registry = PluginRegistry.standard
    let origin = settings.origin(of: ServerOptions.standard.plugins)
    for name in settings.plugins {
      if let advice = registry.retired[name] {
        add(origin, .lost, "plugin \(name) exists no more: \(advice)")
      } else if registry.type(named: name) == nil {
        let names = registry.all.map { $0.name }
        add(origin, .lost, "unknown plugin \(name)\(NearestName.hint(name, among: names))")
      } else if let text = Self.differences[name] {
        add(origin, .differs, "plugin \(name): \(text)")
      }
      if Self.pluginsOf13.contains(name) { signsOf13.append("plugin \(name)") }
    }
    if !settings.plugins.contains("Metadata") {
      add(origin, .lost, "the plugin Metadata is not among the plugins: the server does not start")
    }
  }

  /// Plugins that 1.4 has no more, and this server has.
  private static let pluginsOf13: Set<String> = ["Base", "SSLCA", "TCheetah", "TGenshi"]

  /// What an administrator has to know of a plugin; docs/plugins has all of it.
  private static let differences: [String: String] = [
    "Base": "is deprecated: use a bundle with independent=\"true\"",
    "FileProbes": "files of which clients report different permissions get a Client element each in info.xml",
    "Guppy": "logs figures of the process, and opens no console",
    "Ldap":
      "config.py runs in Python 3, with the package python3-ldap, unless [templates] names another interpreter (docs/plugins/Ldap.md)",
    "Metadata":
      "clients.xml is changed in place, and comments stay; names of clients follow rules (docs/plugins/Metadata.md)",
    "Packages": "bcfg2-packages fetches and indexes the sources: run bcfg2-packages refresh before the first start",
    "Probes": "the output of each client is in a file below Probes/probed.d; probed.xml is a copy",
    "Reporting": "bcfg2-report-collector takes reports over from a spool; run bcfg2-admin initreports once",
    "Rules": "a rule file whose priority is no number keeps the last one that was",
    "SSHbase": "a missing public key is made from the private one, which stays",
    "SSLCA": "certificates are signed with SHA-256",
    "TCheetah": "is deprecated: use .cheetah files of Cfg",
    "TGenshi": "is deprecated: use .genshi files of Cfg",
    "TemplateHelper": "modules run in Python 3 unless [templates] names another interpreter (docs/templates.md)",
    "Trigger": "programs that run longer than [server] program_timeout are ended",
  ]
}

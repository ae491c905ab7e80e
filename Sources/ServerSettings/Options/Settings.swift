public import Formats

/// `[caching] client_metadata`: how long client metadata is kept. `on` is `cautious`.
public nonisolated enum MetadataCacheMode: String, Sendable, Hashable {
  case off, initial, cautious, aggressive
}

/// What a value of a setting is if the whole world follows this version.
public nonisolated enum Compatibility: String, Sendable, Hashable {
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v1_3 = "1.3"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v1_4 = "1.4"
}

/// All options of one start: bcfg2.conf, command line and environment, checked and typed.
///
/// What the core and its own plugins use stands here as stored properties; everything else that the registry defines is
/// at `value(_:_:)`. A value, so that a reload is a new one beside the old; tests make one with `Settings()` and set
/// what they need.
public nonisolated struct Settings: Sendable {
  // MARK: [server]

  /// `repository`: absolute path.
  public var repository = "/var/lib/bcfg2"
  /// `plugins`, in the order to load them.
  public var plugins = SettingRegistry.standardPlugins
  /// `filemonitor`: `default`, `inotify`, `pseudo`, or the older `gamin` and `fam`.
  public var fileMonitor = "default"
  /// `fam_blocking`: the repository is read before the first client is served.
  public var isFileMonitorBlocking = true
  /// `ignore_files`: patterns of fnmatch.
  public var ignoredFiles = SettingRegistry.standardIgnoredFiles
  /// `repository_grace`: how long what was read last is served while the repository is away; nil: without end, as 0 says.
  public var repositoryGrace: Duration? = .seconds(600)
  /// `listen_all`.
  public var listensOnAll = false
  /// `backend`: `best`, `builtin`, `multiprocessing`, `cherrypy`.
  public var backend = "best"
  /// `children` of the multiprocessing core; nil: as many as processors.
  public var children: Int?
  /// `umask`.
  public var umask: UInt32 = 0o077
  /// `user`, as a number.
  public var user: UInt32 = 0
  /// `group`, as a number.
  public var group: UInt32 = 0
  /// `vcs_root`: absolute path; nil with 1.3: the repository.
  public var versionControlRoot: String?
  /// `compatibility`.
  public var compatibility = Compatibility.v1_4

  // MARK: [communication] and [components]

  /// `password`; nil: none was set, and no client can authenticate by password.
  public var password: String?
  /// `certificate`: absolute path.
  public var certificate = "/etc/pki/tls/certs/bcfg2.crt"
  /// `key`: absolute path.
  public var key = "/etc/pki/tls/private/bcfg2.key"
  /// `ca`: absolute path; nil: client certificates are not asked for.
  public var certificateAuthority: String?
  /// `protocol`: `xmlrpc/ssl` or `xmlrpc/tlsv1`.
  public var transportProtocol = "xmlrpc/tlsv1"
  /// `authentication`: `cert`, `bootstrap`, `cert+password`.
  public var authentication = "cert+password"
  /// `[components] bcfg2`: where the server listens.
  public var location = ServerLocation(host: "localhost")
  /// `[components] encoding` of the repository's files.
  public var encoding = "UTF-8"

  // MARK: [logging] and [caching]

  /// `path`: absolute; nil: no log file.
  public var logPath: String?
  /// `syslog`.
  public var logsToSyslog = true
  /// `debug`.
  public var debug = false
  /// `verbose`.
  public var verbose = false
  /// `performance`: execution times are logged at every `performanceInterval`.
  public var logsPerformance = false
  /// `performance_interval`; nil: never, as 0 says.
  public var performanceInterval: Duration? = .seconds(300)
  /// `[caching] client_metadata`.
  public var clientMetadataCache = MetadataCacheMode.off
  /// `[caching] configurations`: bytes for answers that may be given again; 0 keeps none.
  public var answerCacheBytes = 32 << 20

  // MARK: [mdata]

  /// Attributes of Path entries that nobody gave any: owner, group, mode, secontext, important, paranoid, sensitive.
  public var pathDefaults = PathDefaults()

  /// `[mdata]`, as text, because it goes into attributes as text.
  public struct PathDefaults: Sendable, Hashable {
    public var owner = "root"
    public var group = "root"
    public var mode = "644"
    public var secontext = "__default__"
    public var important = "false"
    public var paranoid = "true"
    public var sensitive = "false"

    /// The built-in defaults.
    public init() {}
  }

  // MARK: Plugins

  /// `[metadata] use_database`.
  public var metadataUsesDatabase = false
  /// `[probes] use_database`.
  public var probesUseDatabase = false
  /// `[probes] layout`: `client` or `file`.
  public var probesLayout = "client"
  /// `[probes] allowed_groups`: regular expressions, each to be anchored at both ends.
  public var probesAllowedGroups = [".*"]
  /// `[cfg] validation`: `:test` scripts run.
  public var cfgValidation = true
  /// `[properties] writes_enabled`.
  public var propertiesWritesEnabled = true
  /// `[properties] automatch`.
  public var propertiesAutomatch = false
  /// `[rules] regex`.
  public var rulesRegex = false
  /// `[rules] replace_name`.
  public var rulesReplaceName = false
  /// `[defaults] replace_name`.
  public var defaultsReplaceName = false
  /// `[encryption]`: passphrases by name as written.
  public var passphrases: [String: String] = [:]
  /// `[encryption] algorithm`, in the form of 1.4: lower case with underscores.
  public var encryptionAlgorithm = "aes_256_cbc"
  /// `[encryption] lax_decryption`, or `decrypt = lax` of 1.3.
  public var decryptsLaxly = false
  /// `[database]`.
  public var database = Database()

  /// `[database]`: where plugins keep what must not be lost.
  public struct Database: Sendable, Hashable {
    /// `sqlite3`, `mysql`, `postgresql`.
    public var engine = "sqlite3"
    /// With sqlite3 a path, else a name.
    public var name = "/var/lib/bcfg2/etc/bcfg2.sqlite"
    public var user: String?
    public var password: String?
    public var host: String?
    public var port: String?
    public var schema = "public"
    public var options: [String: PythonLiteral] = [:]

    /// The built-in defaults.
    public init() {}
  }

  // MARK: The process

  /// `-C`, `BCFG2_CONFIG_FILE`, `BCFG2_CONFIG`, or /etc/bcfg2.conf: absolute path.
  public var configurationFile = "/etc/bcfg2.conf"
  /// `-D`: absolute path of the pid file; nil: stay in the foreground.
  public var pidFile: String?
  /// What is probably a mistake in the files, for the log.
  public internal(set) var warnings: [SettingsWarning] = []

  /// The files that were read.
  public internal(set) var files = ConfigurationFiles()

  var table: [SettingDefinition.Place: Setting] = [:]
  var registry = SettingRegistry.standard

  /// The built-in defaults of 1.4; no file is read.
  public init() {}

  /// The value of an option of the registry with its origin; nil if it is neither set nor has a default.
  public func value(_ section: String, _ option: String) -> Setting? {
    let place = SettingDefinition.Place(section: section, option: option.asciiLowercased)
    if let setting = table[place] { return setting }
    guard let definition = registry.definition(section, option),
      let standard = compatibility == .v1_3 ? definition.standard13 ?? definition.standard : definition.standard,
      let value = definition.kind.parse(standard, repository: repository)
    else { return nil }
    return Setting(value: value, origin: .builtIn)
  }

  /// Who set an option; `.builtIn` if nobody did.
  public func origin(of section: String, _ option: String) -> SettingOrigin {
    table[SettingDefinition.Place(section: section, option: option.asciiLowercased)]?.origin ?? .builtIn
  }

  /// Options of a section that the files set, by name in lower case; for wildcard sections.
  public func options(of section: String) -> [String] {
    table.keys.lazy.filter { $0.section == section }.map(\.option).sorted()
  }

  /// Sections with this beginning that the files have options in, such as `sslca_`.
  public func sections(withPrefix prefix: String) -> [String] {
    Set(table.keys.lazy.map(\.section).filter { $0.hasPrefix(prefix) }).sorted()
  }

  /// The error for a value that passed its kind's rules and is wrong all the same, such as a regular expression that
  /// does not compile.
  public func wrongValue(_ section: String, _ option: String, value: String, allowed: String) -> SettingsError {
    .wrongValue(
      origin: origin(of: section, option), section: section, option: option, value: value, allowed: allowed)
  }
}

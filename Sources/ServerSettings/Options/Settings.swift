import Formats

/// All options of one start: bcfg2.conf, command line and environment, checked and typed.
///
/// `settings[option]` is the value of a declared option, `settings.listensOnAll` that of one of `ServerOptions`. A value, so
/// that a reload is a new one beside the old; tests make one with `Settings()` and set what they need.
@dynamicMemberLookup
public nonisolated struct Settings: Sendable {
  /// `[server] repository`: absolute path.
  public var repository: String
  /// `[server] compatibility`.
  public var compatibility: Compatibility
  /// `[mdata]`: attributes of Path entries that nobody gave any.
  public var pathDefaults: PathDefaults

  /// `[mdata]`, as text, because it goes into attributes as text.
  public struct PathDefaults: Sendable, Hashable {
    public var owner: String
    public var group: String
    public var mode: String
    public var secontext: String
    public var important: String
    public var paranoid: String
    public var sensitive: String
  }

  /// `-C`, `BCFG2_CONFIG_FILE`, `BCFG2_CONFIG`, or /etc/bcfg2.conf: absolute path.
  public var configurationFile = Settings.standardFile
  static let standardFile = "/etc/bcfg2.conf"
  /// `-D`: absolute path of the pid file; nil: stay in the foreground.
  public var pidFile: String?
  /// Probable mistakes in the files, for the log.
  public internal(set) var warnings: [SettingsWarning] = []

  /// The files that were read.
  public internal(set) var files = ConfigurationFiles()

  var table: [SettingDefinition.Place: Setting] = [:]
  var registry = SettingRegistry.server

  /// The built-in defaults of 1.4; no file is read.
  public init() {
    let options = ServerOptions.standard
    compatibility = options.compatibility.standard(.v1_4, repository: "")
    repository = options.repository.standard(compatibility, repository: "")
    func text(_ option: Option<String>) -> String { option.standard(.v1_4, repository: "") }
    pathDefaults = PathDefaults(
      owner: text(options.pathOwner), group: text(options.pathGroup), mode: text(options.pathMode),
      secontext: text(options.pathContext), important: text(options.pathIsImportant),
      paranoid: text(options.pathIsParanoid), sensitive: text(options.pathIsSensitive))
  }

  /// The value of an option of the server.
  public subscript<Value>(dynamicMember option: KeyPath<ServerOptions, Option<Value>>) -> Value {
    get { self[ServerOptions.standard[keyPath: option]] }
    set { self[ServerOptions.standard[keyPath: option]] = newValue }
  }

  /// The value of an option of the registry with its origin; nil if it is neither set nor has a default.
  public func value(_ section: String, _ option: String) -> Setting? {
    let place = SettingDefinition.Place(section: section, option: option.asciiLowercased)
    if let setting = table[place] { return setting }
    guard let definition = registry.definition(section, option),
      let standard = definition.standard(compatibility),
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

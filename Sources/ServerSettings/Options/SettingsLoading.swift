import Formats
public import Glibc

nonisolated extension Settings {
  /// Reads the configuration of a start: the command line decides before the file, the file before the default.
  ///
  /// - Parameters:
  ///   - commandLine: what was typed; it also names the file.
  ///   - registry: all options to read; modules with options of their own add theirs.
  ///   - files: texts to take in place of what the disk has; nil: everything is read.
  ///   - environment: looks an environment variable up. Only the file's path comes from there, as in Bcfg2.
  /// - Throws: the first error, with its place. Without a readable file there is no start, as with 1.3.4.
  public static func load(
    _ commandLine: CommandLineOptions, registry: SettingRegistry = .standard,
    files: ConfigurationFiles? = nil, environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }
  ) throws(SettingsError) -> Settings {
    let path = commandLine.configurationFile ?? environment("BCFG2_CONFIG_FILE") ?? environment("BCFG2_CONFIG")
    let file = Paths.absolute(path ?? "/etc/bcfg2.conf")
    var files = files ?? ConfigurationFiles()
    let parsed = try INIFile(bytes: files.contents(path: file), path: file)
    var settings = try Settings(parsed, commandLine: commandLine, registry: registry, files: files)
    settings.configurationFile = file
    if let warning = settings.missingPassword(in: parsed) { settings.warnings.append(warning) }
    return settings
  }

  /// Checks and types the values of a parsed file.
  public init(
    _ file: INIFile, commandLine: CommandLineOptions = CommandLineOptions(), registry: SettingRegistry = .standard,
    files: ConfigurationFiles = ConfigurationFiles()
  ) throws(SettingsError) {
    self.init()
    self.registry = registry
    self.files = files
    var source = Source(file: file, commandLine: commandLine)
    if let version = try source.find(registry.definition("server", "compatibility")) {
      compatibility = Compatibility(rawValue: version.text) ?? .v1_4
    }
    if let found = try source.find(registry.definition("server", "repository")), !found.text.isEmpty {
      repository = Paths.absolute(found.text)
    }
    try readFurtherFile(&source)
    for definition in registry.definitions { try read(definition, from: &source) }
    warnings += source.warnings + source.file.warnings + mistakes(in: source.file)
    pidFile = commandLine.pidFile.map(Paths.absolute)
    try assign()
  }

  /// Where raw values come from, in order of precedence.
  private struct Source {
    var file: INIFile
    let commandLine: CommandLineOptions
    var warnings: [SettingsWarning] = []

    /// The raw value of a definition without wildcards, and its place.
    mutating func find(_ definition: SettingDefinition?) throws(SettingsError) -> (text: String, origin: SettingOrigin)?
    {
      guard let definition else { return nil }
      let place = SettingDefinition.Place(section: definition.section, option: definition.option)
      if let typed = commandLine.values[place] { return (typed.text, .commandLine(typed.option)) }
      for place in [place] + definition.deprecated {
        guard let entry = file.entry(place.section, place.option),
          let text = try file.value(place.section, place.option)
        else { continue }
        if place.section != definition.section || place.option != definition.option {
          let old = "[\(place.section)] \(place.option) is deprecated"
          warnings.append(
            SettingsWarning(
              origin: entry.origin, text: "\(old), use [\(definition.section)] \(definition.option) instead"))
        }
        return (text, entry.origin)
      }
      return nil
    }
  }

  /// Puts the file that `[reporting] config` or `-W` names over the first, as 1.4 does.
  private mutating func readFurtherFile(_ source: inout Source) throws(SettingsError) {
    guard let definition = registry.definition("reporting", "config") else { return }
    let found = try source.find(definition)
    guard let text = found?.text ?? definition.standard, !text.isEmpty else { return }
    let path = Paths.absolute(text.replacing("<repository>", with: repository))
    if files.exists(path) {
      try source.file.read(bytes: files.contents(path: path), path: path)
    } else if let origin = found?.origin {
      source.warnings.append(SettingsWarning(origin: origin, text: "\(path) does not exist"))
    }
  }

  private mutating func read(_ definition: SettingDefinition, from source: inout Source) throws(SettingsError) {
    let sections =
      definition.section.hasSuffix("*")
      ? source.file.sections.map(\.name).filter { $0.hasPrefix(definition.section.dropLast()) } : [definition.section]
    for section in sections {
      if definition.option == "*" {
        for entry in source.file.section(section)?.order ?? []
        where registry.definition(section, entry) == definition && !registry.isForeign(section, entry) {
          guard let text = try source.file.value(section, entry), let found = source.file.entry(section, entry) else {
            continue
          }
          try store(text, of: definition, section: section, option: entry, origin: found.origin)
          if section == "encryption" { passphrases[found.spelling] = text }
        }
      } else if definition.section == section {
        guard let found = try source.find(definition) else { continue }
        try store(found.text, of: definition, section: section, option: definition.option, origin: found.origin)
      } else if let entry = source.file.entry(section, definition.option),
        let text = try source.file.value(section, definition.option)
      {
        try store(text, of: definition, section: section, option: definition.option, origin: entry.origin)
      }
    }
  }

  private mutating func store(
    _ text: String, of definition: SettingDefinition, section: String, option: String, origin: SettingOrigin
  ) throws(SettingsError) {
    // `ca =` means no CA; Python 1.4 would take the working folder for it.
    if definition.kind == .path, text.isEmpty { return }
    guard let value = definition.kind.parse(text, repository: repository) else {
      throw .wrongValue(
        origin: origin, section: section, option: option, value: definition.kind == .secret ? "..." : text,
        allowed: definition.kind.allowed)
    }
    table[SettingDefinition.Place(section: section, option: option)] = Setting(value: value, origin: origin)
  }

  /// Options that nobody reads in sections that are known, and sections whose names are near to those of known ones.
  /// Another section may be of a plugin or tool of the site's own.
  private func mistakes(in file: INIFile) -> [SettingsWarning] {
    var found: [SettingsWarning] = []
    for section in file.sections {
      guard registry.knows(section: section.name) || registry.isForeign(section.name, nil) else {
        guard let near = NearestName.of(section.name, among: registry.sectionNames) else { continue }
        let isCase = near.asciiLowercased == section.name.asciiLowercased
        let hint = isCase ? "section names are exact, this one is [\(near)]" : "did you mean [\(near)]?"
        found.append(
          SettingsWarning(
            origin: .file(path: section.path, line: section.line), text: "unknown section [\(section.name)]; \(hint)"))
        continue
      }
      for option in section.order where registry.definition(section.name, option) == nil {
        guard !registry.isForeign(section.name, option), let entry = section.entries[option] else { continue }
        found.append(
          SettingsWarning(
            origin: entry.origin,
            text: "unknown option \(entry.spelling) in [\(section.name)], ignored\(hint(option, in: section.name))"))
      }
    }
    return found
  }

  /// What may have been meant by an option that a section does not have.
  private func hint(_ option: String, in section: String) -> String {
    let near = NearestName.hint(option, among: registry.optionNames(of: section))
    guard near.isEmpty else { return near }
    let others = registry.sections(with: option)
    guard !others.isEmpty, others.count <= 3 else { return "" }
    return "; it belongs to \(others.map { "[\($0)]" }.joined(separator: " or "))"
  }

  /// What it means that clients have no common password to come with; nil where they have one.
  private func missingPassword(in file: INIFile) -> SettingsWarning? {
    guard password?.isEmpty ?? true, authentication == "cert+password" || authentication == "bootstrap" else {
      return nil
    }
    let entry = file.entry("communication", "password")
    let origin =
      entry?.origin
      ?? file.section("communication").map { .file(path: $0.path, line: $0.line) }
      ?? .file(path: configurationFile, line: 1)
    if password != nil {
      return SettingsWarning(
        origin: origin, text: "[communication] password is empty: whoever gives no password is let in as any client")
    }
    return SettingsWarning(
      origin: origin,
      text: "[communication] password is not set: clients get 401 unless clients.xml gives them a password"
        + (certificateAuthority == nil ? "" : " or they come with a certificate that is enough by itself"))
  }
}

// MARK: - Stored properties

nonisolated extension Settings {
  private func text(_ section: String, _ option: String) -> String? { value(section, option)?.value.text }
  private func flag(_ section: String, _ option: String) -> Bool { value(section, option)?.value.boolean ?? false }
  private func number(_ section: String, _ option: String) -> Int? { value(section, option)?.value.integer }
  private func list(_ section: String, _ option: String) -> [String] { value(section, option)?.value.list ?? [] }

  /// Fills the stored properties from the table and the defaults.
  private mutating func assign() throws(SettingsError) {
    plugins = list("server", "plugins").filter { !$0.isEmpty }
    fileMonitor = text("server", "filemonitor") ?? fileMonitor
    isFileMonitorBlocking = flag("server", "fam_blocking")
    ignoredFiles = list("server", "ignore_files")
    repositoryGrace = value("server", "repository_grace")?.value.duration
    listensOnAll = flag("server", "listen_all")
    backend = text("server", "backend") ?? backend
    children = number("server", "children")
    umask = number("server", "umask").map { UInt32($0) } ?? umask
    user = number("server", "user").map { UInt32($0) } ?? user
    group = number("server", "group").map { UInt32($0) } ?? group
    versionControlRoot = text("server", "vcs_root")

    password = text("communication", "password")
    certificate = text("communication", "certificate") ?? certificate
    key = text("communication", "key") ?? key
    certificateAuthority = text("communication", "ca")
    transportProtocol = text("communication", "protocol") ?? transportProtocol
    authentication = text("communication", "authentication") ?? authentication
    if case .location(let found)? = value("components", "bcfg2")?.value { location = found }
    encoding = text("components", "encoding") ?? encoding
    guard TextEncoding(encoding).isKnown else {
      throw wrongValue("components", "encoding", value: encoding, allowed: "an encoding that iconv has: iconv -l")
    }

    logPath = text("logging", "path")
    logsToSyslog = flag("logging", "syslog")
    debug = flag("logging", "debug")
    verbose = flag("logging", "verbose")
    logsPerformance = flag("logging", "performance")
    performanceInterval = value("logging", "performance_interval")?.value.duration
    let mode = text("caching", "client_metadata") ?? "off"
    clientMetadataCache = mode == "on" ? .cautious : MetadataCacheMode(rawValue: mode) ?? .off
    answerCacheBytes = value("caching", "configurations")?.value.integer ?? answerCacheBytes

    pathDefaults.owner = text("mdata", "owner") ?? pathDefaults.owner
    pathDefaults.group = text("mdata", "group") ?? pathDefaults.group
    pathDefaults.mode = text("mdata", "mode") ?? pathDefaults.mode
    pathDefaults.secontext = text("mdata", "secontext") ?? pathDefaults.secontext
    pathDefaults.important = text("mdata", "important") ?? pathDefaults.important
    pathDefaults.paranoid = text("mdata", "paranoid") ?? pathDefaults.paranoid
    pathDefaults.sensitive = text("mdata", "sensitive") ?? pathDefaults.sensitive

    metadataUsesDatabase = flag("metadata", "use_database")
    probesUseDatabase = flag("probes", "use_database")
    probesLayout = text("probes", "layout") ?? probesLayout
    probesAllowedGroups = list("probes", "allowed_groups")
    cfgValidation = flag("cfg", "validation")
    propertiesWritesEnabled = flag("properties", "writes_enabled")
    propertiesAutomatch = flag("properties", "automatch")
    rulesRegex = flag("rules", "regex")
    rulesReplaceName = flag("rules", "replace_name")
    defaultsReplaceName = flag("defaults", "replace_name")
    encryptionAlgorithm =
      text("encryption", "algorithm")?.asciiLowercased.replacing("-", with: "_") ?? encryptionAlgorithm
    decryptsLaxly = flag("encryption", "lax_decryption") || text("encryption", "decrypt") == "lax"

    database.engine = text("database", "engine") ?? database.engine
    database.name = text("database", "name") ?? database.name
    database.user = text("database", "user")
    database.password = text("database", "password")
    database.host = text("database", "host")
    database.port = text("database", "port")
    database.schema = text("database", "schema") ?? database.schema
    database.options = value("database", "options")?.value.dictionary ?? [:]
  }
}

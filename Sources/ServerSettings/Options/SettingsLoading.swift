import Formats
public import Glibc

nonisolated extension Settings {
  /// Reads the configuration of a start: the command line decides before the file, the file before the default.
  ///
  /// - Parameters:
  ///   - commandLine: what was typed; it also names the file.
  ///   - registry: all options to read, those of plugins among them.
  ///   - files: texts to use in place of those on disk; nil: everything is read.
  ///   - environment: looks an environment variable up. The file's path comes from there, as in
  ///     Bcfg2, and the folder of systemd's credentials.
  /// - Throws: the first error, with its place. Without a readable file there is no start, as with 1.3.4.
  public static func load(
    _ commandLine: CommandLineOptions, registry: SettingRegistry,
    files: ConfigurationFiles? = nil, environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }
  ) throws(SettingsError) -> Settings {
    let path = commandLine.configurationFile ?? environment("BCFG2_CONFIG_FILE") ?? environment("BCFG2_CONFIG")
    let file = Paths.absolute(path ?? standardFile)
    var files = files ?? ConfigurationFiles()
    let parsed = try INIFile(bytes: files.contents(path: file), path: file)
    var settings = try Settings(parsed, commandLine: commandLine, registry: registry, files: files)
    settings.configurationFile = file
    if let folder = environment("CREDENTIALS_DIRECTORY"), !folder.isEmpty {
      try settings.readCredentials(of: Paths.absolute(folder), commandLine: commandLine)
    }
    if let warning = settings.doubtfulPassword(in: parsed) { settings.warnings.append(warning) }
    settings.warnings += settings.idleOptions()
    return settings
  }

  /// Checks and types the values of a parsed file.
  public init(
    _ file: INIFile, commandLine: CommandLineOptions = CommandLineOptions(), registry: SettingRegistry,
    files: ConfigurationFiles = ConfigurationFiles()
  ) throws(SettingsError) {
    self.init()
    self.registry = registry
    self.files = files
    var source = Source(file: file, commandLine: commandLine)
    // What the defaults and values of others are made from comes first.
    let options = ServerOptions.standard
    try read(options.compatibility.definition, from: &source)
    compatibility = self[options.compatibility]
    try read(options.repository.definition, from: &source)
    repository = self[options.repository]
    try readFurtherFile(&source)
    for definition in registry.definitions { try read(definition, from: &source) }
    warnings += source.warnings + source.file.warnings + mistakes(in: source.file)
    pidFile = commandLine.pidFile.map(Paths.absolute)
    pathDefaults = PathDefaults(
      owner: self.pathOwner, group: self.pathGroup, mode: self.pathMode, secontext: self.pathContext,
      important: self.pathIsImportant, paranoid: self.pathIsParanoid, sensitive: self.pathIsSensitive)
    guard TextEncoding(self.encoding).isKnown else {
      throw wrongValue(options.encoding, value: self.encoding, allowed: "an encoding that iconv has: iconv -l")
    }
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

  /// Reads the file that `[reporting] config` or `-W` names over the first one, as 1.4 does. The standard one, which nobody named,
  /// may be for the user of the report pages alone: whoever may not read it goes without.
  private mutating func readFurtherFile(_ source: inout Source) throws(SettingsError) {
    let definition = ReportingOptions.standard.furtherFile.definition
    let found = try source.find(definition)
    guard let text = found?.text ?? definition.standard, !text.isEmpty else { return }
    let path = Paths.absolute(text.replacing("<repository>", with: repository))
    if found == nil, files.isForbidden(path) { return }
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
          try store(text, of: definition, section: section, option: entry, found.origin, spelling: found.spelling)
        }
      } else if definition.section == section {
        guard let found = try source.find(definition) else { continue }
        try store(found.text, of: definition, section: section, option: definition.option, found.origin)
      } else if let entry = source.file.entry(section, definition.option),
        let text = try source.file.value(section, definition.option)
      {
        try store(text, of: definition, section: section, option: definition.option, entry.origin)
      }
    }
  }

  private mutating func store(
    _ text: String, of definition: SettingDefinition, section: String, option: String, _ origin: SettingOrigin,
    spelling: String? = nil
  ) throws(SettingsError) {
    // `ca =` means no CA; Python 1.4 would take the working folder for it.
    if definition.kind == .path, text.isEmpty { return }
    guard let value = definition.kind.parse(text, repository: repository) else {
      throw .wrongValue(
        origin: origin, section: section, option: option, value: definition.kind == .secret ? "..." : text,
        allowed: definition.kind.allowed + (definition.kind.problem(in: text).map { "; \($0)" } ?? ""))
    }
    table[SettingDefinition.Place(section: section, option: option)] = Setting(
      value: value, origin: origin, wildcardName: spelling)
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

  /// A hint at the option that was probably meant.
  private func hint(_ option: String, in section: String) -> String {
    let near = NearestName.hint(option, among: registry.optionNames(of: section))
    guard near.isEmpty else { return near }
    let others = registry.sections(with: option)
    guard !others.isEmpty, others.count <= 3 else { return "" }
    return "; it belongs to \(others.map { "[\($0)]" }.joined(separator: " or "))"
  }

  /// Options that do nothing, because another one that they need is not set.
  private func idleOptions() -> [SettingsWarning] {
    let options = ServerOptions.standard
    func warning<Value>(_ option: Option<Value>, _ text: String) -> SettingsWarning {
      SettingsWarning(
        origin: origin(of: option), text: "[\(option.place.section)] \(option.place.option) \(text)", isOfServing: true)
    }
    var found: [SettingsWarning] = []
    if self.certificateAuthority == nil {
      if !self.acceptsPasswords {
        found.append(warning(options.acceptsPasswords, "= no without ca: no client has a certificate that counts"))
      }
      if self.revocationLists != nil {
        found.append(warning(options.revocationLists, "has no effect without ca: no client is asked for a certificate"))
      }
    }
    if (self.trustedProxies ?? []).isEmpty {
      if self.readsProxyHeader {
        found.append(warning(options.readsProxyHeader, "has no effect without trusted_proxies"))
      }
      if self.forwardedHeader != .no {
        found.append(warning(options.forwardedHeader, "has no effect without trusted_proxies"))
      }
    }
    return found
  }

  /// A warning that clients have no common password, or one that they cannot send, and what follows from that; nil if all is well.
  private func doubtfulPassword(in file: INIFile) -> SettingsWarning? {
    // Bcfg2/bcfg2: src/lib/Bcfg2/Client/Proxy.py: it quotes a password for a form and unquotes it as one of a path.
    if self.acceptsPasswords, self.password?.contains(" ") ?? false {
      return SettingsWarning(
        origin: origin(of: "communication", "password"),
        text: "[communication] password has blanks: Bcfg2's clients send a + for each, and get 401")
    }
    guard self.acceptsPasswords, self.password?.isEmpty ?? true,
      self.authentication == "cert+password" || self.authentication == "bootstrap"
    else {
      return nil
    }
    let entry = file.entry("communication", "password")
    let origin =
      entry?.origin
      ?? file.section("communication").map { .file(path: $0.path, line: $0.line) }
      ?? .file(path: configurationFile, line: 1)
    if self.password != nil {
      return SettingsWarning(
        origin: origin, text: "[communication] password is empty: whoever gives no password is let in as any client",
        isOfServing: true)
    }
    return SettingsWarning(
      origin: origin,
      text: "[communication] password is not set: clients get 401 unless clients.xml gives them a password"
        + (self.certificateAuthority == nil ? "" : " or they come with a certificate that is enough by itself"),
      isOfServing: true)
  }
}

import Formats

/// What kind of text an option takes, and what becomes of it.
public nonisolated enum SettingKind: Sendable, Hashable {
  /// Any text, as it is.
  case text
  /// Any text, never shown in messages.
  case secret
  /// Text in which `<repository>` stands for the repository's path.
  case macroText
  /// A path: `<repository>` and `~` are expanded, and it is made absolute and normal.
  case path
  /// A program: a path, or a name without a slash, which is looked up in PATH.
  case program
  /// 1, yes, true, on, 0, no, false, off in any case.
  case boolean
  /// As `boolean`, and also `enabled` and `disabled`, as in `[packages]`.
  case enabled
  /// A whole number within bounds.
  case integer(ClosedRange<Int>)
  /// Seconds with a fraction, 0 or more.
  case seconds
  /// Seconds with a fraction; 0 or less means no limit and gives `.none`.
  case timeout
  /// A file mode or mask in octal digits.
  case octal(ClosedRange<Int>)
  /// Bytes, with a suffix of k, m, g or t (powers of 1024) in either case.
  case size
  /// Texts between commas.
  case commaList
  /// Texts between white space, such as `[probes] allowed_groups`.
  case wordList
  /// One of these texts, exactly.
  case choice([String])
  /// One of these texts in any case; the value is the listed spelling.
  case choiceInAnyCase([String])
  /// A user's name or number; the value is the number.
  case user
  /// A group's name or number; the value is the number.
  case group
  /// A dictionary as a Python literal, or 1.3's `name=value,name=value`.
  case dictionary
  /// `https://host:port`; the port may be left out and is 6789 then.
  case location
}

/// Which Bcfg2 server knows an option.
public nonisolated enum SettingAvailability: Sendable, Hashable {
  /// Both 1.3.4 and 1.4.
  case always
  /// 1.3.4 only; read and kept, so that a 1.3 file gives no warning.
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case only1_3
  /// 1.4 only.
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case only1_4
  /// Our own.
  case ours
}

/// One option of the configuration file: where it stands, what it takes, what it is if nobody sets it.
///
/// A module that needs an option of its own makes definitions and adds them to a `SettingRegistry`; its values are then
/// at `settings.value(section, option)`.
public nonisolated struct SettingDefinition: Sendable, Hashable {
  /// The section, exactly; a `*` at its end stands for any rest (`sslca_*`).
  public let section: String
  /// The option in lower case; `*` stands for every option of the section that has no definition.
  public let option: String
  public let kind: SettingKind
  /// The default as it would be written in the file, or nil: not set.
  public let standard: String?
  /// The default of 1.3.4 where it differs from 1.4's; outer nil means that it does not.
  public let standard13: String??
  public let availability: SettingAvailability
  /// Older places of the same option, tried in order; using one gives a warning.
  public let deprecated: [Place]
  /// One sentence without a final period.
  public let help: String

  /// A section and an option.
  public struct Place: Sendable, Hashable {
    public let section: String
    public let option: String
  }

  /// Defines an option.
  public init(
    _ section: String, _ option: String, _ kind: SettingKind, default standard: String? = nil,
    default13: String?? = .none, _ availability: SettingAvailability = .always, deprecated: (String, String)? = nil,
    help: String
  ) {
    self.section = section
    self.option = option.asciiLowercased
    self.kind = kind
    self.standard = standard
    self.standard13 = default13
    self.availability = availability
    self.deprecated = deprecated.map { [Place(section: $0.0, option: $0.1)] } ?? []
    self.help = help
  }
}

/// All options that a server knows, and the sections in which an unknown one is worth a warning.
public nonisolated struct SettingRegistry: Sendable {
  private var known: [String: [String: SettingDefinition]] = [:]
  private var open: [String] = []
  private var foreign: Set<String> = []
  /// All definitions in the order of their addition.
  public private(set) var definitions: [SettingDefinition] = []

  /// Bcfg2's options, those of its other programs, and our own.
  public static let standard = SettingRegistry(
    serverSettings + pluginSettings + ClientDataOptions.standard.definitions + databaseSettings
      + NetworkLimits.settingDefinitions, foreign: foreignSettings)

  /// A registry of these definitions.
  ///
  /// - Parameter foreign: options of other programs that read the same file: never looked at, never warned about.
  ///   `*` stands for every option of the section.
  public init(_ definitions: [SettingDefinition] = [], foreign: [String: [String]] = [:]) {
    add(definitions)
    for (section, options) in foreign {
      for option in options { self.foreign.insert(section + "\n" + option.asciiLowercased) }
    }
  }

  /// Adds definitions; one for the same section and option replaces the older one.
  public mutating func add(_ more: [SettingDefinition]) {
    for definition in more {
      if known[definition.section, default: [:]].updateValue(definition, forKey: definition.option) != nil {
        definitions.removeAll { $0.section == definition.section && $0.option == definition.option }
      }
      if definition.section.hasSuffix("*"), !open.contains(definition.section) { open.append(definition.section) }
      definitions.append(definition)
    }
  }

  /// The definition that an option of a section follows, wildcards included.
  public func definition(_ section: String, _ option: String) -> SettingDefinition? {
    guard let options = options(of: section) else { return nil }
    return options[option.asciiLowercased] ?? options["*"]
  }

  /// Whether any definition is for this section, wildcards included.
  public func knows(section: String) -> Bool { options(of: section) != nil }

  /// Whether the option, or with nil any option of the section, belongs to another program.
  public func isForeign(_ section: String, _ option: String?) -> Bool {
    if foreign.contains(section + "\n*") { return true }
    guard let option else { return foreign.contains { $0.hasPrefix(section + "\n") } }
    return foreign.contains(section + "\n" + option.asciiLowercased)
  }

  /// Names of options that a section may have, without wildcards, sorted; nil for every section.
  func optionNames(of section: String?) -> [String] {
    let own =
      section.map { options(of: $0) ?? [:] } ?? known.values.reduce(into: [:]) { $0.merge($1) { one, _ in one } }
    let others = foreign.filter { section == nil || $0.hasPrefix(section! + "\n") }
      .compactMap { $0.split(separator: "\n").last.map(String.init) }
    return Set(own.keys).union(others).subtracting(["*"]).sorted()
  }

  /// Names of the sections that anything is read from, wildcards left out, sorted.
  var sectionNames: [String] {
    let others = foreign.compactMap { $0.split(separator: "\n").first.map(String.init) }
    return Set(known.keys).union(others).filter { !$0.hasSuffix("*") }.sorted()
  }

  /// The sections that define an option by this very name, sorted.
  func sections(with option: String) -> [String] {
    known.filter { $0.value[option.asciiLowercased] != nil }.keys.sorted()
  }

  private func options(of section: String) -> [String: SettingDefinition]? {
    if let exact = known[section] { return exact }
    return open.first { section.hasPrefix($0.dropLast()) }.flatMap { known[$0] }
  }
}

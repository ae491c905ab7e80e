import Formats

/// All options that a server knows, and the sections in which an unknown one is worth a warning.
public nonisolated struct SettingRegistry: Sendable {
  private var known: [String: [String: SettingDefinition]] = [:]
  private var open: [String] = []
  private var foreign: Set<String> = []
  /// All definitions in the order of their addition.
  public private(set) var definitions: [SettingDefinition] = []

  /// What the server itself reads, and what other programs read in the same file. Who makes the server adds the options of
  /// its plugins.
  public static let server = SettingRegistry(
    ServerOptions.standard.definitions + NetworkLimits.settingDefinitions + DatabaseOptions.standard.definitions
      + ReportingOptions.standard.definitions + MetricsOptions.standard.definitions, foreign: foreignSettings)

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

  /// This registry with the options of further groups.
  public func adding(_ groups: [any OptionGroup]) -> SettingRegistry {
    var registry = self
    for group in groups { registry.add(group.definitions) }
    return registry
  }

  /// The options whose new values wait for the next start, in the order of their addition.
  public var fixed: [SettingDefinition] { definitions.filter { $0.fixed != nil } }

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

import Formats
package import XMLRPC

/// One option of bcfg2.conf with the type of its value: `settings[option]` is what the file says, or the default.
///
/// The plugin or part of the server that reads an option declares it once, in an `OptionGroup`: section, name, what is
/// allowed, default, sentence. The table in docs/configuration.md, the messages for wrong values and the value's type come
/// from there.
///
/// ```swift
/// nonisolated struct ProbesOptions: OptionGroup {
///   static let standard = ProbesOptions()
///
///   let allowedGroups = Option("probes", "allowed_groups", .patterns, default: ".*", help: "Regular expressions of ...")
/// }
/// ```
public nonisolated final class Option<Value: Sendable>: DeclaredOption {
  public let definition: SettingDefinition
  let read: @Sendable (SettingValue) -> Value?
  let write: @Sendable (Value) -> SettingValue?
  let place: SettingDefinition.Place
  /// The value where the option is not set and has no default.
  private let absent: Value?
  /// The defaults of 1.4 and 1.3 that do not depend on anything, read once: some options are asked for by each request.
  private let constants: (of14: Value?, of13: Value?)

  /// An option with a default.
  ///
  /// - Parameters:
  ///   - section: exactly; a `*` at its end stands for any rest (`sslca_*`).
  ///   - option: the name in any case.
  ///   - default: as it would be written in the file.
  ///   - defaultOf13: the default of 1.3.4, where it is another one.
  ///   - fixed: why a new value waits for the next start; nil: the server follows it while it runs.
  ///   - deprecated: an older section and name of the same option.
  ///   - help: one sentence without a final period.
  public init(
    _ section: String, _ option: String, _ kind: OptionKind<Value>, default standard: String,
    defaultOf13: String? = nil, _ availability: SettingAvailability = .always, fixed: RestartReason? = nil,
    deprecated: (String, String)? = nil, help: String
  ) {
    definition = SettingDefinition(
      section, option, kind.kind, default: standard, default13: defaultOf13.map { .some($0) }, availability,
      fixed: fixed, deprecated: deprecated, help: help)
    read = kind.read
    write = kind.write
    absent = nil
    place = SettingDefinition.Place(section: definition.section, option: definition.option)
    constants = (definition.constant(.v1_4).flatMap(kind.read), definition.constant(.v1_3).flatMap(kind.read))
  }

  /// An option that has no default, or one with one version of Bcfg2 only: its value is nil where it is not set.
  public init<Set>(
    _ section: String, _ option: String, _ kind: OptionKind<Set>, defaultOf14: String? = nil,
    defaultOf13: String? = nil, _ availability: SettingAvailability = .always, fixed: RestartReason? = nil,
    deprecated: (String, String)? = nil, help: String
  ) where Value == Set? {
    definition = SettingDefinition(
      section, option, kind.kind, default: defaultOf14,
      default13: defaultOf14 == defaultOf13 ? .none : .some(defaultOf13), availability, fixed: fixed,
      deprecated: deprecated, help: help)
    read = { [read = kind.read] in read($0).map { .some($0) } }
    write = { [write = kind.write] in $0.map(write) }
    absent = .some(nil)
    place = SettingDefinition.Place(section: definition.section, option: definition.option)
    constants = (
      definition.constant(.v1_4).flatMap(kind.read).map { .some($0) },
      definition.constant(.v1_3).flatMap(kind.read).map { .some($0) }
    )
  }

  /// The value where nobody sets the option.
  func standard(_ compatibility: Compatibility, repository: String) -> Value {
    if let constant = compatibility == .v1_3 ? constants.of13 : constants.of14 { return constant }
    let text = definition.standard(compatibility)
    if let text, let value = definition.kind.parse(text, repository: repository).flatMap(read) { return value }
    guard let absent else {
      preconditionFailure("[\(definition.section)] \(definition.option) has a default that it does not allow")
    }
    return absent
  }
}

/// An option whose value may have any type.
public nonisolated protocol DeclaredOption: Sendable {
  var definition: SettingDefinition { get }
}

nonisolated extension SettingDefinition {
  /// The default, if it means the same whatever the repository, the working folder and the system.
  func constant(_ compatibility: Compatibility) -> SettingValue? {
    switch kind {
    case .path, .program, .macroText, .user, .group: nil
    default: standard(compatibility).flatMap { kind.parse($0, repository: "") }
    }
  }
}

/// The options of a plugin or of a part of the server: a structure with one constant for each.
public nonisolated protocol OptionGroup: Sendable {}

nonisolated extension OptionGroup {
  /// The definitions of the options in the order in which they are declared, for a `SettingRegistry`.
  public var definitions: [SettingDefinition] {
    Mirror(reflecting: self).children.compactMap { ($0.value as? any DeclaredOption)?.definition }
  }
}

/// The group of a plugin without options.
public nonisolated struct NoOptions: OptionGroup {
  public init() {}
}

nonisolated extension Settings {
  /// The value of an option. It need not be in a registry to have its default; to be read from the file it must.
  public subscript<Value>(option: Option<Value>) -> Value {
    get {
      if let set = table[option.place]?.value, let value = option.read(set) { return value }
      return option.standard(compatibility, repository: repository)
    }
    set { table[option.place] = option.write(newValue).map { Setting(value: $0, origin: .builtIn) } }
  }

  /// The value of an option of a section that a wildcard stands for, such as `[sslca_local]` for `sslca_*`.
  public subscript<Value>(option: Option<Value>, in section: String) -> Value {
    let place = SettingDefinition.Place(section: section, option: option.definition.option)
    if let set = table[place]?.value, let value = option.read(set) { return value }
    return option.standard(compatibility, repository: repository)
  }

  /// The values of an option named `*`, such as the passphrases of `[encryption]`, by their names as written.
  public func named<Value>(_ option: Option<Value?>) -> [String: Value] {
    let section = option.definition.section
    var found: [String: Value] = [:]
    for (place, setting) in table where place.section == section {
      guard let name = setting.wildcardName, let value = option.read(setting.value) ?? nil else { continue }
      found[name] = value
    }
    return found
  }

  /// Gives an option named `*` a value under a name.
  public mutating func set<Value>(_ option: Option<Value>, named name: String, to value: Value) {
    let place = SettingDefinition.Place(section: option.definition.section, option: name.asciiLowercased)
    table[place] = option.write(value).map { Setting(value: $0, origin: .builtIn, wildcardName: name) }
  }

  /// Who set an option; `.builtIn` if nobody did.
  public func origin<Value>(of option: Option<Value>) -> SettingOrigin {
    origin(of: option.definition.section, option.definition.option)
  }

  /// The error for a value that passed its kind's rules and is wrong all the same, such as a regular expression that
  /// does not compile.
  public func wrongValue<Value>(_ option: Option<Value>, value: String, allowed: String) -> SettingsError {
    wrongValue(option.definition.section, option.definition.option, value: value, allowed: allowed)
  }

  /// Refuses what is larger than an option allows.
  package func require(_ count: Int, within option: Option<Int>) throws(LimitExceeded) {
    let limit = self[option]
    guard count > limit else { return }
    throw LimitExceeded("[\(option.definition.section)] \(option.definition.option)", limit)
  }
}

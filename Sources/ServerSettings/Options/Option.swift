/// One option of bcfg2.conf with the type of its value: `settings[option]` is what the file says, or the default.
///
/// Who needs an option declares it once, in an `OptionGroup`: section, name, what is allowed, default, sentence. The
/// table in docs/configuration.md, the messages for wrong values and the value's type come from there.
///
/// ```swift
/// struct ProbesOptions: OptionGroup {
///   let allowedGroups = Option.words("probes", "allowed_groups", default: [".*"], help: "Regular expressions of ...")
/// }
/// ```
public nonisolated struct Option<Value: Sendable>: DeclaredOption {
  public let definition: SettingDefinition
  /// The typed value; nil for none of the definition's kind.
  let read: @Sendable (SettingValue) -> Value?
  /// The value where the option is not set and has no default in the file's form.
  let absent: Value?

  init(_ definition: SettingDefinition, absent: Value? = nil, _ read: @escaping @Sendable (SettingValue) -> Value?) {
    self.definition = definition
    self.absent = absent
    self.read = read
  }
}

/// An option whose value may have any type.
public nonisolated protocol DeclaredOption: Sendable {
  var definition: SettingDefinition { get }
}

/// The options of a plugin or of a part of the server: a structure with one constant for each.
public nonisolated protocol OptionGroup: Sendable {}

nonisolated extension OptionGroup {
  /// The definitions of the options in the order in which they are declared, for a `SettingRegistry`.
  public var definitions: [SettingDefinition] {
    Mirror(reflecting: self).children.compactMap { ($0.value as? any DeclaredOption)?.definition }
  }
}

nonisolated extension Settings {
  /// The value of an option. It need not be in a registry to have its default; to be read from the file it must.
  public subscript<Value>(option: Option<Value>) -> Value { self[option, in: option.definition.section] }

  /// The value of an option of a section that a wildcard stands for, such as `[sslca_local]` for `sslca_*`.
  public subscript<Value>(option: Option<Value>, in section: String) -> Value {
    let definition = option.definition
    if let set = value(section, definition.option)?.value, let value = option.read(set) { return value }
    let text = compatibility == .v1_3 ? definition.standard13 ?? definition.standard : definition.standard
    if let text, let standard = definition.kind.parse(text, repository: repository), let value = option.read(standard) {
      return value
    }
    guard let value = option.absent else {
      preconditionFailure("[\(section)] \(definition.option) has a default that it does not allow")
    }
    return value
  }
}

// MARK: - One way to declare for each type

nonisolated extension Option<Bool> {
  /// 1, yes, true, on and 0, no, false, off.
  public static func flag(
    _ section: String, _ option: String, default standard: Bool, _ availability: SettingAvailability = .always,
    deprecated: (String, String)? = nil, help: String
  ) -> Option {
    Option(
      SettingDefinition(
        section, option, .boolean, default: standard ? "true" : "false", availability, deprecated: deprecated,
        help: help)
    ) { $0.boolean }
  }
}

nonisolated extension Option<Int> {
  /// A whole number within bounds.
  public static func number(
    _ section: String, _ option: String, _ range: ClosedRange<Int>, default standard: Int,
    _ availability: SettingAvailability = .always, help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .integer(range), default: "\(standard)", availability, help: help)) {
      $0.integer
    }
  }

  /// Bytes; the default as it would be written in the file: `64m`.
  public static func size(
    _ section: String, _ option: String, default standard: String, _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .size, default: standard, availability, help: help)) { $0.integer }
  }
}

nonisolated extension Option<Int?> {
  /// A whole number within bounds, or nil where it is not set.
  public static func number(
    _ section: String, _ option: String, _ range: ClosedRange<Int>, _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .integer(range), availability, help: help), absent: .some(nil)) {
      .some($0.integer)
    }
  }
}

nonisolated extension Option<String> {
  /// Any text.
  public static func text(
    _ section: String, _ option: String, default standard: String, _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .text, default: standard, availability, help: help)) { $0.text }
  }

  /// One of some texts, exactly.
  public static func choice(
    _ section: String, _ option: String, of values: [String], default standard: String,
    _ availability: SettingAvailability = .always, help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .choice(values), default: standard, availability, help: help)) {
      $0.text
    }
  }
}

nonisolated extension Option<String?> {
  /// Any text, or nil where it is not set.
  ///
  /// - Parameter kind: `.text`, `.secret`, which no message shows, or `.path`.
  public static func text(
    _ section: String, _ option: String, _ kind: SettingKind = .text, _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(SettingDefinition(section, option, kind, availability, help: help), absent: .some(nil)) { .some($0.text) }
  }
}

nonisolated extension Option<[String]> {
  /// Texts between white space.
  public static func words(
    _ section: String, _ option: String, default standard: [String], _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(
      SettingDefinition(
        section, option, .wordList, default: standard.joined(separator: " "), availability, help: help)
    ) { $0.list }
  }

  /// Texts between commas.
  public static func list(
    _ section: String, _ option: String, default standard: [String], _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(
      SettingDefinition(
        section, option, .commaList, default: standard.joined(separator: ","), availability, help: help)
    ) { $0.list }
  }
}

nonisolated extension Option<[String]?> {
  /// Texts between commas, or nil where the option is not set.
  public static func list(
    _ section: String, _ option: String, _ availability: SettingAvailability = .always, help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .commaList, availability, help: help), absent: .some(nil)) {
      .some($0.list)
    }
  }
}

nonisolated extension Option<Duration> {
  /// Seconds with a fraction; the default in seconds.
  public static func seconds(
    _ section: String, _ option: String, default standard: Int, _ availability: SettingAvailability = .always,
    help: String
  ) -> Option {
    Option(SettingDefinition(section, option, .seconds, default: "\(standard)", availability, help: help)) {
      $0.duration
    }
  }
}

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
  /// Days, with a suffix of d, w (7 days) or y (365) in either case.
  case days
  /// Texts between commas.
  case commaList
  /// Regular expressions between white space, such as `[probes] allowed_groups`.
  case patterns
  /// Addresses and networks in CIDR notation between commas.
  case networks
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

/// One option of the configuration file as `Option` declares it, without the type of its value.
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
  /// Why a new value waits for the next start; nil: a running server follows it.
  public let fixed: RestartReason?
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
    default13: String?? = .none, _ availability: SettingAvailability = .always, fixed: RestartReason? = nil,
    deprecated: (String, String)? = nil, help: String
  ) {
    self.section = section
    self.option = option.asciiLowercased
    self.kind = kind
    self.standard = standard
    self.standard13 = default13
    self.availability = availability
    self.fixed = fixed
    self.deprecated = deprecated.map { [Place(section: $0.0, option: $0.1)] } ?? []
    self.help = help
  }

  /// The default with a version of Bcfg2, as it would be written in the file; nil: not set.
  public func standard(_ compatibility: Compatibility) -> String? {
    compatibility == .v1_3 ? standard13 ?? standard : standard
  }
}

public import EventLoop
public import Formats

/// What an option may say, and the Swift type of what it says: `.boolean` is an `OptionKind<Bool>`.
public nonisolated struct OptionKind<Value: Sendable>: Sendable {
  let kind: SettingKind
  /// The typed value; nil for a value of another kind.
  let read: @Sendable (SettingValue) -> Value?
  let write: @Sendable (Value) -> SettingValue

  init(
    _ kind: SettingKind, _ read: @escaping @Sendable (SettingValue) -> Value?,
    write: @escaping @Sendable (Value) -> SettingValue
  ) {
    self.kind = kind
    self.read = read
    self.write = write
  }
}

nonisolated extension OptionKind<String> {
  /// Any text.
  public static var text: Self { texts(.text) }
  /// Any text, never shown in messages.
  public static var secret: Self { texts(.secret) }
  /// Text in which `<repository>` stands for the repository's path.
  public static var macroText: Self { texts(.macroText) }
  /// A path: `<repository>` and `~` are expanded, and it is made absolute and normal.
  public static var path: Self { texts(.path) }
  /// A program: a path, or a name without a slash, which is looked up in PATH.
  public static var program: Self { texts(.program) }
  /// One of these texts, exactly.
  public static func choice(_ values: [String]) -> Self { texts(.choice(values)) }
  /// One of these texts in any case; the value is the listed spelling.
  public static func choiceInAnyCase(_ values: [String]) -> Self { texts(.choiceInAnyCase(values)) }

  private static func texts(_ kind: SettingKind) -> Self {
    Self(kind) {
      $0.text
    } write: {
      .text($0)
    }
  }
}

nonisolated extension OptionKind where Value: CaseIterable & RawRepresentable<String> {
  /// One of the cases' raw values, exactly.
  public static func choice(_ type: Value.Type) -> Self {
    Self(.choice(Value.allCases.map(\.rawValue))) {
      $0.text.flatMap(Value.init(rawValue:))
    } write: {
      .text($0.rawValue)
    }
  }
}

nonisolated extension OptionKind<Bool> {
  /// 1, yes, true, on, 0, no, false, off in any case.
  public static var boolean: Self {
    Self(.boolean) {
      $0.boolean
    } write: {
      .boolean($0)
    }
  }
}

nonisolated extension OptionKind<Int> {
  /// A whole number within bounds.
  public static func integer(_ range: ClosedRange<Int>) -> Self { numbers(.integer(range)) }
  /// Bytes, with a suffix of k, m, g or t (powers of 1024) in either case.
  public static var size: Self { numbers(.size) }
  /// Days, with a suffix of d, w (7 days) or y (365) in either case.
  public static var days: Self { numbers(.days) }

  private static func numbers(_ kind: SettingKind) -> Self {
    Self(kind) {
      $0.integer
    } write: {
      .integer($0)
    }
  }
}

nonisolated extension OptionKind<UInt32> {
  /// A file mode or mask in octal digits.
  public static func octal(_ range: ClosedRange<Int>) -> Self { numbers(.octal(range)) }
  /// A user's name or number; the value is the number.
  public static var user: Self { numbers(.user) }
  /// A group's name or number; the value is the number.
  public static var group: Self { numbers(.group) }

  private static func numbers(_ kind: SettingKind) -> Self {
    Self(kind) {
      $0.integer.map { UInt32($0) }
    } write: {
      .integer(Int($0))
    }
  }
}

nonisolated extension OptionKind<Duration> {
  /// Seconds with a fraction, 0 or more.
  public static var seconds: Self {
    Self(.seconds) {
      $0.duration
    } write: {
      .duration($0)
    }
  }
}

nonisolated extension OptionKind<Duration?> {
  /// Seconds with a fraction; 0 or less means no limit and gives nil.
  public static var timeout: Self {
    Self(.timeout) {
      if case .duration(let duration) = $0 { .some(duration) } else { nil }
    } write: {
      .duration($0)
    }
  }
}

nonisolated extension OptionKind<[String]> {
  /// Texts between commas.
  public static var commaList: Self {
    Self(.commaList) {
      $0.list
    } write: {
      .list($0)
    }
  }
  /// Regular expressions between white space, by Python's grammar.
  public static var patterns: Self {
    Self(.patterns) {
      $0.list
    } write: {
      .list($0)
    }
  }
}

nonisolated extension OptionKind<[NetworkPrefix]> {
  /// Addresses and networks in CIDR notation between commas.
  public static var networks: Self {
    Self(.networks) {
      $0.list?.compactMap(NetworkPrefix.init)
    } write: {
      .list($0.map(\.description))
    }
  }
}

nonisolated extension OptionKind<[String: PythonLiteral]> {
  /// A dictionary as a Python literal, or 1.3's `name=value,name=value`.
  public static var dictionary: Self {
    Self(.dictionary) {
      $0.dictionary
    } write: {
      .dictionary($0)
    }
  }
}

nonisolated extension OptionKind<ServerLocation> {
  /// `https://host:port`; the port may be left out and is 6789 then.
  public static var location: Self {
    Self(.location) {
      if case .location(let location) = $0 { location } else { nil }
    } write: {
      .location($0)
    }
  }
}

nonisolated extension OptionKind<MetadataCacheMode> {
  /// A mode in any case; `on` is `cautious`.
  static var cacheMode: Self {
    Self(.choiceInAnyCase(["off", "on", "initial", "cautious", "aggressive"])) {
      $0.text == "on" ? .cautious : $0.text.flatMap(MetadataCacheMode.init(rawValue:))
    } write: {
      .text($0.rawValue)
    }
  }
}

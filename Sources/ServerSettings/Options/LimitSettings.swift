// The limits as options of section [server].

extension NetworkLimits {
  /// The definitions of the options, one for each limit: for the registry of settings.
  public nonisolated static let settingDefinitions: [SettingDefinition] = NetworkLimit.allCases.map { limit in
    let definition = limit.definition
    let unit = definition.unit.rawValue
    return SettingDefinition(
      "server", definition.option, .integer(definition.range), default: String(definition.standard), .ours,
      help: definition.reason.hasPrefix(unit) ? definition.reason : "\(unit) \(definition.reason)")
  }

  /// The limits that a configuration sets, the defaults for the rest. The settings have checked the ranges.
  public init(_ settings: Settings) {
    self.init()
    for limit in NetworkLimit.allCases {
      if let number = settings.value("server", limit.option)?.value.integer { self[limit] = number }
    }
  }
}

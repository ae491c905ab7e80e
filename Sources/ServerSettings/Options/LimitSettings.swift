// The limits as options of section [server].

extension NetworkLimits {
  /// The definitions of the options, one per limit: for the registry of settings.
  public nonisolated static let settingDefinitions: [SettingDefinition] = NetworkLimit.definitions.map { definition in
    let unit = definition.unit.rawValue
    return SettingDefinition(
      "server", definition.limit.rawValue, .integer(definition.range), default: String(definition.standard), .ours,
      help: definition.reason.hasPrefix(unit) ? definition.reason : "\(unit) \(definition.reason)")
  }

  /// The limits that a configuration sets, the defaults for the rest. The settings have checked the ranges.
  public init(_ settings: Settings) {
    self.init()
    for definition in NetworkLimit.definitions {
      if let number = settings.value("server", definition.limit.rawValue)?.value.integer {
        self[definition.limit] = number
      }
    }
  }
}

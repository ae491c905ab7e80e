public import ServerSettings

/// The plugins that a core can load, by the names of `[server] plugins`; passed to the core at its creation.
public struct PluginRegistry {
  /// Every loadable plugin.
  public let all: [Plugin.Type]
  /// Former plugins of Bcfg2, removed or merged into others, each with its replacement. Naming one only logs an error.
  public let retired: [String: String]
  /// Every option of bcfg2.conf: of the server, of the core, and of the plugins, loaded or not.
  public let settings: SettingRegistry
  private let byName: [String: Plugin.Type]

  /// What the core and its plugin kit read.
  private static let coreOptions: [any OptionGroup] = [
    ClientCallOptions.standard, TemplateOptions.standard, EncryptionOptions.standard, AuthorityOptions.standard,
  ]

  /// - Parameter all: plugins with distinct names.
  public init(_ all: [Plugin.Type], retired: [String: String] = [:]) {
    self.all = all
    self.retired = retired
    byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    settings = SettingRegistry.server.adding(Self.coreOptions + all.map { $0.options })
  }

  /// The type of a plugin; nil for an unknown name.
  public func type(named name: String) -> Plugin.Type? { byName[name] }
}

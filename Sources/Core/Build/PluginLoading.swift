import EventLoop
import Formats
import Identity
import Logging
import OrderedCollections
import ServerSettings

/// Loaded plugins by interface, so that a request asks no plugin what it is.
public struct PluginInterfaces {
  public var generators: [any Generator] = []
  public var structures: [any Structure] = []
  /// The same, if every structure can be kept as a part of its own: each is made by name, and no validator looks at
  /// several together.
  private(set) var namedStructures: [any NamedStructures]?
  public var connectors: [any Connector] = []
  public var probing: [any Probing] = []
  public var statistics: [any Statistics] = []
  public var threaded: [any Threaded] = []
  public var decisions: [any Decision] = []
  public var structureValidators: [any StructureValidator] = []
  /// Those of them that add structures.
  public private(set) var addedStructures: [any AddedStructures] = []
  public var goalValidators: [any GoalValidator] = []
  public var versions: [any Version] = []
  public var clientRunHooks: [any ClientRunHooks] = []
  public var fetching: [any Fetching] = []
  public var acls: [any ClientACLs] = []
  public var caching: [any Caching] = []
  /// Those that keep data in the database.
  public private(set) var databaseBacked: [any DatabaseBacked] = []
  public var metadata: [any Metadata] = []
  public var templateDataProviders: [any TemplateDataProvider] = []
  public var templateGenerators: [any TemplateGenerator] = []
  /// The plugin whose modules templates use.
  public var helperModules: (any HelperModules)?
  /// The plugin whose data is fetched when templates ask for it.
  public private(set) var templateQueries: (any TemplateQueries)?
  /// Whether all entries' templates have the same variables of plugins: those of helper modules at most.
  public private(set) var templatesShareVariables = true
  /// Whether a plugin has something to do at the start or the end of a client's run.
  public private(set) var hasRunHooks = false

  init() {}

  init(_ plugins: some Sequence<Plugin>) {
    for plugin in Self.sorted(plugins) {
      if let plugin = plugin as? any Generator { generators.append(plugin) }
      if let plugin = plugin as? any Structure { structures.append(plugin) }
      if let plugin = plugin as? any Connector { connectors.append(plugin) }
      if let plugin = plugin as? any Probing { probing.append(plugin) }
      if let plugin = plugin as? any Statistics { statistics.append(plugin) }
      if let plugin = plugin as? any Threaded { threaded.append(plugin) }
      if let plugin = plugin as? any Decision { decisions.append(plugin) }
      if let plugin = plugin as? any StructureValidator { structureValidators.append(plugin) }
      if let plugin = plugin as? any AddedStructures { addedStructures.append(plugin) }
      if let plugin = plugin as? any GoalValidator { goalValidators.append(plugin) }
      if let plugin = plugin as? any Version { versions.append(plugin) }
      if let plugin = plugin as? any ClientRunHooks { clientRunHooks.append(plugin) }
      if let plugin = plugin as? any Fetching { fetching.append(plugin) }
      if let plugin = plugin as? any ClientACLs { acls.append(plugin) }
      if let plugin = plugin as? any Caching { caching.append(plugin) }
      if let plugin = plugin as? any DatabaseBacked, plugin.usesDatabase { databaseBacked.append(plugin) }
      if let plugin = plugin as? any Metadata { metadata.append(plugin) }
      if let plugin = plugin as? any TemplateDataProvider { templateDataProviders.append(plugin) }
      if let plugin = plugin as? any TemplateGenerator { templateGenerators.append(plugin) }
      if let plugin = plugin as? any HelperModules { helperModules = plugin }
      if let plugin = plugin as? any TemplateQueries { templateQueries = plugin }
    }
    let named = structures.compactMap { $0 as? any NamedStructures }
    let isApart =
      structureValidators.allSatisfy(\.treatsStructuresApart) && goalValidators.allSatisfy(\.treatsStructuresApart)
    namedStructures = isApart && named.count == structures.count ? named : nil
    templatesShareVariables = templateDataProviders.allSatisfy { $0 is any HelperModules }
    hasRunHooks = clientRunHooks.contains { !$0.stages.isDisjoint(with: [.start, .end]) }
  }

  /// Ascending `sortOrder`, then name.
  static func sorted(_ plugins: some Sequence<Plugin>) -> [Plugin] {
    plugins.sorted { ($0.sortOrder, $0.name) < ($1.sortOrder, $1.name) }
  }
}

extension ServerCore {
  /// Loads the plugins that `[server] plugins` names, the default ACL where no plugin has that interface, and finds the
  /// Metadata plugin.
  ///
  /// - Throws: `CoreInitError` where no Metadata plugin could be loaded, or the repository is not there.
  public func loadPlugins() throws {
    // Folders of plugins would be made in it, and clients told that there is nothing for them.
    guard isFolder(settings.repository) else {
      throw CoreInitError("The repository \(settings.repository) is not there")
    }
    for name in settings.plugins where plugins[name] == nil {
      guard let type = registry.type(named: name) else {
        // The parent of a child has told of it.
        if isChild { continue }
        let origin = settings.origin(of: "server", "plugins")
        if let advice = registry.retired[name] {
          logger.error("\(origin): plugin \(name) exists no more: \(advice)")
        } else {
          let names = registry.all.map { $0.name }
          logger.error("\(origin): unknown plugin \(name), ignored\(NearestName.hint(name, among: names))")
        }
        continue
      }
      initPlugin(type)
    }
    for (plugin, conflicting) in pluginBlacklist where !conflicting.isEmpty {
      logger.error("The following plugins conflict with \(plugin); Unloading \(conflicting.joined(separator: ", "))")
      for name in conflicting { plugins[name] = nil }
    }
    logKinds()
    guard let first = interfaces.metadata.first else {
      logger.error("No Metadata plugin loaded; failed to instantiate Core")
      throw CoreInitError("No Metadata Plugin")
    }
    metadata = first
    if interfaces.metadata.count > 1 {
      logger.error("Multiple Metadata plugins loaded; using \(first.name)")
    }
    if interfaces.acls.isEmpty { initPlugin(DefaultACL.self) }
  }

  /// Creates one plugin, has it read its folder, and keeps it under its name. A plugin that cannot work is logged and left out.
  public func initPlugin(_ type: Plugin.Type) {
    logger.debug("Loading plugin \(type.name)")
    onLoading?(type.name)
    pluginBlacklist[type.name] = type.conflicts.filter { plugins[$0] != nil }
    do {
      let plugin = type.init(try PluginContext(type, self))
      try plugin.load()
      plugins[type.name] = plugin
    } catch let error as PluginInitError {
      logger.error("Failed to instantiate plugin \(type.name): \(error)")
    } catch let error as SystemError {
      logger.error("Failed to add a file monitor while instantiating plugin \(type.name): \(error)")
    } catch {
      logger.error("Unexpected instantiation failure for plugin \(type.name): \(error)")
    }
  }

  /// A plugin that was loaded, by its type; nil if it was not.
  package func loaded<Kind: Plugin>(_ type: Kind.Type) -> Kind? { plugins[type.name] as? Kind }

  /// Whether a plugin of this name was loaded.
  package func isLoaded(_ name: String) -> Bool { plugins[name] != nil }

  private func logKinds() {
    let experimental = plugins.values.filter { Swift.type(of: $0).isExperimental }.map(\.name)
    let deprecated = plugins.values.filter { Swift.type(of: $0).isDeprecated }.map(\.name)
    if !experimental.isEmpty {
      logger.info("Loading experimental plugin(s): \(experimental.joined(separator: " "))")
      logger.info("NOTE: Interfaces subject to change")
    }
    if !deprecated.isEmpty { logger.info("Loading deprecated plugin(s): \(deprecated.joined(separator: " "))") }
  }
}

/// What holds where no plugin has the ClientACLs interface: plugin RMI, the debug family, statistics and cache expiry
/// only from 127.0.0.1, the calls of a client run from everywhere.
final class DefaultACL: Plugin, ClientACLs {
  override class var name: String { "DefaultACL" }
  override class var createsFolder: Bool { false }

  func checkACL(address: ClientAddress, rmi: String) -> ACLDecision {
    let isAdministrative =
      rmi.utf8.contains(UInt8(ascii: ".")) || rmi.hasSuffix("_debug") || rmi == "get_statistics"
      || rmi == "expire_metadata_cache"
    return !isAdministrative || address.ip == "127.0.0.1" ? .allow : .deny
  }
}

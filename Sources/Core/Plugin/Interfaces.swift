public import Identity
public import Repository
public import XMLRPC

// The interfaces of plugins, as Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/interfaces.py names them. A plugin conforms to
// those of what it does. Requirements that may wait (a child process, a database, a name server) are `async`; a plugin
// that does not wait implements them as plain functions.

/// Binds one abstract entry in place: what a Generator gives for an entry.
public enum EntryBinder {
  /// Binds at once.
  case now((_ entry: Element, _ metadata: ClientMetadata) throws -> Void)
  /// Binds at once where nothing has to be waited for; false, and the entry as it was, where `later` has to be asked.
  case nowOrLater(
    (_ entry: Element, _ metadata: ClientMetadata) throws -> Bool,
    later: @MainActor (_ entry: Element, _ metadata: ClientMetadata) async throws -> Void)
  /// May wait, for a child process or the like.
  case later(@MainActor (_ entry: Element, _ metadata: ClientMetadata) async throws -> Void)
}

/// Generators make the contents of entries.
///
/// The core first asks every generator for `binder(tag:name:)`; exactly one answer binds the entry. Otherwise it asks
/// `handlesEntry`, and exactly one `true` binds by `handleEntry`. Everything else fails the entry.
public protocol Generator: Plugin {
  /// The fast path: who binds entries of this tag and name, for any client; nil where this generator does not.
  func binder(tag: String, name: String) -> EntryBinder?
  /// Every name that `binder` answers for a tag. Bundler expands `<Path glob>` with them.
  func entryNames(tag: String) -> [String]
  /// The slow path: whether this generator binds this entry for this client.
  func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async throws -> Bool
  /// Binds an entry for which `handlesEntry` was true.
  func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws
}

extension Generator {
  public func binder(tag: String, name: String) -> EntryBinder? { nil }
  public func entryNames(tag: String) -> [String] { [] }
  public func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async throws -> Bool { false }
  public func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws {}
}

/// Structures make the abstract configuration: lists of entries, in containers like `<Bundle>` and `<Independent>`.
public protocol Structure: Plugin {
  /// New elements, which the core and other plugins change: never ones that the plugin keeps.
  func buildStructures(_ metadata: ClientMetadata) async throws -> [Element]
}

/// The Metadata plugin knows the clients: who they are, their groups, how they authenticate. One is loaded.
public protocol Metadata: Plugin {
  /// The name of the client behind an address: of one that does not say who it is.
  /// - Throws: `MetadataConsistencyError` where the address is nobody's.
  func resolveClient(_ address: ClientAddress) async throws -> ClientName
  /// Which client a request is from, if it may come in. Says why not in the log.
  /// - Parameter certificate: subject's common name of the verified client certificate; nil where there is none or no CA.
  func authenticateConnection(certificate: String?, user: String, password: String, address: ClientAddress) async
    -> AuthenticationDecision
  /// As `authenticateConnection`, where that waits for nobody; else nil.
  func authenticateNow(certificate: String?, user: String, password: String, address: ClientAddress)
    -> AuthenticationDecision?
  /// What is known of a client before connectors add to it; a new object each time.
  /// - Throws: `MetadataConsistencyError`, `MetadataRuntimeError`.
  func initialMetadata(_ client: ClientName) async throws -> ClientMetadata
  /// Adds groups, with what follows from them.
  func mergeAdditionalGroups(_ metadata: ClientMetadata, _ groups: [String])
  /// Adds a connector's data under its name.
  func mergeAdditionalData(_ metadata: ClientMetadata, source: String, data: any ConnectorData)
  /// Every group that is defined, by name. Connectors' groups are added by the core.
  var groups: NameTable<MetadataGroup> { get set }
  /// Names of all known clients.
  func listClients() async -> [ClientName]
  /// All known clients with their recorded names and addresses, in the order of the record.
  func listKnownClients() async -> [KnownClient]
  /// Whether a name, or an alias, is that of a known client.
  func knowsClient(_ name: ClientName) -> Bool
  /// Names of all groups that anything speaks of, defined or not.
  var knownGroups: NameSet { get }
  /// Reads the list of clients again where it is kept in a database.
  func updateClientList() async
  /// Asserts a client's profile. It is on disk when this returns.
  /// - Parameter address: recorded for a client that was not known before, with its name as uuid; nil: neither.
  func setProfile(_ client: ClientName, _ profile: String, address: ClientAddress?, requirePublic: Bool) async throws
  /// Records the version that a client declared. It is on disk when this returns.
  func setVersion(_ client: ClientName, _ version: String) async throws
}

extension Metadata {
  public func listKnownClients() async -> [KnownClient] { await listClients().map { KnownClient($0) } }

  public var knownGroups: NameSet { NameSet(groups.keys) }
  public func knowsClient(_ name: ClientName) -> Bool { true }
  public func authenticateNow(certificate: String?, user: String, password: String, address: ClientAddress)
    -> AuthenticationDecision?
  { nil }
}

/// Connectors add groups and data to the metadata of a client.
public protocol Connector: Plugin {
  func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup]
  /// Data under the plugin's name; nil where there is none.
  func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)?
}

extension Connector {
  public func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] { [] }
  public func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? { nil }
}

/// Probing plugins send programs to clients and get their output.
public protocol Probing: Plugin {
  /// `<probe name= source= interpreter=>` elements, the program as text.
  func getProbes(_ metadata: ClientMetadata) async throws -> [Element]
  /// Output of the probes whose `source` is this plugin. It is on disk when this returns.
  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws
}

/// Statistics plugins take what clients report at the end of a run.
public protocol Statistics: Plugin {
  func processStatistics(_ metadata: ClientMetadata, _ statistics: Element) async throws
}

/// Plugins that run services of their own on the loop (timers, connections, children), from after daemonizing on.
public protocol Threaded: Plugin {
  func startThreads() async throws
}

/// Decision plugins say which entries a client may or may not install.
public protocol Decision: Plugin {
  /// Pairs of entry tag and entry name for mode `whitelist` or `blacklist`; nil where an attribute is missing.
  func getDecisions(_ metadata: ClientMetadata, mode: String) async throws -> [(tag: String?, name: String?)]
}

/// Changes the abstract configuration before its entries are bound.
public protocol StructureValidator: Plugin {
  /// - Throws: `ValidationError` refuses the configuration; other errors are logged and ignored.
  func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) async throws
}

/// Changes the literal configuration before it is sent.
public protocol GoalValidator: Plugin {
  /// - Throws: `ValidationError` refuses the configuration; other errors are logged and ignored.
  func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async throws
}

/// Version plugins tell the revision of the repository.
public protocol Version: Plugin {
  func getRevision() async throws -> String
}

/// Hooks into the stages of a client's run.
///
/// They are called for each GetConfig, also where the answer was kept.
public protocol ClientRunHooks: Plugin {
  /// The stages at which the plugin has something to do.
  var stages: Set<ClientRunStage> { get }
  /// Before the configuration is generated.
  func startClientRun(_ metadata: ClientMetadata) async throws
  /// After the configuration was generated.
  func endClientRun(_ metadata: ClientMetadata) async throws
  /// After the client's statistics were processed.
  func endStatistics(_ metadata: ClientMetadata) async throws
}

extension ClientRunHooks {
  public var stages: Set<ClientRunStage> { [.start, .end, .statistics] }
  public func startClientRun(_ metadata: ClientMetadata) async throws {}
  public func endClientRun(_ metadata: ClientMetadata) async throws {}
  public func endStatistics(_ metadata: ClientMetadata) async throws {}
}

/// The answer of an address check.
public enum ACLDecision: Sendable {
  case allow, deny
  /// The client's metadata decides.
  case undecided
}

/// Grants or denies calls by address, then by metadata. One denial is enough.
public protocol ClientACLs: Plugin {
  /// - Parameter rmi: the wire name of the call, `Plugin.method` for plugin RMI.
  func checkACL(address: ClientAddress, rmi: String) throws -> ACLDecision
  func checkACL(metadata: ClientMetadata, rmi: String) async throws -> Bool
}

extension ClientACLs {
  public func checkACL(address: ClientAddress, rmi: String) throws -> ACLDecision { .allow }
  public func checkACL(metadata: ClientMetadata, rmi: String) async throws -> Bool { true }
}

/// Plugins that cache what they know; the core and other plugins make them forget.
public protocol Caching: Plugin {
  /// - Parameter key: a client's name, or nil for everything.
  func expireCache(key: ClientName?)
}

/// Plugins that keep data of clients in memory which clients upload. In a core of several processes the parent has it,
/// and its children, which do not read it from disk again at every change, get it passed on.
public protocol Replicated: Plugin {
  /// Data that the parent gave to `ServerCore.replicate`.
  func takeReplica(_ data: [UInt8], of client: ClientName) throws
  /// Reads everything from disk again, where it is other than what was read or passed on.
  func reloadReplicas()
}

/// Gives variables to templates.
public protocol TemplateDataProvider: Plugin {
  /// Variables for a text template of an entry, by name.
  func templateData(entry: Element, metadata: ClientMetadata, template: String) throws -> [String: any ConnectorData]
  /// Variables for an XML template.
  func xmlTemplateData(path: String, metadata: ClientMetadata) throws -> [String: any ConnectorData]
}

extension TemplateDataProvider {
  public func templateData(entry: Element, metadata: ClientMetadata, template: String) throws
    -> [String: any ConnectorData]
  { [:] }
  public func xmlTemplateData(path: String, metadata: ClientMetadata) throws -> [String: any ConnectorData] { [:] }
}

/// Sources of what a client has that its configuration does not say (`bcfg2-admin pull`).
public protocol PullSource: Plugin {
  /// Entries that the client has and nobody asked for: tag and name.
  func getExtra(_ client: ClientName) async throws -> [(tag: String, name: String)]
  /// The entry as the client has it.
  func getCurrentEntry(_ client: ClientName, tag: String, name: String) async throws -> Element
}

/// Takes a client's own version of an entry into the repository.
public protocol PullTarget: Plugin {
  /// The variants that could take the entry, most specific first, with their paths.
  func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String]
  func acceptPullData(specificTo path: String, _ entry: Element) async throws
}

/// Keeps contents of Path entries in folders that are named by path, `<folder>/etc/motd/motd.H_<host>`: Cfg. What others
/// write there is bound from then on.
public protocol PathContents: Generator {
  /// Absolute path of the folder.
  var folder: String { get }
  /// Whether there is a file of contents for a path and a client.
  func hasContents(ofPath path: String, _ metadata: ClientMetadata) -> Bool
  /// The file that contents of a path have for one client alone.
  ///
  /// - Throws: where none can be named after it, or where its name would be read as that of another client's.
  func contentsPath(ofPath path: String, for client: ClientName) throws -> String
}

public import EventLoop
public import Identity
import OrderedCollections
public import Repository
public import XMLRPC

// The interfaces of plugins, named as in Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/interfaces.py. Requirements that may
// wait (for a child process, a database, a name server) are `async`; a plugin that does not wait implements them as
// plain functions.

/// Binds one abstract entry in place.
public enum EntryBinder {
  /// Binds at once.
  case now((_ entry: Element, _ metadata: ClientMetadata) throws -> Void)
  /// Binds at once if nothing has to be waited for; returns false, with the entry unchanged, if `later` must be called.
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
  /// The fast path: returns the binder of entries of this tag and name, for any client; nil if there is none. It is used
  /// until the entry's input changes (`EntryInputs.changed`) or something that concerns all answers does.
  func binder(tag: String, name: String) -> EntryBinder?
  /// Every name for which `binder` returns one, by tag. Bundler expands `<Path glob>` with them.
  func entryNames(tag: String) -> [String]
  /// Every tag for which `entryNames` has a name, for commands that list what there is.
  var entryTags: [String] { get }
  /// The slow path: whether this generator binds this entry for this client.
  func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async throws -> Bool
  /// Binds an entry for which `handlesEntry` was true.
  func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws
}

extension Generator {
  public func binder(tag: String, name: String) -> EntryBinder? { nil }
  public func entryNames(tag: String) -> [String] { [] }
  public var entryTags: [String] { ["Path"] }
  public func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async throws -> Bool { false }
  public func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws {}
}

/// Structures make the abstract configuration: lists of entries, in containers like `<Bundle>` and `<Independent>`.
public protocol Structure: Plugin {
  /// Returns new elements, which the core and other plugins change: never elements that the plugin keeps.
  func buildStructures(_ metadata: ClientMetadata) async throws -> [Element]
}

/// Structures that a plugin makes one by one, by name. Each is kept as a part of its own, with what it was made from.
public protocol NamedStructures: Structure {
  /// Names of a client's structures, in their order.
  func structureNames(_ metadata: ClientMetadata) -> [Name]
  /// Told which structures are about to be made, before the first: their templates can be rendered together.
  func prepareStructures(_ names: [Name], _ metadata: ClientMetadata)
  /// Makes one structure.
  /// - Returns: a new element, and names of structures that the client needs beside it; nil, after a log line, if there
  ///   is none.
  func buildStructure(_ name: Name, _ metadata: ClientMetadata) async -> (structure: Element, required: [Name])?
}

extension NamedStructures {
  public func prepareStructures(_ names: [Name], _ metadata: ClientMetadata) {}

  public func buildStructures(_ metadata: ClientMetadata) async -> [Element] {
    var names = OrderedSet(structureNames(metadata))
    prepareStructures(Array(names), metadata)
    var structures: [Element] = []
    var next = 0
    while next < names.count {
      if let (structure, required) = await buildStructure(names[next], metadata) {
        structures.append(structure)
        names.append(contentsOf: required)
      }
      next += 1
    }
    return structures
  }
}

/// The Metadata plugin knows the clients: their names, groups and authentication. Exactly one is loaded.
public protocol Metadata: Plugin {
  /// Returns the client at an address, for requests that do not name one.
  /// - Throws: `MetadataConsistencyError` if no client has the address.
  func resolveClient(_ address: ClientAddress) async throws -> ClientName
  /// Returns the client that sent a request, if it may connect; logs the reason otherwise.
  /// - Parameters:
  ///   - certificate: subject's common name of the verified client certificate; nil if there is none or no CA. Then there
  ///     are a user and a password.
  ///   - user: nil, as the password, where the client gives none, or where none count (`[communication] passwords`).
  /// - Returns: `.now` if nothing has to be waited for.
  func authenticateConnection(certificate: String?, user: String?, password: String?, address: ClientAddress)
    -> Answer<AuthenticationDecision>
  /// The profile that is recorded for a client, without making its metadata; nil if there is none.
  func recordedProfile(of client: ClientName) -> String?
  /// Returns a client's metadata before connectors add to it; a new object each time.
  /// - Throws: `MetadataConsistencyError`, `MetadataRuntimeError`.
  func initialMetadata(_ client: ClientName) async throws -> ClientMetadata
  /// Adds groups, and the groups and bundles that follow from them.
  func mergeAdditionalGroups(_ metadata: ClientMetadata, _ groups: [String])
  /// Adds a connector's data under its name.
  func mergeAdditionalData(_ metadata: ClientMetadata, source: String, data: any ConnectorData)
  /// All connectors have added what they have.
  func metadataIsComplete(_ metadata: ClientMetadata)
  /// Every defined group by name. The core adds groups of connectors.
  var groups: NameTable<MetadataGroup> { get set }
  /// Names of all known clients.
  func listClients() async -> [ClientName]
  /// All known clients with their recorded names and addresses, in the order of the record.
  func listKnownClients() async -> [KnownClient]
  /// Whether a known client has this name or alias.
  func knowsClient(_ name: ClientName) -> Bool
  /// Names of all groups mentioned anywhere, defined or not.
  var knownGroups: NameSet { get }
  /// The name under which everything of a client is kept: in lower case, for an alias that of its client.
  func canonicalName(_ client: ClientName) -> ClientName
  /// Reads the list of clients again if it is in a database.
  func updateClientList() async
  /// Sets a client's profile. It is on disk when this returns.
  /// - Parameter address: recorded for a new client, with its name as uuid; nil records neither.
  func setProfile(_ client: ClientName, _ profile: String, address: ClientAddress?, requirePublic: Bool) async throws
  /// Records the version that a client declared. It is on disk when this returns.
  func setVersion(_ client: ClientName, _ version: String) async throws
}

extension Metadata {
  public func metadataIsComplete(_ metadata: ClientMetadata) {}
  public func listKnownClients() async -> [KnownClient] { await listClients().map { KnownClient($0) } }

  public var knownGroups: NameSet { NameSet(groups.keys) }
  public func knowsClient(_ name: ClientName) -> Bool { true }
  public func canonicalName(_ client: ClientName) -> ClientName { client.lowercased }
  public func recordedProfile(of client: ClientName) -> String? { nil }
}

/// Connectors add groups and data to the metadata of a client.
public protocol Connector: Plugin {
  func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup]
  /// Data under the plugin's name; nil if there is none.
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
  /// Receives output of the probes whose `source` is this plugin. It is on disk when this returns.
  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws
}

/// Statistics plugins receive what clients report at the end of a run.
public protocol Statistics: Plugin {
  func processStatistics(_ metadata: ClientMetadata, _ statistics: Element) async throws
}

/// Plugins with services of their own on the loop (timers, connections, children), started after daemonizing.
public protocol Threaded: Plugin {
  func startThreads() async throws
}

/// Decision plugins decide which entries a client may or may not install.
public protocol Decision: Plugin {
  /// Pairs of entry tag and entry name for mode `whitelist` or `blacklist`; nil for a missing attribute.
  func getDecisions(_ metadata: ClientMetadata, mode: String) async throws -> [(tag: String?, name: String?)]
}

/// Changes a configuration while it is made.
public protocol Validator: Plugin {
  /// Whether what it does to one structure does not depend on the others. Then it gets them one by one, and each is kept
  /// as a part of its own.
  var treatsStructuresApart: Bool { get }
}

extension Validator {
  public var treatsStructuresApart: Bool { false }
}

/// Changes the abstract configuration before its entries are bound.
public protocol StructureValidator: Validator {
  /// - Throws: `ValidationError` refuses the configuration; other errors are logged and ignored.
  func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) async throws
}

/// What a plugin noted of a structure, for the structures that it adds (`AddedStructures`).
public nonisolated final class StructureNote: Hashable {
  public let value: AnyHashable
  private let hash: Int

  public init(_ value: AnyHashable) {
    self.value = value
    hash = value.hashValue
  }

  /// Notes of a part that is used again are the same object.
  public static func == (one: StructureNote, other: StructureNote) -> Bool {
    one === other || (one.hash == other.hash && one.value == other.value)
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

/// Adds structures that depend on what is in the others.
///
/// It looks at the others one by one and notes of each what it has to know. The notes are kept with the parts that the
/// structures are, and what it adds is a part of its own, found by the notes: an edit of a structure that leaves its note
/// as it was makes nothing of that again.
public protocol AddedStructures: StructureValidator {
  /// Looks at a structure, and may change it.
  /// - Returns: what `addedStructures` has to know of it; nil: nothing.
  func note(_ structure: Element, _ metadata: ClientMetadata) async throws -> StructureNote?
  /// Makes the structures from the notes on the others, in their order.
  func addedStructures(_ notes: [StructureNote], _ metadata: ClientMetadata) async throws -> [Element]
}

extension AddedStructures {
  public var treatsStructuresApart: Bool { true }

  public func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) async throws {
    var notes: [StructureNote] = []
    for structure in structures {
      if let note = try await note(structure, metadata) { notes.append(note) }
    }
    structures += try await addedStructures(notes, metadata)
  }
}

/// Changes the literal configuration before it is sent.
public protocol GoalValidator: Validator {
  /// - Throws: `ValidationError` refuses the configuration; other errors are logged and ignored.
  func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async throws
}

/// Version plugins report the revision of the repository.
public protocol Version: Plugin {
  func getRevision() async throws -> String
}

/// Hooks into the stages of a client's run.
///
/// They run for each GetConfig, also for a cached answer.
public protocol ClientRunHooks: Plugin {
  /// The stages with a hook in this plugin.
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

/// Plugins that fetch what configurations are made from, such as indexes of packages: a configuration waits for what has
/// never been there, or for the answer whether it has changed.
public protocol Fetching: Plugin {
  /// Whether something is on its way that a configuration waits for.
  var isFetching: Bool { get }
  /// Whether kept configurations wait, too: only the answer tells whether they are current.
  var concernsKeptAnswers: Bool { get }
  /// Waits until the client's data is there or cannot be had, for as long as the plugin allows.
  func waitForData(of client: ClientName) async
}

extension Fetching {
  public var concernsKeptAnswers: Bool { false }
}

/// The result of an address check.
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

/// Plugins with a cache; the core and other plugins expire it.
public protocol Caching: Plugin {
  /// - Parameter key: a client's name, or nil for everything.
  func expireCache(key: ClientName?)
}

/// Plugins that keep uploaded data of clients in memory. In a core of several processes the parent passes it on to its
/// children, which do not read it from disk again at every change.
public protocol Replicated: Plugin {
  /// Applies data that the parent passed to `ServerCore.replicate`.
  func applyReplica(_ data: [UInt8], of client: ClientName) throws
  /// Reads everything from disk again that differs from the data read or passed on.
  func reloadReplicas()
}

/// Provides variables for templates.
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

/// Sources of entries that a client has and its configuration lacks (`bcfg2-admin pull`).
public protocol PullSource: Plugin {
  /// Returns tag and name of the entries that the client has and its configuration lacks.
  func getExtra(_ client: ClientName) async throws -> [(tag: String, name: String)]
  /// Returns the entry as the client has it.
  func getCurrentEntry(_ client: ClientName, tag: String, name: String) async throws -> Element
}

/// Stores a client's own version of an entry in the repository.
public protocol PullTarget: Plugin {
  /// Returns paths of the variants that could hold the entry, most specific first.
  func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String]
  func acceptPullData(specificTo path: String, _ entry: Element) async throws
}

/// Keeps contents of Path entries in folders named by path, `<folder>/etc/motd/motd.H_<host>`, as Cfg does. Files that
/// others write there are bound from then on.
public protocol PathContents: Generator {
  /// Absolute path of the folder.
  var folder: String { get }
  /// The most bytes of a file of contents.
  var limitBytes: Int { get }
  /// Whether a path has contents for a client.
  func hasContents(ofPath path: String, _ metadata: ClientMetadata) -> Bool
  /// Returns the file for one client's contents of a path.
  ///
  /// - Throws: if the client's name cannot be in a file name, or would be read as another client's.
  func contentsPath(ofPath path: String, for client: ClientName) throws -> String
}

public import Core
import Databases
import EventLoop
public import Identity
import Logging
import OrderedCollections
public import Repository
public import ServerSettings
public import XMLRPC

/// Metadata: the clients of clients.xml, the groups of groups.xml, and who is in which.
///
/// Both files, with all that they include, are compiled when they change; a file that cannot be read leaves what was
/// known before. Requests look clients up by name, alias, address or uuid and try those rules of groups.xml that can
/// hold for them: what one costs does not depend on the number of clients.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py.
public final class MetadataPlugin: Plugin, Metadata, ClientRunHooks, Caching {
  public override class var name: String { "Metadata" }
  public override class var options: any OptionGroup { MetadataOptions.standard }

  /// Every group: declared in groups.xml, or by a connector through the core.
  public var groups: NameTable<MetadataGroup> = [:]
  /// groups.xml as it was last read without errors.
  private(set) var rules = GroupRules()
  /// clients.xml as it was last read without errors.
  var clients = ClientsTable()
  /// Clients by group that a category kept them out of: logged once for each reading of the files.
  var suppressions: NameTable<Set<ClientName>> = [:]
  /// Metadata before connectors add to it, where `[caching] client_metadata = initial`.
  private var initialCache: [ClientName: ClientMetadata] = [:]
  private(set) lazy var groupsFile = MetadataFile(plugin: self, name: "groups.xml", rootTag: "Groups")
  private(set) lazy var clientsFile = MetadataFile(plugin: self, name: "clients.xml", rootTag: "Clients")
  /// The clients that are known, if they are in the database. clients.xml, where it is there, then only says more of them.
  private(set) var database: ClientDatabase?
  private var readsClientsFile = true
  /// Clients of the database that are in no group, which the log tells once for each reading of groups.xml.
  private var toldWithoutGroups: Set<ClientName> = []
  private static let toldLimit = 100
  private(set) lazy var writer = ClientsWriter(plugin: self, file: clientsFile)

  public var stages: Set<ClientRunStage> { [.statistics] }

  /// The files are compared by their bytes, so that the plugin's own writes are not reported as changes.
  public override var reportsChanges: Bool { true }

  /// Questions about all clients, for templates.
  public var query: MetadataQuery { MetadataQuery(metadata: self) }

  public override func load() throws {
    try groupsFile.createIfMissing(mode: .ordinary)
    if core.settings[MetadataOptions.standard.usesDatabase] {
      database = ClientDatabase(self, try core.requireDatabase(for: name))
      readsClientsFile = fileExists(clientsFile.path)
      if readsClientsFile {
        logger.warning("Metadata: database enabled but clients.xml found, parsing in compatibility mode")
      }
    } else {
      try clientsFile.createIfMissing(mode: .secret)
    }
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  public override var rmi: [String: RemoteMethod] {
    var methods = super.rmi
    methods["list_clients"] = RemoteMethod { [unowned self] arguments in
      try arguments.require(0, of: "list_clients")
      return .array(await listClients().map { .string($0.text) })
    }
    methods["remove_client"] = RemoteMethod { [unowned self] arguments in
      try arguments.require(1, of: "remove_client")
      try await removeClient(named: arguments[0].pythonName())
      return .nil
    }
    return methods
  }

  /// The group of clients without a profile.
  package var defaultGroup: String? { rules.defaultGroup }

  /// Whether the clients that are known are in the database.
  package var keepsClientsInDatabase: Bool { database != nil }

  // MARK: The files

  /// Reads again what changed on disk. Returns false where a file cannot be used as it is now.
  @discardableResult
  func refresh() -> Bool {
    let groupsAreRead = refreshGroups()
    return refreshClients() && groupsAreRead
  }

  private func refreshGroups() -> Bool {
    switch groupsFile.refresh() {
    case .same: return true
    case .broken: return false
    case .changed(let root):
      rules = GroupRules(root: root) { [groupsFile] line, message in groupsFile.complain(line, message) }
      groups = rules.groups
      toldWithoutGroups.removeAll()
      forget()
      return true
    }
  }

  /// Reads clients.xml again where it changed. Returns false where it cannot be used as it is now.
  @discardableResult
  func refreshClients() -> Bool {
    guard readsClientsFile else { return true }
    switch clientsFile.refresh() {
    case .same: return true
    case .broken: return false
    case .changed(let root):
      let before = clients
      clients = ClientsTable(root: root) { [clientsFile] line, message in clientsFile.complain(line, message) }
      if groupsFile.isRead { checkProfiles() }
      let changed = clients.differences(from: before)
      guard changed.count <= Self.changedClientLimit else {
        forget()
        return true
      }
      suppressions.removeAll()
      // An alias may be the name of another client, which is found by it no more, or again.
      let aliases = changed.flatMap { name in
        [before, clients].flatMap { $0.client(named: name)?.aliases ?? [] }
      }
      for client in changed + aliases { expireCache(key: client) }
      core.clientListChanged()
      return true
    }
  }

  /// How many clients an edit of clients.xml may change before the metadata of all is made anew.
  private static let changedClientLimit = 64

  private func checkProfiles() {
    for client in clients.ordered {
      for profile in client.profiles {
        guard let group = profile.flatMap({ groups[$0] }) else {
          logger.warning("\(name): \(client.name) has nonexistent profile group \(profile ?? "None")")
          continue
        }
        if !group.isProfile {
          logger.warning("\(name): \(group.name) set as profile for \(client.name), but is not a profile group")
        }
      }
    }
  }

  private func forget() {
    suppressions.removeAll()
    initialCache.removeAll()
    core.clientsChanged()
  }

  public func expireCache(key: ClientName?) {
    if let key { initialCache[key] = nil } else { initialCache.removeAll() }
    core.expireMetadataCache(key)
  }

  /// Why groups.xml or clients.xml could never be read, for commands; nil where both were.
  package var readingProblem: String? {
    let files = readsClientsFile ? [groupsFile, clientsFile] : [groupsFile]
    return files.first { !$0.isRead }.map { $0.problem ?? "\($0.path) has not been read yet" }
  }

  private func requireRead() throws {
    guard groupsFile.isRead, clientsFile.isRead || !readsClientsFile else {
      throw MetadataRuntimeError("Metadata has not been read yet")
    }
  }

  // MARK: Clients

  /// The name in lower case that clients.xml has for a client; for an alias, the name of its client.
  public func canonicalName(_ client: ClientName) -> ClientName {
    let name = client.lowercased
    return clients.client(ofAlias: name)?.name ?? name
  }

  /// The client of a name in clients.xml; nil if it is unknown.
  func record(of client: ClientName) -> ClientRecord? { clients.client(named: canonicalName(client)) }

  public func listClients() async -> [ClientName] { database?.names ?? clients.ordered.map(\.name) }

  public func knowsClient(_ name: ClientName) -> Bool { isKnown(canonicalName(name)) }

  /// Whether a client of this name, the canonical one, is kept.
  private func isKnown(_ name: ClientName) -> Bool {
    database.map { $0.contains(name) } ?? (clients.client(named: name) != nil)
  }

  public func recordedProfile(of client: ClientName) -> String? {
    record(of: client).map { $0.profiles.first ?? nil } ?? rules.defaultGroup
  }

  /// groups.xml, for commands that show it.
  package var groupsPath: String { groupsFile.path }

  /// The profiles that are recorded for a client, for commands that show them; the default where none is recorded.
  package func recordedProfiles(of client: ClientName) -> [String] {
    guard let record = record(of: client) else { return rules.defaultGroup.map { [$0] } ?? [] }
    return record.profiles.compactMap { $0 }
  }

  public var knownGroups: NameSet { MetadataQuery(metadata: self).allGroups() }

  public func updateClientList() async { refreshClients() }

  /// The client's name in a text: one that follows the rules, or one that clients.xml has byte for byte.
  ///
  /// - Throws: why the text is no name.
  func givenName(_ text: String) throws(ClientNameError) -> ClientName {
    do throws(ClientNameError) {
      return try ClientName(text)
    } catch {
      guard clients.hasName(text) || database?.clients.hasName(text) ?? false else { throw error }
      return try ClientName(recorded: text)
    }
  }

  public func resolveClient(_ address: ClientAddress) async throws -> ClientName {
    if let client = clients.onlyClient(at: address.ip)?.name { return client }
    guard clients.clients(at: address.ip).isEmpty else {
      throw inconsistency(address, "Address \(address.ip) has multiple reverse assignments; a uuid must be used")
    }
    guard let text = await core.resolver.name(ofPeer: address.ip) else {
      throw inconsistency(address, "Address resolution error for \(address.ip): [Errno -2] Name or service not known")
    }
    let name: ClientName
    do throws(ClientNameError) {
      name = try givenName(text).lowercased
    } catch {
      throw inconsistency(
        address, "Name service has \(text) for \(address.ip), which is no client's name: \(error)")
    }
    return clients.client(ofAlias: name)?.name ?? name
  }

  public func setProfile(
    _ client: ClientName, _ profile: String, address: ClientAddress?, requirePublic: Bool
  ) async throws {
    logger.info("Asserting client \(client) profile to \(profile)")
    try requireRead()
    guard let group = groups[profile] else {
      throw inconsistency("Profile group \(profile) does not exist")
    }
    guard group.isPublic || !requirePublic else {
      throw inconsistency("Cannot set client \(client) to private group \(profile)")
    }
    if let database { return try await add(client, profile, to: database) }
    if let record = record(of: client) {
      let present = try await core.buildMetadata(record.name).profile
      guard present != profile else {
        logger.debug("Ignoring \(client) request to change profile from \(profile) to \(profile)")
        return
      }
      logger.info("Changing \(client) profile from \(present ?? "None") to \(profile)")
      try await updateClient(record.name, ["profile": profile])
      return
    }
    try requireRoom(for: client, from: address, besides: clients.count)
    logger.info("Creating new client: \(client), profile \(profile)")
    var attributes: Attributes = ["profile": profile]
    if let address {
      attributes["uuid"] = client.text
      if await !isOfAnotherClient(address, than: client) { attributes["address"] = address.ip }
    }
    try await writer.commit(.add(name: client, attributes))
  }

  /// Adds a client to the database, which keeps no profile.
  private func add(_ client: ClientName, _ profile: String, to database: ClientDatabase) async throws {
    let name = canonicalName(client)
    guard !database.contains(name) else {
      throw refusal("DBMetadata does not support asserting client profiles")
    }
    try requireRoom(for: name, besides: database.clients.count)
    logger.info("Creating new client: \(name), profile \(profile)")
    try await database.add(name)
  }

  /// Refuses a client that would add itself where `[metadata] clients` allows no more.
  func requireRoom(
    for client: ClientName, from address: ClientAddress? = nil, besides count: Int
  ) throws(MetadataConsistencyError) {
    do throws(LimitExceeded) {
      try core.settings.require(count + 1, within: MetadataOptions.standard.clientLimit)
    } catch {
      let message = "Cannot add new client \(client): \(error)"
      core.refusals.write(.error, of: address?.ip ?? client.text, to: logger, "\(message)")
      throw MetadataConsistencyError(message)
    }
  }

  /// Whether clients.xml gives an address to another client, or name service gives it the name of one.
  ///
  /// Bcfg2 records the address of a new client in any case; another client of that address is then taken for the new one,
  /// or for nobody. A loopback address is recorded as in Bcfg2: clients behind a tunnel have to identify themselves.
  private func isOfAnotherClient(_ address: ClientAddress, than client: ClientName) async -> Bool {
    if Self.isThisMachine(address.ip) { return false }
    // `ClientsWriter` checks again with the clients at that time.
    guard clients.clients(at: address.ip).isEmpty else { return false }
    guard let text = await core.resolver.name(ofPeer: address.ip), let name = try? givenName(text),
      let owner = record(of: name)?.name, owner != client.lowercased
    else { return false }
    core.refusals.write(
      .warning, of: address.ip, to: logger,
      "\(address.ip) is \(owner), and so not recorded as the address of \(client)")
    return true
  }

  public func setVersion(_ client: ClientName, _ version: String) async throws {
    let name = canonicalName(client)
    if !isKnown(name) { _ = try await initialMetadata(client) }
    if let database {
      guard database.version(of: name) != version else { return }
      guard !isLimited(version) else {
        throw MetadataConsistencyError("the database keeps \(ClientDatabase.versionLimit) characters of a version")
      }
      logger.info("Setting client \(client) version to \(version)")
      return try await database.setVersion(name, version)
    }
    guard clients.client(named: name)?.version != version else { return }
    logger.info("Setting client \(client) version to \(version)")
    try await updateClient(name, ["version": version])
  }

  /// Whether the column is too short for a version. SQLite keeps longer texts.
  private func isLimited(_ version: String) -> Bool {
    core.database?.settings.engine != .sqlite && version.unicodeScalars.count > ClientDatabase.versionLimit
  }

  /// Sets attributes of a client in clients.xml. They are on disk when this returns.
  ///
  /// - Throws: `MetadataConsistencyError` where there is no such client, `MetadataRuntimeError` where it cannot be written.
  public func updateClient(_ client: ClientName, _ attributes: Attributes) async throws {
    guard database == nil else {
      throw refusal("Metadata does not support updating clients with use_database enabled")
    }
    try await writer.commit(.update(name: canonicalName(client), attributes))
  }

  /// Adds a client. It is on disk, or in the database, when this returns.
  ///
  /// - Parameter attributes: of its element in clients.xml. The database keeps none.
  /// - Returns: whether it was added: one that is known already stays as it is.
  /// - Throws: as `updateClient`; `DatabaseError`.
  package func addClient(_ client: ClientName, _ attributes: Attributes) async throws -> Bool {
    try requireRead()
    let name = canonicalName(client)
    guard !isKnown(name) else { return false }
    if let database {
      try requireRoom(for: name, besides: database.clients.count)
      try await database.add(name)
    } else {
      try requireRoom(for: name, besides: clients.count)
      try await writer.commit(.add(name: client, attributes))
    }
    return true
  }

  /// Removes a client from clients.xml. It is gone from disk when this returns.
  ///
  /// - Throws: as `updateClient`.
  public func removeClient(_ client: ClientName) async throws {
    if let database {
      let name = client.lowercased
      guard database.contains(name) else {
        let message = "Client \(client) does not exist"
        logger.warning("\(message)")
        throw MetadataConsistencyError(message)
      }
      return try await database.remove(name)
    }
    try await writer.commit(.remove(name: client.lowercased))
  }

  /// As `removeClient`, with the name as a text.
  private func removeClient(named text: String) async throws {
    let name: ClientName
    do throws(ClientNameError) {
      name = try ClientName(recorded: text)
    } catch {
      throw inconsistency("Client \"\(text)\" does not exist")
    }
    try await removeClient(name)
  }

  /// Applies changes that were written to clients.xml, so that the table is as if the file had been parsed.
  func apply(_ edits: [ClientsEdit]) {
    for edit in edits { apply(edit) }
    if clients.isWorthReadingAgain { clientsFile.invalidate() }
    refreshClients()
  }

  private func apply(_ edit: ClientsEdit) {
    switch edit {
    case .add(let name, let attributes):
      if record(of: name) == nil { clients.add(name: name.text, attributes: attributes) }
      expireCache(key: name.lowercased)
    case .update(let name, let attributes):
      if let record = clients.client(named: name), attributes.allSatisfy({ ClientsTable.canUpdate($0.name) }) {
        clients.update(record, attributes)
      } else {
        clientsFile.invalidate()
      }
      expireCache(key: name)
    case .remove(let name):
      if let record = clients.client(named: name), record.hasOneElement {
        clients.remove(record)
      } else {
        clientsFile.invalidate()
      }
      expireCache(key: name)
    }
  }

  /// Logs why an address has no client, as often as `RefusalLog` allows, and makes the error for it.
  private func inconsistency(_ address: ClientAddress, _ message: String) -> MetadataConsistencyError {
    core.refusals.write(.error, of: address.ip, to: logger, "\(message)")
    return MetadataConsistencyError(message)
  }

  /// Logs what is inconsistent and makes the error for it.
  func inconsistency(_ message: String) -> MetadataConsistencyError {
    logger.error("\(message)")
    return MetadataConsistencyError(message)
  }

  // MARK: Metadata of a client

  public func initialMetadata(_ client: ClientName) async throws -> ClientMetadata {
    try requireRead()
    let name = canonicalName(client)
    if let cached = initialCache[name] { return cached.copy() }
    if !isKnown(name) {
      guard let profile = clients.client(named: name)?.profiles.first ?? rules.defaultGroup else {
        throw MetadataConsistencyError("Cannot add new client \(name); no default group set")
      }
      // A command shows what the client would get, and records nothing.
      if !core.isReadOnly {
        debugLog("\(self.name): Adding new client with default profile \(profile)")
        try await setProfile(name, profile, address: nil, requirePublic: false)
      }
    }
    let record = clients.client(named: name)
    var membership = GroupMembership(client: name)
    var profile: String?
    for group in record?.profiles ?? [] {
      guard let group, !membership.groups.contains(group), addGroup(group, to: &membership) else { continue }
      if profile == nil, groups[group]?.isProfile == true { profile = group }
    }
    mergeGroups(&membership)
    // As in Bcfg2 a client of clients.xml without a profile attribute does not get the default profile.
    let isWithoutProfile = record?.profiles.contains(nil) ?? false
    if membership.groups.isEmpty, !isWithoutProfile, let fallback = rules.defaultGroup {
      if addGroup(fallback, to: &membership), groups[fallback]?.isProfile == true { profile = fallback }
      mergeGroups(&membership)
    }
    var bundles: OrderedSet<Name> = []
    for group in membership.added {
      if let group = groups[group] {
        bundles.append(contentsOf: group.bundles.lazy.map { Name($0) })
      } else if record?.profiles.contains(group) != true {
        logger.warning("\(self.name): \(name) is a member of undefined group \(group)")
      }
    }
    let metadata = ClientMetadata(
      hostname: name, profile: profile ?? membership.added.first { groups[$0]?.isProfile == true },
      groups: membership.groups, bundles: bundles, aliases: Set(record?.aliases ?? []),
      addresses: NameSet(record?.addresses ?? []), categories: membership.categories, uuid: record?.uuid,
      password: record?.password, version: database?.version(of: name) ?? record?.version)
    guard core.metadataCacheMode == .initial else { return metadata }
    initialCache[name] = metadata
    return metadata.copy()
  }

  public func mergeAdditionalGroups(_ metadata: ClientMetadata, _ groups: [String]) {
    var membership = GroupMembership(
      client: metadata.hostname, groups: metadata.groups, categories: metadata.categories)
    for group in groups where !membership.groups.contains(group) { addGroup(group, to: &membership) }
    mergeGroups(&membership)
    metadata.groups = membership.groups
    metadata.categories = membership.categories
    for group in membership.added {
      if let group = self.groups[group] { metadata.bundles.append(contentsOf: group.bundles.lazy.map { Name($0) }) }
    }
    // A connector may have defined a group that the client was in before.
    for group in groups {
      if metadata.groups.contains(group), let group = self.groups[group] {
        metadata.bundles.append(contentsOf: group.bundles.lazy.map { Name($0) })
      }
    }
    guard metadata.profile == nil else { return }
    metadata.profile = groups.first { self.groups[$0]?.isProfile == true } ?? rules.defaultGroup
  }

  public func mergeAdditionalData(_ metadata: ClientMetadata, source: String, data: any ConnectorData) {
    metadata.addData(data, of: source)
  }

  public func metadataIsComplete(_ metadata: ClientMetadata) {
    guard database != nil, metadata.profile == nil, metadata.groups.isEmpty,
      toldWithoutGroups.count < Self.toldLimit, toldWithoutGroups.insert(metadata.hostname).inserted
    else { return }
    logger.warning(
      "\(metadata.hostname) is in no group, and so has no profile and an empty configuration: the database keeps no profiles, and groups.xml has no default profile and no group for it"
    )
  }

  public func endStatistics(_ metadata: ClientMetadata) async throws {
    guard authentication(of: metadata.hostname) == "bootstrap" else { return }
    try await updateClient(metadata.hostname, ["auth": "cert"])
  }
}

extension MetadataPlugin: FileEventHandler {
  public var handlerName: String { name }

  public func handleEvent(_ event: FileEvent) {
    groupsFile.observe(event)
    if readsClientsFile { clientsFile.observe(event) }
  }

  public func changesApplied() {
    refresh()
    guard isDebugging else { return }
    for client in clients.ordered {
      for case let group? in client.profiles where groups[group] == nil {
        debugLog("Client \(client.name) set as nonexistent group \(group)")
      }
    }
  }
}

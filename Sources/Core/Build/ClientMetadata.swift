public import Identity
public import OrderedCollections
public import XMLRPC

/// Data that a Connector plugin adds to a client under its own name (`metadata.Properties`, `metadata.Probes`).
///
/// Each plugin has a type of its own, to which its users cast.
public protocol ConnectorData {}

/// Everything known of a client when its configuration is built: from Metadata, augmented by Connector plugins.
///
/// While a part of an answer is made, reading a property records it: the part then stands for clients with the same value.
/// So ask what you need to know: `isMember(of:)` for one group lets more clients share a part than `groups` does.
///
/// Source of the fields: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, ClientMetadata.
public final class ClientMetadata {
  /// What is known of a client. Reading it here records nothing: for log lines, and for what has a record of its own.
  package struct Facts {
    package let hostname: ClientName
    package fileprivate(set) var profile: String?
    package fileprivate(set) var bundles: OrderedSet<Name>
    package let aliases: Set<ClientName>
    package let addresses: NameSet
    package fileprivate(set) var groups: NameSet
    package fileprivate(set) var categories: NameTable<String>
    package let uuid: String?
    package let password: String?
    package let version: String?
    package let versionInfo: Bcfg2Version?
    package fileprivate(set) var connectors: [String] = []
    package fileprivate(set) var data: NameTable<any ConnectorData> = [:]
  }

  package private(set) var facts: Facts {
    didSet { templateSerial = nil }
  }
  /// True while a configuration is made with it.
  var isInUse = false {
    didSet {
      // What one configuration lacks the next may have: a bundle that is there now.
      if isInUse { wasUncacheable = isUncacheable } else { isUncacheable = wasUncacheable }
    }
  }
  /// Whether parts may be used again, and kept: false where a plugin does not allow it for this client.
  var usesParts = true
  /// Records what is asked, while a part of an answer is made.
  package var recorder: PartRecorder?

  /// The canonical host name, lower case.
  public var hostname: ClientName {
    record(.hostname)
    return facts.hostname
  }
  /// The profile group; nil if none was found.
  public var profile: String? {
    get {
      record(.profile)
      return facts.profile
    }
    set { facts.profile = newValue }
  }
  /// Bundles of all the client's groups, in the order in which they were found.
  public var bundles: OrderedSet<Name> {
    get {
      record(.bundles)
      return facts.bundles
    }
    _modify { yield &facts.bundles }
  }
  /// Other names of the client.
  public var aliases: Set<ClientName> {
    record(.aliases)
    return facts.aliases
  }
  /// Addresses of the client in clients.xml.
  public var addresses: NameSet {
    record(.addresses)
    return facts.addresses
  }
  /// Every group that the client is a member of.
  public var groups: NameSet {
    get {
      record(.groups)
      return facts.groups
    }
    set { facts.groups = newValue }
  }
  /// The client's group of each category.
  public var categories: NameTable<String> {
    get {
      record(.categories)
      return facts.categories
    }
    set { facts.categories = newValue }
  }
  public var uuid: String? {
    record(.uuid)
    return facts.uuid
  }
  /// The client's own password.
  public var password: String? {
    record(.password)
    return facts.password
  }
  /// Names of the connectors that added data, in their order.
  public var connectors: [String] {
    record(.connectors)
    return facts.connectors
  }
  /// The version that the client declared.
  public var version: String? {
    record(.version)
    return facts.version
  }
  /// The same, comparable; nil if unreadable.
  public var versionInfo: Bcfg2Version? {
    record(.version)
    return facts.versionInfo
  }

  /// The generation this was made from; set by the core.
  public internal(set) var generation: AnswerGeneration?
  /// True if it depends on more than files, settings and the client's own data, so that no answer made with it is cached.
  public private(set) var isUncacheable = false
  /// Whether it was so before a configuration was made with it.
  private var wasUncacheable = false

  /// The number by which renderers know this state of it; nil before they do.
  var templateSerial: UInt64?
  /// The state of its templates; nil before one is asked for.
  var templateState: ClientTemplates?
  /// Data attached for the configuration under construction: rules, structure files.
  private var attachments: [ObjectIdentifier: Attachment] = [:]

  public init(
    hostname: ClientName, profile: String?, groups: NameSet, bundles: OrderedSet<Name>,
    aliases: Set<ClientName>,
    addresses: NameSet, categories: NameTable<String>, uuid: String?, password: String?, version: String?
  ) {
    facts = Facts(
      hostname: hostname, profile: profile, bundles: bundles, aliases: aliases, addresses: addresses, groups: groups,
      categories: categories, uuid: uuid, password: password, version: version,
      versionInfo: version.flatMap { Bcfg2Version($0) })
  }

  private init(_ facts: Facts) { self.facts = facts }

  // MARK: Questions

  private func record(_ question: ClientQuestion) { recorder?.ask(question, of: self) }

  /// Whether the client is in a group.
  public func isMember(of group: String) -> Bool {
    recorder == nil ? facts.groups.contains(group) : isMember(of: ClientQuestion.isMember(of: group), group)
  }

  /// As `isMember(of:)`, with the question at hand.
  func isMember(of question: ClientQuestion, _ group: String) -> Bool {
    guard let recorder else { return facts.groups.contains(group) }
    return recorder.ask(question, facts.groups.contains(group))
  }

  /// Whether the client has a host name, byte for byte.
  public func isNamed(_ name: String) -> Bool {
    recorder == nil ? facts.hostname.isSame(as: name) : isNamed(ClientQuestion.isNamed(name), name)
  }

  /// As `isNamed`, with the question at hand: that of the name, or that of a list with the name.
  func isNamed(_ question: ClientQuestion, _ name: String) -> Bool {
    guard let recorder else { return facts.hostname.isSame(as: name) }
    guard case .isAmong = question.kind else { return recorder.ask(question, facts.hostname.isSame(as: name)) }
    recorder.ask(question, of: self)
    return facts.hostname.isSame(as: name)
  }

  /// Records that the part under construction is made from something that is not the client's.
  public func read(_ input: BuildInput) { recorder?.read(input) }

  /// Forbids caching: what is made depends on more than files, settings and the client's own data, or failed in a way
  /// that the next attempt may not. While a part of an answer is made that part alone is made again for each answer.
  public func markUncacheable() {
    if let recorder { recorder.markUnkeepable() } else { isUncacheable = true }
  }

  /// Data of a connector, by the plugin's name.
  public subscript(connector name: String) -> (any ConnectorData)? {
    if recorder != nil { record(.connector(name)) }
    return facts.data[name]
  }

  /// Adds a connector's data; the first value under a name stays.
  public func addData(_ value: any ConnectorData, of connector: String) {
    guard facts.data[connector] == nil else { return }
    facts.data[connector] = value
    facts.connectors.append(connector)
  }

  /// Returns a copy that can be augmented without changing this one (`client_metadata = initial` caches the unaugmented
  /// one).
  public func copy() -> ClientMetadata {
    let copy = ClientMetadata(facts)
    copy.generation = generation
    copy.isUncacheable = isUncacheable
    return copy
  }

  /// Does something with another client's metadata that never changes, as part of this client's.
  package func recordingInputs<Result>(
    of other: ClientMetadata, _ body: () async throws -> Result
  ) async rethrows -> Result {
    guard other !== self, let recorder else { return try await body() }
    let own = PartRecorder()
    other.recorder = own
    defer {
      other.recorder = nil
      recorder.add(own, asksSame: false)
    }
    return try await body()
  }

  // MARK: Attachments

  /// Something that was made for this client and is used for several parts, and what it was made from.
  private struct Attachment {
    let value: AnyObject
    let recorder: PartRecorder?
  }

  /// Returns what was made for this client earlier, or makes it. Whatever making it asked counts for each part that
  /// uses it.
  ///
  /// - Parameters:
  ///   - owner: whose it is: one value each.
  ///   - isCurrent: whether an earlier value can be used.
  package func attachment<Value: AnyObject>(
    of owner: AnyObject, where isCurrent: (Value) -> Bool, make: () async throws -> Value
  ) async rethrows -> Value {
    let key = ObjectIdentifier(owner)
    if let known = attachments[key], let value = known.value as? Value, isCurrent(value) {
      if let recorder, let made = known.recorder { recorder.add(made) }
      if recorder == nil || known.recorder != nil { return value }
    }
    let outer = recorder
    let own = outer.map { _ in PartRecorder() }
    if let own { recorder = own }
    defer {
      // Without a recorder at first, one that is there now is that of a part which somebody else makes.
      if let outer, let own {
        recorder = outer
        outer.add(own)
      }
    }
    let value = try await make()
    attachments[key] = Attachment(value: value, recorder: own)
    return value
  }

  /// What was made for this client, if it was.
  func attached<Value: AnyObject>(to owner: AnyObject, as type: Value.Type = Value.self) -> Value? {
    attachments[ObjectIdentifier(owner)]?.value as? Value
  }

  /// Forgets what was made for an earlier answer.
  func removeAttachments() { attachments.removeAll() }
}

/// A group of groups.xml, or one that a connector defines.
public struct MetadataGroup: Sendable, Equatable {
  public let name: String
  /// Bundles of the group, in document order.
  public var bundles: [String]
  public var category: String?
  public var isProfile: Bool
  public var isPublic: Bool

  public init(
    name: String, bundles: [String] = [], category: String? = nil, isProfile: Bool = false, isPublic: Bool = false
  ) {
    self.name = name
    self.bundles = bundles
    self.category = category
    self.isProfile = isProfile
    self.isPublic = isPublic
  }
}

/// A group that a connector adds to a client: by name, or with a definition of its own.
public enum AdditionalGroup: Sendable {
  case named(String)
  case defined(MetadataGroup)

  public var name: String {
    switch self {
    case .named(let name): name
    case .defined(let group): group.name
    }
  }
}

extension ClientMetadata {
  /// True for clients that declared no version, or one before 1.3.0 and its pre-releases.
  package var isOlderThan13: Bool {
    guard let first = Bcfg2Version("1.3.0a0") else { preconditionFailure("1.3.0a0 is a version") }
    return versionInfo.map { $0 < first } ?? true
  }
}

public import Identity
public import OrderedCollections
public import XMLRPC

/// Data that a Connector plugin adds to a client under its own name (`metadata.Properties`, `metadata.Probes`).
///
/// Each plugin has a type of its own, to which its users cast.
public protocol ConnectorData {}

/// Everything known of a client when its configuration is built: from Metadata, augmented by Connector plugins.
///
/// Source of the fields: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, ClientMetadata.
public final class ClientMetadata {
  /// The canonical host name, lower case.
  public let hostname: ClientName
  /// The profile group; nil if none was found.
  public var profile: String? { didSet { templateSerial = nil } }
  /// Bundles of all the client's groups, in the order in which they were found.
  public var bundles: OrderedSet<Name> { didSet { templateSerial = nil } }
  /// Other names of the client.
  public let aliases: Set<ClientName>
  /// Addresses of the client in clients.xml.
  public let addresses: NameSet
  /// Every group that the client is a member of.
  public var groups: NameSet { didSet { templateSerial = nil } }
  /// The client's group of each category.
  public var categories: NameTable<String> { didSet { templateSerial = nil } }
  public let uuid: String?
  /// The client's own password.
  public let password: String?
  /// Names of the connectors that added data, in their order.
  public private(set) var connectors: [String] = []
  /// The version that the client declared.
  public let version: String?
  /// The same, comparable; nil if unreadable.
  public let versionInfo: Bcfg2Version?

  /// The generation this was made from; set by the core.
  public internal(set) var generation: AnswerGeneration?
  /// True if an answer made with this metadata depends on more than files, settings and the client's own data, and must
  /// not be cached.
  public private(set) var isUncacheable = false

  private var data: NameTable<any ConnectorData> = [:]
  /// The number by which renderers know this state of it; nil before they do.
  var templateSerial: UInt64?
  /// The state of its templates; nil before one is asked for.
  var templateState: ClientTemplates?
  /// Data attached for the configuration under construction: rules, structure files.
  var attachments: [ObjectIdentifier: AnyObject] = [:]

  public init(
    hostname: ClientName, profile: String?, groups: NameSet, bundles: OrderedSet<Name>,
    aliases: Set<ClientName>,
    addresses: NameSet, categories: NameTable<String>, uuid: String?, password: String?, version: String?
  ) {
    self.hostname = hostname
    self.profile = profile
    self.groups = groups
    self.bundles = bundles
    self.aliases = aliases
    self.addresses = addresses
    self.categories = categories
    self.uuid = uuid
    self.password = password
    self.version = version
    self.versionInfo = version.flatMap { Bcfg2Version($0) }
  }

  /// Forbids caching: the answer depends on more than files, settings and the client's own data, or failed in a way
  /// that the next attempt may not.
  public func markUncacheable() { isUncacheable = true }

  /// Data of a connector, by the plugin's name.
  public subscript(connector name: String) -> (any ConnectorData)? { data[name] }

  /// Adds a connector's data; the first value under a name stays.
  public func addData(_ value: any ConnectorData, of connector: String) {
    guard data[connector] == nil else { return }
    data[connector] = value
    templateSerial = nil
    connectors.append(connector)
  }

  /// Returns a copy that can be augmented without changing this one (`client_metadata = initial` caches the unaugmented
  /// one).
  public func copy() -> ClientMetadata {
    let copy = ClientMetadata(
      hostname: hostname, profile: profile, groups: groups, bundles: bundles, aliases: aliases, addresses: addresses,
      categories: categories, uuid: uuid, password: password, version: version)
    copy.data = data
    copy.generation = generation
    copy.isUncacheable = isUncacheable
    copy.connectors = connectors
    return copy
  }
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

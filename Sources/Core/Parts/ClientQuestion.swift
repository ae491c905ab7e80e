import Identity
import OrderedCollections
import Templates
import XMLRPC

/// A question about a client, whose answer decides how a part of its configuration is made.
///
/// Questions with names (`isMember`) are held once, so that an answer that was asked for already is found without looking a
/// name up.
final class ClientQuestion {
  enum Kind: Hashable {
    /// Whether the client is in a group.
    case isMember(Name)
    /// Whether the client has this host name.
    case isNamed(Name)
    /// Which host of a list it is, if any.
    case isAmong(HostList)
    /// What `ClientMetadata` has under these names, as a whole.
    case hostname, profile, groups, bundles, categories, aliases, addresses, uuid, password, version, connectors
    /// The data of a connector.
    case connector(Name)
    /// Which kept result of a template stands for the client.
    case rendering(RenderingCache.Key)
  }

  let kind: Kind
  /// The serial number of the recorder that asked last, and the answer that it got to a question of yes or no.
  var recordedBy: UInt64 = 0
  var lastAnswer = false

  private init(_ kind: Kind) { self.kind = kind }

  static let hostname = ClientQuestion(.hostname)
  static let profile = ClientQuestion(.profile)
  static let groups = ClientQuestion(.groups)
  static let bundles = ClientQuestion(.bundles)
  static let categories = ClientQuestion(.categories)
  static let aliases = ClientQuestion(.aliases)
  static let addresses = ClientQuestion(.addresses)
  static let uuid = ClientQuestion(.uuid)
  static let password = ClientQuestion(.password)
  static let version = ClientQuestion(.version)
  static let connectors = ClientQuestion(.connectors)

  /// A question about a list of hosts; the list has it.
  static func isAmong(_ hosts: HostList) -> ClientQuestion { ClientQuestion(.isAmong(hosts)) }

  /// A question about the result of a template; each is an object of its own.
  static func rendering(_ key: RenderingCache.Key) -> ClientQuestion { ClientQuestion(.rendering(key)) }

  // MARK: Questions with names

  private static var named: [Kind: ClientQuestion] = [:]
  /// How many there may be before those that nobody holds any more are dropped.
  private static var limit = 4096

  static func isMember(of group: String) -> ClientQuestion { question(.isMember(Name(group))) }
  static func isNamed(_ name: String) -> ClientQuestion { question(.isNamed(Name(name))) }
  static func connector(_ name: String) -> ClientQuestion { question(.connector(Name(name))) }

  private static func question(_ kind: Kind) -> ClientQuestion {
    if let known = named[kind] { return known }
    if named.count >= limit {
      for kind in Array(named.keys) {
        if isKnownUniquelyReferenced(&named[kind]) { named[kind] = nil }
      }
      limit = max(4096, 2 * named.count)
    }
    let question = ClientQuestion(kind)
    named[kind] = question
    return question
  }

  // MARK: Answers

  /// The answer for a client now; nil for a rendering, which the renderer knows.
  func answer(_ metadata: ClientMetadata) -> ClientAnswer? {
    let facts = metadata.facts
    switch kind {
    case .isMember(let group): return facts.groups.contains(group.text) ? .yes : .no
    case .isNamed(let name): return facts.hostname.isSame(as: name.text) ? .yes : .no
    case .isAmong(let hosts):
      return hosts.names.contains(facts.hostname.text) ? .text(Name(facts.hostname.text)) : .no
    case .hostname: return .text(Name(facts.hostname.text))
    case .profile: return .text(facts.profile.map { Name($0) })
    case .groups: return .set(facts.groups)
    case .bundles: return .names(Array(facts.bundles))
    case .categories: return .names(facts.categories.sorted().flatMap { [Name($0.key), Name($0.value)] })
    case .aliases: return .set(NameSet(facts.aliases.map(\.text)))
    case .addresses: return .set(facts.addresses)
    case .uuid: return .text(facts.uuid.map { Name($0) })
    case .password: return .text(facts.password.map { Name($0) })
    case .version: return .text(facts.version.map { Name($0) })
    case .connectors: return .names(facts.connectors.map { Name($0) })
    case .connector(let name):
      // Data that cannot be compared is that of this metadata alone.
      guard let data = facts.data[name.text] else { return .no }
      return .object(Identity(type(of: data) is AnyClass ? data as AnyObject : metadata))
    case .rendering: return nil
    }
  }

  /// Two objects are the same one. Holds it, so that no other one gets its address.
  nonisolated struct Identity: Hashable {
    let object: AnyObject

    init(_ object: AnyObject) { self.object = object }

    static func == (one: Identity, other: Identity) -> Bool { one.object === other.object }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(object)) }
  }
}

/// An answer to a `ClientQuestion`, compared by bytes.
nonisolated enum ClientAnswer: Hashable {
  case no, yes
  case text(Name?)
  case names([Name])
  case set(NameSet)
  case object(ClientQuestion.Identity)
}

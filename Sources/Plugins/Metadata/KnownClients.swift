public import Identity
import XMLRPC

extension MetadataPlugin {
  public func listKnownClients() async -> [KnownClient] {
    let recorded = clients.ordered.map { record in
      KnownClient(
        record.name, aliases: record.aliases, addresses: record.addresses, isSelfRegistered: record.isSelfRegistered)
    }
    guard let database else { return recorded }
    // Who is in the database alone added itself, or an administrator did, which the database does not tell.
    return recorded
      + database.names.filter { clients.client(named: $0) == nil }.map { KnownClient($0, isSelfRegistered: true) }
  }
}

extension ClientRecord {
  /// True if the element is as the server makes it: a profile alone, or with the client's own name as `uuid` and the
  /// address that it came from, if that is no other client's. `version` is added later.
  fileprivate var isSelfRegistered: Bool {
    guard hasOneElement, aliases.isEmpty, password == nil, authentication == nil, !isSecure, !isFloating else {
      return false
    }
    guard let uuid else { return addresses.isEmpty }
    return addresses.count <= 1 && (Name.areSame(uuid, spelling) || name.isSame(as: uuid))
  }
}

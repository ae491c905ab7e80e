package import Core
package import Identity
import OrderedCollections
import Support
package import XMLRPC

/// Metadata of a client that no plugin was asked about.
package func clientMetadata(
  _ name: ClientName = "one.example.com", groups: NameSet = [], bundles: [Name] = [],
  categories: NameTable<String> = [:], version: String? = nil
) -> ClientMetadata {
  ClientMetadata(
    hostname: name, profile: nil, groups: groups, bundles: .init(bundles), aliases: [], addresses: [],
    categories: categories,
    uuid: nil, password: nil, version: version)
}

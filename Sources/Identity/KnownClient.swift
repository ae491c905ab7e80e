/// A client that Metadata knows: its names and addresses as they are recorded, without what connectors say.
public struct KnownClient: Equatable, Sendable {
  public let name: ClientName
  public let aliases: [ClientName]
  public let addresses: [String]
  /// True where the record is as the server makes it for a client that registers itself, and says nothing that only an
  /// administrator can have written. Anybody with the common password may have chosen such a name.
  public let isSelfRegistered: Bool

  public init(_ name: ClientName, aliases: [ClientName] = [], addresses: [String] = [], isSelfRegistered: Bool = false)
  {
    self.name = name
    self.aliases = aliases
    self.addresses = addresses
    self.isSelfRegistered = isSelfRegistered
  }

  /// The name and the aliases.
  package var allNames: [ClientName] { [name] + aliases }
}

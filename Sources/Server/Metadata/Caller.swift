/// Who makes a call: the client that authenticated with the request, and where it is.
///
/// Authentication makes it, `dispatch` takes it, and nothing in between looks a client up again.
public nonisolated struct Caller: Hashable, Sendable {
  /// The name of clients.xml where it knows the client, else the name that the client was admitted by.
  public let client: ClientName
  /// Remote address and port.
  public let address: ClientAddress
  /// True where the user of its credentials was a name or a uuid, not `root`: when its profile is asserted and
  /// clients.xml does not know it, that and the address are recorded, as in Bcfg2.
  public let gaveName: Bool

  public init(_ client: ClientName, at address: ClientAddress, gaveName: Bool = false) {
    self.client = client
    self.address = address
    self.gaveName = gaveName
  }
}

/// What authentication decides.
public nonisolated enum AuthenticationDecision: Equatable, Sendable {
  case admitted(Caller)
  /// Why not is in the log.
  case refused

  /// Who was admitted; nil where nobody was.
  public var caller: Caller? {
    if case .admitted(let caller) = self { caller } else { nil }
  }
}

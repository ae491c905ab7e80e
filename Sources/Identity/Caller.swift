/// Who makes a call: the client that authenticated with the request, and where it is.
///
/// Authentication makes it and `dispatch` gets it; nothing in between looks the client up again.
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

/// Who is asking: the remote address of a request, as the Python server's address pair.
public nonisolated struct ClientAddress: Hashable, Sendable {
  /// The address as text: IPv4 dotted, IPv6 compressed; v4-mapped addresses as IPv4.
  public let ip: String
  /// The remote port.
  public let port: UInt16

  public init(ip: String, port: UInt16) {
    self.ip = ip
    self.port = port
  }
}

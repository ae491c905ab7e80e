public import EventLoop
public import Identity
public import XMLRPC

/// Who is at the other end of a connection, as far as the connection itself tells.
public nonisolated struct PeerIdentity: Sendable, Equatable {
  public let address: SocketAddress
  /// The same for the core, as text.
  public let clientAddress: ClientAddress
  /// The common name of the client's certificate, which the authority has signed; nil without one.
  public var certificateCommonName: String?
  /// `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty before the handshake.
  public var protocolText: String
  /// Who authenticated with the request that is being read or answered; nil before that, and between requests.
  public var caller: Caller?

  public init(address: SocketAddress, certificateCommonName: String? = nil, protocolText: String = "") {
    self.address = address
    clientAddress = ClientAddress(ip: address.host, port: address.port)
    self.certificateCommonName = certificateCommonName
    self.protocolText = protocolText
  }
}

/// What authentication decides about a request.
public nonisolated enum AuthenticationOutcome: Sendable, Equatable {
  /// The body is read; `respond` gets the caller.
  case admitted(Caller)
  /// Answered with this response; the connection ends after it.
  case refused(HTTPResponse)
}

/// What stands behind the connections: authenticates and answers requests, one at a time for each connection.
///
/// Both questions return `.now` where nothing has to be waited for, which saves a task.
public protocol RequestHandler: AnyObject {
  /// Called for every read that brought bytes of a request: they may be newer than what the handler knows.
  func bytesCame()
  /// Called when the headers are complete, before any body byte is kept.
  func authenticate(_ head: HTTPRequestHead, peer: PeerIdentity) -> Answer<AuthenticationOutcome>
  /// Called with the whole request, whose method is POST, and with the peer's `caller`: the one that was admitted.
  func respond(to request: HTTPRequest, peer: PeerIdentity) -> Answer<HTTPResponse>
}

extension RequestHandler {
  public func bytesCame() {}
}

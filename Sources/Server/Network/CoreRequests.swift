import XMLRPC

/// The core behind the connections: HTTP requests become calls, outcomes become responses.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/SSLServer.py, XMLRPCRequestHandler.
extension NetworkCore: RequestHandler {
  /// Decides by the head of a request whether its body may come in.
  ///
  /// - Returns: nil lets it in; a response refuses it.
  public func authenticate(_ head: HTTPRequestHead, peer: PeerIdentity) async -> HTTPResponse? {
    let address = peer.clientAddress
    guard let header = head.first("Authorization") else {
      logger.error("No authentication data presented by \(address.ip)")
      return .error(status: 401)
    }
    guard let credentials = BasicAuth.parse(header) else {
      logger.error("Authentication Failure of \(address.ip): the Authorization header cannot be read")
      return .error(status: 401)
    }
    let isAllowed = await authenticate(
      certificate: peer.certificateCommonName, user: String(decoding: credentials.user, as: UTF8.self),
      password: String(decoding: credentials.password, as: UTF8.self), address: address)
    guard isAllowed else {
      logger.error("Authentication Failure of \(address.ip)")
      return .error(status: 401)
    }
    return nil
  }

  /// Answers an authenticated request: the call's value or fault; 401 where an ACL denies it, 500 where the body is no
  /// method call, 501 for anything but POST.
  public func respond(to request: HTTPRequest, peer: PeerIdentity) async -> HTTPResponse {
    guard request.head.method == "POST" else { return .error(status: 501) }
    let call: MethodCall
    do {
      call = try MethodCall.decode(request.body, limits: httpLimits)
    } catch {
      logger.error("Unexpected dispatch error for \(peer.clientAddress.ip): \(error)")
      return .internalError
    }
    switch await dispatch(call, from: peer.clientAddress) {
    case .value(let value): return .xml(MethodResponse.encode(value))
    case .fault(let fault): return .xml(MethodResponse.encode(fault: fault))
    case .denied: return .error(status: 401)
    }
  }
}

extension PeerIdentity {
  /// The address pair of the peer.
  var clientAddress: ClientAddress { ClientAddress(ip: address.host, port: address.port) }
}

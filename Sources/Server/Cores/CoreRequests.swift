import Core
import EventLoop
import Identity
import Logging
public import Network
import Repository
import ServerSettings
public import XMLRPC

/// The core behind the connections: HTTP requests become calls, outcomes become responses.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/SSLServer.py, XMLRPCRequestHandler.
extension NetworkCore: RequestHandler {
  /// Who a client says that it is.
  private struct Claim {
    let address: ClientAddress
    let certificate: String?
    let user: String
    let password: String
  }

  /// Decides by the head of a request whether its body may come in.
  ///
  /// - Returns: who is let in; a response refuses it.
  public func authenticate(_ head: HTTPRequestHead, peer: PeerIdentity) async -> AuthenticationOutcome {
    guard let claim = claim(head, peer) else { return .refused(.error(status: 401)) }
    return outcome(
      await authenticate(
        certificate: claim.certificate, user: claim.user, password: claim.password, address: claim.address), claim)
  }

  public func bytesCame() { hasLooked = false }

  /// As `authenticate`, where nobody has to be waited for.
  public func authenticateNow(_ head: HTTPRequestHead, peer: PeerIdentity) -> AuthenticationOutcome? {
    guard let claim = claim(head, peer) else { return .refused(.error(status: 401)) }
    lookForEdits()
    return decideNow(
      certificate: claim.certificate, user: claim.user, password: claim.password, address: claim.address
    ).map { outcome($0, claim) }
  }

  private func outcome(_ decision: AuthenticationDecision, _ claim: Claim) -> AuthenticationOutcome {
    switch decision {
    case .admitted(let caller):
      resolver.noteClient(at: claim.address.ip)
      return .admitted(caller)
    case .refused: return .refused(refuse(claim.address))
    }
  }

  /// What a request says of its client; nil, and a line in the log, where that cannot be read.
  private func claim(_ head: HTTPRequestHead, _ peer: PeerIdentity) -> Claim? {
    let address = peer.clientAddress
    guard let header = head.authorization else {
      refusals.write(.error, of: address.ip, to: logger, "No authentication data presented by \(address.ip)")
      return nil
    }
    guard let credentials = BasicAuth.parse(header) else {
      refusals.write(
        .error, of: address.ip, to: logger,
        "Authentication Failure of \(address.ip): the Authorization header cannot be read")
      return nil
    }
    return Claim(
      address: address, certificate: peer.certificateCommonName,
      user: credentials.userText, password: credentials.passwordText)
  }

  private func refuse(_ address: ClientAddress) -> HTTPResponse {
    refusals.write(.error, of: address.ip, to: logger, "Authentication Failure of \(address.ip)")
    return .error(status: 401)
  }

  /// Answers at once what is kept.
  public func respondNow(to request: HTTPRequest, peer: PeerIdentity) -> HTTPResponse? {
    // Calls that may have a kept answer are short; what is no call is told by `respond`.
    guard request.head.method == "POST", request.body.count <= Self.shortBodyBytes, let caller = peer.caller,
      let call = shortCall(request.body)
    else { return nil }
    lookForEdits()
    return dispatchNow(call, from: caller).map { .xml($0) }
  }

  /// Takes in the edits that were finished before the bytes came that are being answered. Between the head of a request
  /// and its body nothing is new where both came at once.
  private func lookForEdits() {
    if hasLooked { return }
    fileMonitor.processPending()
    hasLooked = true
  }

  /// The call of a short body, decoded once for each kind of client.
  private func shortCall(_ body: [UInt8]) -> MethodCall? {
    if let known = knownCalls.first(where: { $0.body == body }) { return known.call }
    guard let call = try? MethodCall.decode(body, limits: httpLimits) else { return nil }
    if call.params.isEmpty {
      if knownCalls.count == Self.knownCallLimit { knownCalls.removeFirst() }
      knownCalls.append((body, call))
    }
    return call
  }

  /// A few kinds of clients, each with two such calls.
  private static let knownCallLimit = 8

  /// Bytes of a call without parameters, with room for what clients put around it.
  private static let shortBodyBytes = 1024

  /// Answers an authenticated request: the call's value or fault; 401 where an ACL denies it, 500 where the body is no
  /// method call, 501 for anything but POST. One budget is charged with all that is read from it.
  public func respond(to request: HTTPRequest, peer: PeerIdentity) async -> HTTPResponse {
    guard request.head.method == "POST" else { return .error(status: 501) }
    guard let caller = peer.caller else { preconditionFailure("a request is answered that nobody authenticated") }
    let limits = httpLimits
    let budget = RequestBudget(limits: limits, bodyBytes: request.body.count)
    let call: MethodCall
    do throws(MethodCallError) {
      call = try MethodCall.decode(request.body, limits: limits, budget: budget)
    } catch {
      let address = peer.clientAddress.ip
      refusals.write(.error, of: address, to: logger, "Unexpected dispatch error for \(address): \(error)")
      guard let exceeded = error.exceeded else { return .internalError }
      return .xml(MethodResponse.encode(fault: .critical("the call has \(exceeded)")))
    }
    let outcome = await RequestBudget.$current.withValue(budget) {
      await dispatch(call, from: caller)
    }
    switch outcome {
    case .value(let value): return .xml(MethodResponse.encode(value))
    case .fault(let fault): return .xml(MethodResponse.encode(fault: fault))
    case .denied: return .error(status: 401)
    }
  }
}

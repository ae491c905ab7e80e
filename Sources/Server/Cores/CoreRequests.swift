import Core
public import EventLoop
import Identity
import Logging
public import Networking
import Repository
import ServerSettings
public import XMLRPC

/// Turns HTTP requests into calls and outcomes into responses.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/SSLServer.py, XMLRPCRequestHandler.
extension NetworkCore: RequestHandler {
  /// The identity that a client claims.
  private struct Claim {
    let address: ClientAddress
    let certificate: String?
    /// Both are nil without an Authorization header.
    let user: String?
    let password: String?
  }

  public func bytesCame() { hasPolledEdits = false }

  /// Decides by the head of a request whether its body is accepted.
  ///
  /// - Returns: the admitted caller, or a response that refuses.
  public func authenticate(_ head: HTTPRequestHead, peer: PeerIdentity) -> Answer<AuthenticationOutcome> {
    guard let claim = claim(head, peer) else { return .now(.refused(.error(status: 401))) }
    pollEdits()
    let decision = decide(
      certificate: claim.certificate, user: claim.user, password: claim.password, address: claim.address)
    switch decision {
    case .now(let decision): return .now(outcome(decision, claim))
    case .later(let decision): return .later { [self] in outcome(await decision(), claim) }
    }
  }

  private func outcome(_ decision: AuthenticationDecision, _ claim: Claim) -> AuthenticationOutcome {
    switch decision {
    case .admitted(let caller):
      resolver.recordClient(at: claim.address.ip)
      return .admitted(caller)
    case .refused: return .refused(refuse(claim.address))
    }
  }

  /// The identity claimed by a request; nil, after a log line, if it cannot be read.
  private func claim(_ head: HTTPRequestHead, _ peer: PeerIdentity) -> Claim? {
    let address = peer.clientAddress
    guard let header = head.authorization else {
      return Claim(address: address, certificate: peer.certificateCommonName, user: nil, password: nil)
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

  /// Answers an authenticated request: with the call's value or fault; 401 if an ACL denies it, 500 if the body is no
  /// method call, 501 unless it is a POST.
  ///
  /// - Returns: `.now` if the answer is cached.
  public func respond(to request: HTTPRequest, peer: PeerIdentity) -> Answer<HTTPResponse> {
    guard request.head.method == "POST" else { return .now(.error(status: 501)) }
    guard let caller = peer.caller else { preconditionFailure("a request is answered that nobody authenticated") }
    if let response = cachedResponse(to: request, from: caller) {
      clientRuns.addBytes(caller.client, received: request.body.count, sent: response.body.count)
      return .now(response)
    }
    return .later { [self] in
      let response = await makeResponse(to: request, from: caller)
      clientRuns.addBytes(caller.client, received: request.body.count, sent: response.body.count)
      return response
    }
  }

  /// The answer to a short call, if it is cached and still valid.
  private func cachedResponse(to request: HTTPRequest, from caller: Caller) -> HTTPResponse? {
    // Calls with cached answers are short. `makeResponse` reports bodies that are no call.
    guard request.body.count <= Self.shortBodyBytes, let call = shortCall(request.body) else { return nil }
    pollEdits()
    return dispatchFromCache(call, from: caller).map { .xml($0) }
  }

  /// Applies the edits that were finished before the current bytes arrived. Head and body of a request that arrive
  /// together need one poll.
  private func pollEdits() {
    if hasPolledEdits { return }
    fileMonitor.processPending()
    hasPolledEdits = true
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

  /// Room for a few kinds of clients with two such calls each.
  private static let knownCallLimit = 8

  /// Size of a call without parameters, with room for variations of clients.
  private static let shortBodyBytes = 1024

  /// Decodes and dispatches a call. One budget is charged for everything parsed from it.
  private func makeResponse(to request: HTTPRequest, from caller: Caller) async -> HTTPResponse {
    let limits = httpLimits
    let budget = RequestBudget(limits: limits, bodyBytes: request.body.count)
    let call: MethodCall
    do throws(MethodCallError) {
      call = try MethodCall.decode(request.body, limits: limits, budget: budget)
    } catch {
      let address = caller.address.ip
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

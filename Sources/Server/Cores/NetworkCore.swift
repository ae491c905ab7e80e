public import Core
public import EventLoop
public import Identity
import Logging
import Repository
import ServerSettings
public import XMLRPC

/// A core with clients on a network, and their authentication. CoreRequests.swift answers HTTP requests; a core with an
/// HTTP server of its own calls `authenticate` and `dispatch` itself.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Core.py, NetworkCore.
open class NetworkCore: ServerCore {
  /// Whether the file monitor was polled since the last bytes of a request arrived.
  final var hasPolledEdits = false
  /// Calls without parameters by their bodies: clients of one kind send the same bytes.
  final var knownCalls: [(body: [UInt8], call: MethodCall)] = []

  /// Decides whether a client may connect, through the Metadata plugin, which logs refusals.
  ///
  /// - Parameters:
  ///   - certificate: subject's common name of the verified client certificate. Ignored without `[communication] ca`:
  ///     nothing verified it then.
  ///   - user: of the Authorization header; nil, as the password, without one. Ignored with `[communication] passwords =
  ///     no`.
  /// - Returns: `.now` for most clients, for which clients.xml suffices; `.later` if name service has to be asked.
  public func authenticate(
    certificate: String?, user: String?, password: String?, address: ClientAddress
  ) -> Answer<AuthenticationDecision> {
    fileMonitor.processPending()
    return decide(certificate: certificate, user: user, password: password, address: address)
  }

  /// As `authenticate`, after the file monitor was polled.
  final func decide(
    certificate: String?, user: String?, password: String?, address: ClientAddress
  ) -> Answer<AuthenticationDecision> {
    guard let metadata else {
      logger.error("Metadata not loaded yet")
      return .now(.refused)
    }
    let certificate = requestSettings.verifiesCertificates ? certificate : nil
    let acceptsPasswords = requestSettings.acceptsPasswords
    if let missing = missingEvidence(hasCertificate: certificate != nil, hasUser: user != nil) {
      refusals.write(.error, of: address.ip, to: logger, "No authentication data presented by \(address.ip)\(missing)")
      return .now(.refused)
    }
    let user = acceptsPasswords ? user : nil
    let password = acceptsPasswords ? password : nil
    guard fileMonitor.isHeld else {
      return metadata.authenticateConnection(
        certificate: certificate, user: user, password: password, address: address)
    }
    return .later { [self] in
      await waitForHeldEdits()
      fileMonitor.processPending()
      return await metadata.authenticateConnection(
        certificate: certificate, user: user, password: password, address: address
      ).value
    }
  }

  /// What a client lacks that has nothing to be authenticated by; nil where it has something.
  private func missingEvidence(hasCertificate: Bool, hasUser: Bool) -> String? {
    if hasCertificate { return nil }
    if !requestSettings.acceptsPasswords {
      let why =
        requestSettings.verifiesCertificates ? "it has no client certificate" : "[communication] ca is not set"
      return ": \(why), and [communication] passwords = no"
    }
    if hasUser { return nil }
    return requestSettings.verifiesCertificates ? ": neither an Authorization header nor a client certificate" : ""
  }

  /// Limits of clients' requests.
  open var httpLimits: HTTPLimits { HTTPLimits() }
}

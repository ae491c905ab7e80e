public import Core
public import Identity
import Logging
import Repository
import ServerSettings
public import XMLRPC

/// A core with clients on a network: who may come in. What an HTTP request is answered with is in Server/Cores/CoreRequests;
/// a core with an HTTP server of its own calls `authenticate` and `dispatch` itself.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Core.py, NetworkCore.
open class NetworkCore: ServerCore {
  /// Whether the file monitor was asked since the last bytes of a request came.
  final var hasLooked = false
  /// Bodies of calls without parameters, with what they are: clients of one kind send the same bytes.
  final var knownCalls: [(body: [UInt8], call: MethodCall)] = []

  /// Whether a client may come in, as the Metadata plugin decides. Why not is in the log.
  ///
  /// - Parameter certificate: subject's common name of the verified client certificate. Counts only with a `[communication]
  ///   ca`: without one nothing verified it.
  public func authenticate(
    certificate: String?, user: String, password: String, address: ClientAddress
  ) async -> AuthenticationDecision {
    guard let metadata else {
      logger.error("Metadata not loaded yet")
      return .refused
    }
    if fileMonitor.isHeld { await waitForHeldEdits() }
    fileMonitor.processPending()
    return await metadata.authenticateConnection(
      certificate: settings.certificateAuthority == nil ? nil : certificate, user: user, password: password,
      address: address)
  }

  /// As `authenticate`, where nobody has to be waited for: most clients are known by clients.xml. nil: ask there.
  public func authenticateNow(
    certificate: String?, user: String, password: String, address: ClientAddress
  ) -> AuthenticationDecision? {
    fileMonitor.processPending()
    return decideNow(certificate: certificate, user: user, password: password, address: address)
  }

  /// As `authenticateNow`, after the file monitor was asked.
  final func decideNow(
    certificate: String?, user: String, password: String, address: ClientAddress
  ) -> AuthenticationDecision? {
    guard let metadata, !fileMonitor.isHeld else { return nil }
    return metadata.authenticateNow(
      certificate: settings.certificateAuthority == nil ? nil : certificate, user: user, password: password,
      address: address)
  }

  /// Bounds of what a client may send.
  open var httpLimits: HTTPLimits { HTTPLimits() }
}

public import Core
public import Identity
public import XMLRPC

/// A core implementation: the base core with a transport in front of it. docs/core.md tells how to write another one.
///
/// `NetworkCore` and `ServerCore` bring what every implementation calls; a subclass brings where and how it listens. The
/// process (`ServerProcess`) uses an implementation by this protocol alone, in the order `init`, `open`, `run`, `stop`.
///
/// Source of the contract: the server core's development document, "A core implementation needs to".
public protocol CoreImplementation: ServerCore {
  // MARK: What NetworkCore and ServerCore bring

  /// Whether a client may come in: called with what the head of a request says, before its body is kept.
  ///
  /// - Parameters:
  ///   - certificate: common name of the subject of the verified client certificate; nil without one.
  ///   - address: of the other end of the connection, never what a header says of it.
  func authenticate(certificate: String?, user: String, password: String, address: ClientAddress) async
    -> AuthenticationDecision
  /// Carries out a call of an authenticated client: ACLs, the core's methods with the address put before the parameters,
  /// plugin RMI without it. A fault is one of the outcomes; nothing is thrown.
  func dispatch(_ call: MethodCall, from caller: Caller) async -> CallOutcome
  /// Loads plugins and repository, starts the services of plugins, and calls `serve`.
  func run() async throws

  // MARK: What the implementation brings

  /// Takes the addresses of `settings.location` and `listensOnAll`, key, certificate and CA: what needs the privileges
  /// that the process then gives up. Answers nobody yet. Bcfg2's `_run`.
  ///
  /// - Throws: where it could not serve; the process ends.
  func open() throws
  /// Begins to answer; called by `run` once the repository is read. Bcfg2's `_block`, but it returns: the loop goes on.
  func serve() async throws
  /// Takes no new clients, finishes what is being answered within a bound, shuts the base core down, calls `completion`.
  /// The second call does not wait for anybody.
  func stop(_ completion: @escaping () -> Void)
  /// SIGHUP: reads settings, certificates and repository again and reopens the log.
  func reload()
  /// SIGUSR1: writes what the transport has counted to the log.
  func logCounters()
}

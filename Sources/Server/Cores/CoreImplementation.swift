public import Core
public import EventLoop
public import Identity
public import XMLRPC

/// A core implementation: the base core behind a transport. docs/core.md explains how to write another one.
///
/// `NetworkCore` and `ServerCore` provide everything that implementations call; a subclass adds its listeners. The
/// process (`ServerProcess`) uses an implementation through this protocol only, in the order `init`, `open`, `run`,
/// `stop`.
///
/// Source of the contract: the server core's development document, "A core implementation needs to".
public protocol CoreImplementation: ServerCore {
  // MARK: What NetworkCore and ServerCore bring

  /// Decides whether a client may connect: called with the head of a request, before its body is stored.
  ///
  /// - Parameters:
  ///   - certificate: common name of the subject of the verified client certificate; nil without one.
  ///   - user: of the Authorization header; nil, as the password, without that header.
  ///   - address: the peer's address, or the client's that a trusted proxy names (`[server] trusted_proxies`).
  func authenticate(certificate: String?, user: String?, password: String?, address: ClientAddress)
    -> Answer<AuthenticationDecision>
  /// Executes a call of an authenticated client: ACLs, then the core's methods with the address before the parameters,
  /// or plugin RMI without it. Returns faults as outcomes and throws nothing.
  func dispatch(_ call: MethodCall, from caller: Caller) async -> CallOutcome
  /// Loads plugins and repository, starts the services of plugins, and calls `serve`.
  func run() async throws

  // MARK: What the implementation brings

  /// Binds the addresses of `settings.location` and `listensOnAll` and reads key, certificate and CA, with the
  /// privileges that the process drops afterwards. Answers nobody yet. Bcfg2's `_run`.
  ///
  /// - Throws: if it cannot serve; the process ends.
  func open() throws
  /// Starts answering; called by `run` once the repository is read. Bcfg2's `_block`, but it returns while the loop
  /// runs on.
  func serve() async throws
  /// Accepts no new clients, finishes answers in progress within a bound, shuts the base core down, calls `completion`.
  /// A second call does not wait.
  func stop(_ completion: @escaping () -> Void)
  /// SIGHUP: reads settings, certificates and repository again and reopens the log.
  func reload()
  /// SIGUSR1: logs the transport's counters.
  func logCounters()
}

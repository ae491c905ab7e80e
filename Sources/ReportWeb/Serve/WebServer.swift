#if Web
  import Glibc
  import HTTPTypes
  import Hummingbird
  import HummingbirdCore
  public import Logging
  import NIOCore
  import NIOHTTPTypes
  import NIOPosix
  import ServiceLifecycle
  import UnixSignals
  import Synchronization

  /// Why the address cannot be listened on.
  struct ListenFailure: Error, CustomStringConvertible {
    let text: String
    var description: String { "cannot listen: \(text)" }
  }

  /// Serves the pages until SIGTERM.
  public struct WebServer: Sendable {
    private let settings: WebSettings
    private let logger: Logger

    public init(_ settings: WebSettings, logger: Logger) {
      self.settings = settings
      self.logger = logger
    }

    /// What cannot work, found before the start.
    ///
    /// - Throws: for a file of users that cannot be read.
    public func check() throws {
      if case .basic(let file) = settings.authentication { _ = try PasswordFile(path: file) }
    }

    /// - Parameter onListening: called with the port.
    /// - Throws: where the address cannot be listened on.
    public func run(onListening: @escaping @Sendable (Int) -> Void) async throws {
      let tokens = FormTokens()
      let pool = DatabasePool(settings.database)
      let authenticator = Authenticator(settings.authentication, tokens: tokens)
      // Hummingbird's own messages are of no use below warnings.
      var quiet = logger
      quiet.logLevel = max(logger.logLevel, .warning)
      let application = Application(
        responder: WebResponder(settings, pool: pool, authenticator: authenticator, tokens: tokens, logger: logger),
        server: .http1(
          configuration: .init(
            additionalChannelHandlers: [RequestDeadline()], idleTimeout: .seconds(WebLimit.requestSeconds),
            httpDecoderConfiguration: .init(
              maxHeaderFieldSize: WebLimit.headerBytes, maxHeaderListSize: WebLimit.headerBytes,
              maxHeaderFieldCount: WebLimit.headers))),
        configuration: .init(
          address: .hostname(settings.address, port: settings.port),
          availableConnectionsDelegate: MaximumAvailableConnections(WebLimit.connections, logger: quiet)),
        onServerRunning: { channel in onListening(channel.localAddress?.port ?? 0) },
        eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), logger: quiet)
      var configuration = ServiceGroupConfiguration(
        services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
      configuration.maximumGracefulShutdownDuration = .seconds(WebLimit.endSeconds)
      let group = ServiceGroup(configuration: configuration)
      do {
        try await group.run()
      } catch {
        try await pool.shutDown()
        try await authenticator.shutDown()
        // Its own text names functions of NIO.
        if let error = error as? IOError { throw ListenFailure(text: String(cString: strerror(error.errnoCode))) }
        throw error
      }
      try await pool.shutDown()
      try await authenticator.shutDown()
    }
  }
#endif

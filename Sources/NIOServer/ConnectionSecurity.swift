#if NIO
  import EventLoop
  import Logging

  /// The TLS of new connections: NIO's, made anew whenever the loop's context has read its files again.
  @MainActor final class ConnectionSecurity {
    let context: TLSContext
    private(set) var current: SecureContext
    private let logger: Logger

    /// - Throws: what NIO cannot use of the files in use.
    init(_ context: TLSContext, logger: Logger) throws(TLSContextError) {
      self.context = context
      self.logger = logger
      current = try SecureContext(context)
      context.onReload = { [weak self] in self?.reload() }
    }

    private func reload() {
      do {
        current = try SecureContext(context)
      } catch {
        logger.error("Connections go on with the last certificate: \(error)")
      }
    }
  }
#endif

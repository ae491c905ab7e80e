#if NIO
  public import EventLoop
  import Glibc
  import Logging
  public import Networking
  public import ServerSettings

  /// Connections on SwiftNIO, with TLS by swift-nio-ssl: `[server] backend = nio`.
  ///
  /// NIO runs on one thread of its own, which begins with `serve`, after privileges were dropped. The loop's thread does
  /// everything else.
  @MainActor public final class NIOConnections: ConnectionLibrary {
    public let coreName = "NIOCore"
    public var onExhausted: ((SystemError) -> Void)?

    /// Connections that are attended to in one iteration of the loop.
    private static let attendedPerIteration = 256

    private let loop: Reactor
    private let settings: Settings
    private let logger = Logger(label: "NIOConnections")
    private var table: ConnectionTable?
    private var security: ConnectionSecurity?
    private var mailbox: Mailbox?
    private var wakeup: Wakeup?
    private var thread: NIOThread?
    /// Listening sockets that NIO does not have yet.
    private var sockets: [(descriptor: Int32, address: SocketAddress)] = []
    private var isClosed = false
    /// Connections that wait for the next iteration.
    private var waiting: ArraySlice<Link> = []

    /// - Parameter settings: those that the core starts with.
    public init(on loop: Reactor, settings: Settings) {
      self.loop = loop
      self.settings = settings
    }

    isolated deinit {
      close()
      end()
    }

    public func open(for table: ConnectionTable, context: TLSContext) throws -> [String] {
      self.table = table
      security = try ConnectionSecurity(context, logger: logger)
      let wakeup = try Wakeup(on: loop) { [weak self] in self?.takeMail() }
      self.wakeup = wakeup
      mailbox = Mailbox(wakeup)
      return shortcomings
    }

    /// Options that swift-nio-ssl has nothing for.
    private var shortcomings: [String] {
      var found: [String] = []
      if settings.statusResponse != nil {
        found.append(
          "\(settings.origin(of: ServerOptions.standard.statusResponse)): backend = nio sends no ocsp_response: "
            + "SwiftNIO's TLS cannot")
      }
      if !settings.givesSessionTickets {
        found.append(
          "\(settings.origin(of: ServerOptions.standard.givesSessionTickets)): backend = nio gives tickets whatever "
            + "session_tickets says: SwiftNIO's TLS cannot do without")
      }
      return found
    }

    public func listen(on socket: consuming FileDescriptor) throws(SystemError) -> SocketAddress {
      let address = try SocketAddress.local(of: socket.rawValue)
      sockets.append((socket.take(), address))
      return address
    }

    public func serve() async throws {
      guard let mailbox else { preconditionFailure("served before it was opened") }
      let thread = NIOThread(mailbox)
      self.thread = thread
      while !isClosed, !sockets.isEmpty {
        let (descriptor, address) = sockets.removeFirst()
        try await thread.accept(on: descriptor, address: "\(address)")
        // NIO has set its own length of the kernel's queue.
        if !isClosed { _ = Glibc.listen(descriptor, Listener.defaultBacklog) }
      }
    }

    // MARK: - What NIO's thread has for the loop

    private func takeMail() {
      guard let mail = mailbox?.take(), let table, let security else { return }
      for (link, address) in mail.arrivals {
        table.admit(LinkTransport(link, on: loop, security: security), from: address)
      }
      let isAttending = !waiting.isEmpty
      waiting += mail.links
      if !isAttending { attendToSome() }
      if let exhaustion = mail.exhaustion { onExhausted?(exhaustion) }
      if isClosed { return }
      for lost in mail.lostListeners {
        logger.error("\(lost): SwiftNIO has closed this listening socket; nobody is served there before a restart")
      }
    }

    private func attendToSome() {
      for link in waiting.prefix(Self.attendedPerIteration) {
        link.withState { $0.isListed = false }
        link.transport?.attend()
      }
      waiting = waiting.dropFirst(Self.attendedPerIteration)
      if waiting.isEmpty {
        waiting = []
      } else {
        loop.post { [weak self] in self?.attendToSome() }
      }
    }

    // MARK: - The end

    public func close() {
      isClosed = true
      for (descriptor, _) in sockets { FileDescriptor(owning: descriptor).close() }
      sockets = []
      thread?.close()
    }

    public func end() {
      mailbox?.close()
      mailbox = nil
      wakeup?.close()
      wakeup = nil
      waiting = []
      thread?.end()
      thread = nil
    }
  }
#endif

#if NIO
  public import EventLoop
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
    private(set) var mailbox: Mailbox?
    private var wakeup: Wakeup?
    private(set) var thread: NIOThread?
    /// Listening sockets that NIO does not have yet.
    private var sockets: [(descriptor: Int32, address: SocketAddress)] = []
    /// NIO is taking one over.
    private var isTaking = false
    private var isClosed = false
    /// Connections that wait for the next iteration.
    private var waiting: ArraySlice<Link> = []
    /// Who waits until no more connections come.
    private var onClosed: (() -> Void)?
    /// Who waits until everything is sent.
    private var onFinished: (() -> Void)?
    /// Who waits for a turn of NIO's thread.
    private var onTurn: (() -> Void)?
    /// Bounds the wait for NIO's thread at the end.
    private var patience: Timer?
    private static let patienceTime = SocketEnd.closeTime + .seconds(1)

    /// - Parameter settings: those that the core starts with.
    public init(on loop: Reactor, settings: Settings) {
      self.loop = loop
      self.settings = settings
    }

    isolated deinit {
      closeSockets()
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
      if isClosed { return }
      guard let mailbox else { preconditionFailure("served before it was opened") }
      let thread = NIOThread(mailbox)
      self.thread = thread
      isTaking = true
      defer {
        isTaking = false
        // Not after `end`, with which the thread ends.
        if isClosed, self.thread != nil { thread.close() }
      }
      while !isClosed, !sockets.isEmpty {
        let (descriptor, address) = sockets.removeFirst()
        try await thread.accept(on: descriptor, address: "\(address)", backlog: Listener.defaultBacklog)
      }
    }

    public func proveLife(_ answer: @escaping () -> Void) {
      guard let thread else { return answer() }
      let isAsked = onTurn != nil
      onTurn = answer
      if !isAsked { thread.askForTurn() }
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
      if !isClosed {
        for lost in mail.lostListeners {
          logger.error("\(lost): SwiftNIO has closed this listening socket; nobody is served there before a restart")
        }
      }
      if mail.notices.contains(.hadTurn) {
        let answer = onTurn.take()
        answer?()
      }
      if mail.notices.contains(.stoppedAccepting) { stoppedAccepting() }
      if mail.notices.contains(.isEmpty) { finished() }
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

    public func close(_ completion: @escaping () -> Void) {
      precondition(!isClosed, "closed twice")
      closeSockets()
      guard let thread else { return completion() }
      onClosed = completion
      wait { $0.stoppedAccepting() }
      // Otherwise once NIO has the socket.
      if !isTaking { thread.close() }
    }

    private func closeSockets() {
      isClosed = true
      for (descriptor, _) in sockets { FileDescriptor(owning: descriptor).close() }
      sockets = []
    }

    private func stoppedAccepting() {
      patience?.cancel()
      let completion = onClosed.take()
      completion?()
    }

    public func finish(_ completion: @escaping () -> Void) {
      guard let mailbox, thread != nil else {
        end()
        return completion()
      }
      onFinished = completion
      wait { $0.finished() }
      mailbox.awaitEnd()
    }

    private func finished() {
      let completion = onFinished.take()
      end()
      completion?()
    }

    /// Goes on without NIO's thread if that takes too long.
    private func wait(_ goOn: @escaping (NIOConnections) -> Void) {
      patience?.cancel()
      patience = loop.schedule(after: Self.patienceTime) { [weak self] in
        if let self { goOn(self) }
      }
    }

    public func end() {
      patience?.cancel()
      (onClosed, onFinished, onTurn) = (nil, nil, nil)
      let rest = mailbox?.close()
      mailbox = nil
      wakeup?.close()
      wakeup = nil
      // NIO's thread waits for an answer to each.
      for link in waiting + (rest?.links ?? []) { link.refuseQuestion() }
      waiting = []
      thread?.end()
      thread = nil
    }
  }
#endif

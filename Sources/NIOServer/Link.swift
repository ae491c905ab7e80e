#if NIO
  import EventLoop
  import NIOConcurrencyHelpers
  import NIOCore
  import NIOSSL

  /// One connection between two threads: NIO's, which moves its bytes, and the loop's, which knows what they mean.
  ///
  /// What one thread has for the other waits here, behind a lock that is held for a copy at most. Both directions are bounded:
  /// NIO reads no more from the socket while `inputLimitBytes` wait for the loop, the loop writes no more while
  /// `outputLimitBytes` wait for the socket.
  final class Link: Sendable {
    /// Input that may wait for the loop before NIO stops reading. One read and what is decrypted from it come on top.
    static let inputLimitBytes = 64 * 1024
    /// Output that may wait for the socket.
    static let outputLimitBytes = 128 * 1024
    /// Output that counts as written, as what is in the kernel's buffer does. The loop is told when no more is left.
    static let outputRestBytes = 32 * 1024

    /// What NIO's handshake has found out.
    struct Facts {
      var protocolText: String
      var applicationProtocol: String?
      /// The client's certificate in DER; empty without one.
      var certificate: [UInt8]
    }

    /// A client's certificates, about which the loop decides.
    struct Question {
      /// In DER, one behind the other, the client's own first.
      var chain: [UInt8]
      var answer: EventLoopPromise<NIOSSLVerificationResult>
    }

    /// What the loop wants of NIO's thread.
    struct Orders {
      /// Before TLS: what is to be sent as it is.
      var clearOutput = ByteBuffer()
      /// Begins TLS.
      var handshake: SecureContext?
      /// What came before TLS began, and belongs to it.
      var first = ByteBuffer()
      var output = ByteBuffer()
      var unsentBytes: Int?
      var resumesReading = false
      var endsOutput = false
      /// Ends the connection once the output is written, which may take `SocketEnd.closeTime`.
      var closes = false
      /// Ends it at once.
      var dropsOutput = false
    }

    struct State {
      var input = ByteBuffer()
      /// Nothing follows the input: the peer has sent its end, or the connection is gone.
      var isInputEnded = false
      var isGone = false
      var failure: TransportFailure?
      var facts: Facts?
      var question: Question?
      /// NIO does not read before there is room.
      var isReadingHeld = true
      var orders = Orders()
      var areOrdersPosted = false
      /// Bytes of output that NIO has and the socket has not.
      var unwrittenBytes = 0
      /// The loop waits until little output is left.
      var wantsRoom = false
      /// The mailbox has it.
      var isListed = false
      /// The loop has done with it.
      var isEnded = false

      var unsentBytes: Int { unwrittenBytes + orders.output.readableBytes }
    }

    let eventLoop: any EventLoop
    private let mailbox: Mailbox
    private let state: NIOLockedValueBox<State>
    /// The handler next to the socket; used on NIO's thread alone.
    let socketEnd: NIOLoopBoundBox<SocketEnd?>
    /// The loop's end.
    @MainActor weak var transport: LinkTransport?

    init(on eventLoop: any EventLoop, mailbox: Mailbox) {
      self.eventLoop = eventLoop
      self.mailbox = mailbox
      state = NIOLockedValueBox(State())
      socketEnd = .makeEmptyBox(valueType: SocketEnd.self, eventLoop: eventLoop)
    }

    /// Looks at the state, or takes from it.
    func withState<Result>(_ body: (inout State) -> Result) -> Result { state.withLockedValue(body) }

    // MARK: - On NIO's thread

    /// Changes what the loop has to look at, and tells it.
    func tell(_ change: (inout State) -> Void) {
      let isNew = state.withLockedValue { state in
        change(&state)
        if state.isEnded || state.isListed { return false }
        state.isListed = true
        return true
      }
      if isNew { mailbox.add(self) }
    }

    /// Keeps what came for the loop.
    func received(_ bytes: ByteBuffer) {
      tell { state in
        if state.isEnded { return }
        if state.input.readableBytes == 0 {
          state.input = bytes
        } else {
          // What was read is given back, or a body that the loop never catches up with would be kept whole.
          if state.input.readerIndex >= Self.inputLimitBytes { state.input.discardReadBytes() }
          var bytes = bytes
          state.input.writeBuffer(&bytes)
        }
      }
    }

    /// Whether NIO may read on; otherwise it is told when it may.
    func mayRead() -> Bool {
      state.withLockedValue { state in
        state.isReadingHeld = state.isEnded || state.input.readableBytes >= Self.inputLimitBytes
        return !state.isReadingHeld
      }
    }

    /// Counts output that the socket has taken.
    func wrote(_ byteCount: Int) {
      let isRoom = state.withLockedValue { state in
        state.unwrittenBytes -= byteCount
        return state.wantsRoom && state.unsentBytes <= Self.outputRestBytes
      }
      if isRoom { tell { _ in } }
    }

    func fail(_ failure: TransportFailure) {
      tell { state in if state.failure == nil { state.failure = failure } }
    }

    /// Asks the loop about a client's certificates.
    func ask(_ question: Question) {
      var isPointless = false
      tell { state in
        isPointless = state.isEnded
        if !isPointless { state.question = question }
      }
      if isPointless {
        question.answer.succeed(.failed)
      } else if mailbox.isClosed {
        // The loop looks at nothing any more.
        refuseQuestion()
      }
    }

    /// Answers no to what the loop has not decided. On either thread.
    func refuseQuestion() {
      let question = state.withLockedValue { state in
        defer { state.question = nil }
        return state.question
      }
      question?.answer.succeed(.failed)
    }

    func takeOrders() -> Orders {
      state.withLockedValue { state in
        state.areOrdersPosted = false
        var orders = state.orders
        state.orders = Orders()
        // NIO has read on since the loop gave the order. Bytes in clear that stayed here would pass for decrypted ones.
        if orders.handshake != nil { swap(&orders.first, &state.input) }
        state.unwrittenBytes += orders.output.readableBytes
        return orders
      }
    }

    // MARK: - On the loop

    /// Adds to what NIO's thread has to do, and tells it.
    func order<Result>(_ change: (inout State) -> Result) -> Result {
      let (isNew, result) = state.withLockedValue { state in
        let result = change(&state)
        let isNew = !state.areOrdersPosted
        state.areOrdersPosted = true
        return (isNew, result)
      }
      if isNew, !mailbox.isClosed { eventLoop.execute { self.socketEnd.value?.carryOut() } }
      return result
    }

    /// Lets NIO read on if it waits for that and there is room.
    func resumeReading() {
      let waits = state.withLockedValue {
        $0.isReadingHeld && $0.input.readableBytes <= Self.inputLimitBytes / 2 && !$0.isInputEnded
      }
      if !waits { return }
      order { state in
        state.isReadingHeld = false
        state.orders.resumesReading = true
      }
    }

    /// Ends the connection. Output that counts as written goes out before, as from the kernel's buffer; else all is dropped.
    func close() {
      order { state in
        state.isEnded = true
        state.input = ByteBuffer()
        if state.unsentBytes > Self.outputRestBytes || state.failure != nil {
          state.orders = Orders()
          state.orders.dropsOutput = true
        }
        state.orders.closes = true
      }
      refuseQuestion()
    }
  }
#endif

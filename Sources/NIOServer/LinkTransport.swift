#if NIO
  import EventLoop
  import Glibc
  import NIOCore
  import NIOSSL
  import Networking

  /// The loop's end of a link: a transport, whose readiness is that of the link's buffers.
  ///
  /// The first bytes stay as they came until the handshake begins, so that a PROXY header can be read, and a connection that
  /// is no TLS is known for what it is before anything is made for it.
  @MainActor final class LinkTransport: LibraryTransport {
    private enum Phase {
      case clear, handshaking, secured
    }

    /// There is none on the loop.
    let descriptor: CInt = -1
    private let link: Link
    private let loop: Reactor
    private let security: ConnectionSecurity
    private var phase = Phase.clear
    private var interest: Interest = []
    private var handler: (() -> Void)?
    private var isTurnPosted = false
    /// Bytes before TLS that were looked at and were too few.
    private var seenBytes = 0
    private var facts: Link.Facts?
    /// What the client sent as its certificate, with the chain behind it.
    private var chain: [UInt8] = []
    /// Why that was refused.
    private var refusal: String?
    /// When that is checked again; from the beginning of the handshake on.
    private var check: CertificateCheck?

    init(_ link: Link, on loop: Reactor, security: ConnectionSecurity) {
      self.link = link
      self.loop = loop
      self.security = security
      link.transport = self
    }

    // MARK: - Readiness

    func watch(_ handler: @escaping () -> Void) {
      self.handler = handler
      interest = .read
      link.resumeReading()
    }

    func setInterest(_ interest: Interest) {
      self.interest = interest
      if isReady { postTurn() }
    }

    /// The mailbox had the link: decides about a certificate, and tells the connection what is ready.
    func attend() {
      decide()
      if isReady { handler?() }
    }

    private func postTurn() {
      if isTurnPosted { return }
      isTurnPosted = true
      loop.post { [self] in
        isTurnPosted = false
        if isReady { handler?() }
      }
    }

    private var isReady: Bool {
      if interest.isEmpty || handler == nil { return false }
      return link.withState { state in
        if state.failure != nil || state.isGone { return true }
        if interest.contains(.write), !state.wantsRoom || state.unsentBytes <= Link.outputRestBytes { return true }
        guard interest.contains(.read) else { return false }
        switch phase {
        case .clear: return state.isInputEnded || state.input.readableBytes > seenBytes
        case .handshaking: return state.isInputEnded || state.facts != nil
        case .secured: return state.isInputEnded || state.input.readableBytes > 0
        }
      }
    }

    func boundUnsent(to limitBytes: Int) { link.order { $0.orders.unsentBytes = limitBytes } }

    func end() {
      handler = nil
      interest = []
      link.close()
    }

    // MARK: - Before TLS

    func readInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome { read(into: buffer) }

    func peekInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
      link.withState { state in
        let count = min(buffer.count, state.input.readableBytes)
        guard count > 0 else { return Self.outcome(of: state) }
        state.input.withUnsafeReadableBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        return .bytes(count)
      }
    }

    // MARK: - Handshake

    func handshake() -> StepOutcome {
      switch phase {
      case .clear: beginHandshake()
      case .handshaking: goOnWithHandshake()
      case .secured: .done
      }
    }

    private func beginHandshake() -> StepOutcome {
      let (opening, count, outcome) = link.withState { state in
        let opening = state.input.withUnsafeReadableBytes { Opening(of: $0) }
        return (opening, state.input.readableBytes, Self.outcome(of: state))
      }
      switch (opening, outcome) {
      case (.tls, _): break
      case (.plainHTTP, _): return .failed(.plainHTTP)
      case (.foreign, _): return .failed(.notTLS)
      case (.unknown, .failed(let failure)): return .failed(failure)
      case (.unknown, .closed): return .closed
      case (.unknown, _):
        seenBytes = count
        link.resumeReading()
        return .wantRead
      }
      phase = .handshaking
      check = CertificateCheck(security.context)
      let secure = security.current
      link.order { state in
        state.orders.handshake = secure
        // The TLS handler reads by itself.
        state.isReadingHeld = false
      }
      return .wantRead
    }

    private func goOnWithHandshake() -> StepOutcome {
      let (found, outcome) = link.withState { ($0.facts, Self.outcome(of: $0)) }
      if let found {
        facts = found
        if chain.isEmpty, !found.certificate.isEmpty {
          // Of a resumed session, about whose certificate BoringSSL asks nobody, and whose chain it does not tell.
          chain = found.certificate
          if let fault = security.context.clientCertificateFault(chain: chain) {
            return .failed(.certificateRefused(fault))
          }
        }
        phase = .secured
        return .done
      }
      switch outcome {
      case .failed where refusal != nil, .closed where refusal != nil:
        return .failed(.certificateRefused(refusal ?? ""))
      case .failed(let failure): return .failed(failure)
      case .closed: return .closed
      case .bytes, .wantRead, .wantWrite: return .wantRead
      }
    }

    /// Decides about the certificates that the client has sent.
    private func decide() {
      let question = link.withState { state in
        defer { state.question = nil }
        return state.question
      }
      guard let question else { return }
      chain = question.chain
      refusal = security.context.clientCertificateFault(chain: chain)
      question.answer.succeed(refusal == nil ? .certificateVerified : .failed)
    }

    // MARK: - Bytes

    func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
      let outcome: TransferOutcome = link.withState { state in
        let count = min(buffer.count, state.input.readableBytes)
        guard count > 0 else { return Self.outcome(of: state) }
        state.input.readWithUnsafeReadableBytes {
          buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count]))
          return count
        }
        if state.input.readableBytes == 0 { state.input = ByteBuffer() }
        return .bytes(count)
      }
      link.resumeReading()
      return outcome
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome {
      let (taken, failure) = link.withState { state -> (Int, TransportFailure?) in
        if let failure = state.failure { return (0, failure) }
        if state.isGone { return (0, .system(EPIPE)) }
        let count = min(bytes.count, Link.outputLimitBytes - state.unsentBytes)
        state.wantsRoom = count <= 0
        return (max(count, 0), nil)
      }
      if let failure { return .failed(failure) }
      if taken == 0 { return .wantWrite }
      link.order { _ = $0.orders.output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[..<taken])) }
      return .bytes(taken)
    }

    /// What the link holds at most is written as far as the connection is concerned, like what the kernel's buffer holds.
    func flush() -> StepOutcome {
      link.withState { state in
        if let failure = state.failure { return .failed(failure) }
        if state.isGone { return .failed(.system(EPIPE)) }
        state.wantsRoom = state.unsentBytes > Link.outputRestBytes
        return state.wantsRoom ? .wantWrite : .done
      }
    }

    func shutdown() -> StepOutcome {
      if phase == .handshaking { return .done }
      link.order { $0.orders.endsOutput = true }
      return .done
    }

    func discardInput(upTo limitBytes: Int) -> TransferOutcome {
      let outcome: TransferOutcome = link.withState { state in
        let count = min(limitBytes, state.input.readableBytes)
        guard count > 0 else { return Self.outcome(of: state) }
        state.input.moveReaderIndex(forwardBy: count)
        if state.input.readableBytes == 0 { state.input = ByteBuffer() }
        return .bytes(count)
      }
      link.resumeReading()
      return outcome
    }

    func writeInClear(_ bytes: UnsafeRawBufferPointer) {
      guard phase == .clear else { return }
      link.order { _ = $0.orders.clearOutput.writeBytes(bytes) }
    }

    /// What a read finds where there are no bytes.
    private nonisolated static func outcome(of state: Link.State) -> TransferOutcome {
      if let failure = state.failure { return .failed(failure) }
      return state.isInputEnded || state.isGone ? .closed : .wantRead
    }

    // MARK: - State

    /// Readiness announces all input.
    var hasBufferedInput: Bool { phase == .secured && link.withState { $0.input.readableBytes > 0 } }
    let hasUnsentOutput = false

    var peerCommonName: String? { chain.isEmpty ? nil : TLSContext.commonName(ofCertificate: chain) }

    var peerCertificateFault: String? {
      guard !chain.isEmpty else { return nil }
      return check?.fault { security.context.clientCertificateFault(chain: chain) }
    }

    /// A certificate that is not accepted ends the handshake.
    let verifyResult = 0
    var applicationProtocol: String? { facts?.applicationProtocol }
    var protocolText: String { facts?.protocolText ?? "" }
  }

  /// What a connection begins with.
  nonisolated enum Opening: Equatable {
    case tls, plainHTTP, foreign
    /// Too few bytes to tell.
    case unknown

    /// The first byte of TLS is a record of the handshake's type; HTTP is told by its methods, as by OpenSSL.
    init(of bytes: UnsafeRawBufferPointer) {
      guard let first = bytes.first else {
        self = .unknown
        return
      }
      if first == 0x16 {
        self = .tls
        return
      }
      let methods = ["GET ", "POST ", "HEAD ", "PUT ", "CONNECT "].map { Array($0.utf8) }
      let beginsLikeOne = methods.contains { method in
        zip(method, bytes).allSatisfy { $0 == $1 }
      }
      if !beginsLikeOne {
        self = .foreign
      } else {
        self = methods.contains { bytes.starts(with: $0) } ? .plainHTTP : .unknown
      }
    }
  }
#endif

import Glibc

/// A process of ours with a stream socket to it, over which frames go and come without blocking.
///
/// A frame is a `FrameHeader` and its payload. Frames wait here until the socket takes them: their owner bounds how many.
public final class FrameHelper {
  /// What came.
  public struct Frame {
    public let kind: UInt8
    /// The number of the question that it answers.
    public let request: UInt64
    public let payload: ArraySlice<UInt8>
  }

  /// Bytes read in one turn.
  private static let pieceBytes = 256 << 10

  public let child: ChildProcess
  private unowned let loop: Reactor
  private let limitBytes: Int
  private let socket: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var outgoing: [UInt8] = []
  private var sentBytes = 0
  private var incoming: [UInt8] = []
  private let onFrame: (Frame) -> Void
  private let onEnd: (String) -> Void

  /// Starts the process.
  ///
  /// - Parameters:
  ///   - configuration: without the socket.
  ///   - socketNumber: the socket's descriptor in the process.
  ///   - limitBytes: of a payload; a longer one ends the process.
  ///   - onEnd: called once, with the reason, if the process ends before `close`.
  public init(
    _ configuration: ChildProcess.Configuration, socketNumber: Int32 = 3, limitBytes: Int, on loop: Reactor,
    onFrame: @escaping (Frame) -> Void, onEnd: @escaping (String) -> Void
  ) throws(SystemError) {
    let pair = try SocketPair(SOCK_STREAM)
    let theirs = FileDescriptor(owning: pair.second)
    let ours = FileDescriptor(owning: pair.first)
    try ours.setNonblocking()
    self.loop = loop
    self.limitBytes = limitBytes
    self.onFrame = onFrame
    self.onEnd = onEnd
    socket = ours.rawValue
    var configuration = configuration
    configuration.descriptors[socketNumber] = theirs.rawValue
    child = try ChildProcess(configuration, on: loop)
    owner = consume ours
    do throws(SystemError) {
      watcher = try loop.register(socket, interest: .read) { [weak self] in self?.handle($0) }
    } catch {
      child.kill(SIGKILL)
      throw error
    }
  }

  /// Sends a frame, now or when the socket takes it.
  public func send(_ frame: [UInt8]) {
    if outgoing.isEmpty { outgoing = frame } else { outgoing += frame }
    flush()
  }

  /// Ends the process, whatever it does.
  public func close() {
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() {
      loop.closeLater(owner)
      child.kill(SIGKILL)
    }
  }

  private func handle(_ readiness: Readiness) {
    if readiness.contains(.writable) { flush() }
    if !readiness.isDisjoint(with: [.readable, .hangup, .error]) { receive() }
  }

  private func flush() {
    while sentBytes < outgoing.count {
      let count = outgoing.withUnsafeBytes {
        Glibc.send(
          socket, $0.baseAddress! + sentBytes, $0.count - sentBytes, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EAGAIN { return setInterest([.read, .write]) }
      // A process that has ended is noticed where its answer is read.
      guard count > 0 else { break }
      sentBytes += count
    }
    outgoing = []
    sentBytes = 0
    setInterest(.read)
  }

  private func setInterest(_ interest: Interest) {
    do throws(SystemError) {
      try watcher?.setInterest(interest)
    } catch {
      end("\(error)")
    }
  }

  /// Reads one piece; the loop calls again where there is more.
  private func receive() {
    var count = 0
    var code: Int32 = 0
    let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { space, filled in
      count = recv(socket, space.baseAddress, Self.pieceBytes, 0)
      code = errno
      filled = max(0, count)
    }
    if count < 0 && (code == EINTR || code == EAGAIN) { return }
    // One that leaves something unread resets the connection.
    guard count > 0 else {
      return end(count == 0 || code == ECONNRESET ? "it ended" : String(cString: strerror(code)))
    }
    if incoming.isEmpty { incoming = piece } else { incoming += piece }
    takeFrames()
  }

  private func takeFrames() {
    let received = incoming
    incoming = []
    var start = 0
    while owner != nil, received.count - start >= FrameHeader.byteCount {
      let content = start + FrameHeader.byteCount
      guard let header = FrameHeader(received[start..<content], limitBytes: limitBytes) else {
        return end("a malformed frame")
      }
      let next = content + header.payloadBytes
      guard received.count >= next else {
        incoming.reserveCapacity(next - start)
        break
      }
      start = next
      onFrame(Frame(kind: header.kind, request: header.request, payload: received[content..<next]))
    }
    incoming += received[start...]
  }

  private func end(_ reason: String) {
    guard owner != nil else { return }
    close()
    onEnd(reason)
  }
}

extension FrameHeader {
  /// A header and the payload that it announces.
  public nonisolated static func frame(kind: UInt8, request: UInt64, _ payload: [UInt8]) -> [UInt8] {
    var frame = [UInt8](repeating: 0, count: byteCount)
    frame.withUnsafeMutableBytes {
      FrameHeader(kind: kind, request: request, payloadBytes: payload.count).write(to: $0)
    }
    return frame + payload
  }
}

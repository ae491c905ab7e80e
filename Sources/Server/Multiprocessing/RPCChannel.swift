import DequeModule
import EventLoop
import Glibc
import XMLRPC

/// One end of the stream socket pair between parent and child: sends and receives frames on a loop without blocking.
///
/// An answer through a pair costs one copy into the kernel and one out of it, straight into the arrays sent to the
/// client. Passing a memfd instead (SCM_RIGHTS) took four to fourteen times as long from 2 kB to 20 MB, read or mapped,
/// because every page is new each time.
@MainActor final class RPCChannel {
  /// Most bytes read per readiness, before others have their turn.
  private static let turnBytes = 1 << 20
  /// Segments are gathered into writes of this many bytes: an answer has a thousand of them, and each write may wake
  /// the other end.
  private static let gatherBytes = 256 << 10
  /// A large payload is received in pieces of at most this many bytes.
  private static let pieceBytes = 96 << 10

  /// A large frame being received.
  private struct Partial {
    let kind: RPCFrame.Kind
    let request: UInt64
    var payload: ByteSegments
    var missingBytes: Int
  }

  /// Called with each frame, in order. It may close the channel.
  var onFrame: (RPCFrame) -> Void = { _ in }
  /// Called once when the other end is closed or violates the protocol; not after `close`.
  var onEnd: (_ reason: String) -> Void = { _ in }
  /// Bytes that the kernel has not accepted yet.
  private(set) var queuedBytes = 0
  /// Missing bytes of the frame being received; 0 between two frames, and for a small one.
  var missingBytes: Int { partial?.missingBytes ?? 0 }

  private let loop: Reactor
  private let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var isClosed = false
  private var outgoing: Deque<[UInt8]> = []
  /// Bytes of the first outgoing piece that were sent.
  private var sentBytes = 0
  private var isFlushDue = false
  /// Buffer for gathering segments; its pages are reused for each answer.
  private let gathered = UnsafeMutableRawBufferPointer.allocate(
    byteCount: RPCChannel.gatherBytes, alignment: 16)
  private var scratch: [UInt8]
  /// Received bytes of an incomplete frame.
  private var pending: ArraySlice<UInt8> = []
  private var partial: Partial?

  /// - Parameter descriptor: a connected stream socket.
  init(_ descriptor: consuming FileDescriptor, on loop: Reactor) throws(SystemError) {
    self.loop = loop
    self.descriptor = descriptor.rawValue
    scratch = [UInt8](repeating: 0, count: 64 << 10)
    try descriptor.setNonblocking()
    owner = consume descriptor
    watcher = try loop.register(self.descriptor, interest: .read) { [weak self] in self?.handle($0) }
  }

  isolated deinit {
    close()
    gathered.deallocate()
  }

  /// Makes two connected ends.
  static func makePair() throws(SystemError) -> (Int32, Int32) {
    let pair = try SocketPair(SOCK_STREAM)
    // Request the system's largest buffer if it exceeds the default: a large answer then takes fewer turns. Failure is
    // no error.
    for end in [pair.first, pair.second] {
      var size: Int32 = 1 << 20
      _ = setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    return (pair.first, pair.second)
  }

  /// Sends a frame. Frames of one loop iteration are sent together at its end.
  func send(_ kind: RPCFrame.Kind, request: UInt64 = 0, _ payload: ByteSegments = ByteSegments()) {
    guard !isClosed else { return }
    outgoing.append(RPCFrame.header(kind, request: request, payloadBytes: payload.count))
    outgoing.append(contentsOf: payload.segments)
    queuedBytes += FrameHeader.byteCount + payload.count
    guard !isFlushDue else { return }
    isFlushDue = true
    loop.atEndOfIteration { [weak self] in
      self?.isFlushDue = false
      self?.flush()
    }
  }

  /// Sends as much as the kernel accepts now.
  func flush() {
    guard !isClosed else { return }
    while !outgoing.isEmpty {
      let count = sendSome()
      let code = errno
      if count < 0 {
        if code == EINTR { continue }
        if code != EAGAIN { return end("send: \(String(cString: strerror(code)))") }
        break
      }
      consume(count)
    }
    setInterest(outgoing.isEmpty ? .read : [.read, .write])
  }

  /// Receives everything that a closed other end sent before its end.
  func drain() { receive(atMost: .max, untilNothing: true) }

  /// Closes this end; the other end reads end of file.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { loop.closeLater(owner) }
    outgoing.removeAll()
    queuedBytes = 0
  }

  // MARK: Sending

  /// Sends as many segments as the buffer holds; a single or larger one is sent from its own memory.
  private func sendSome() -> Int {
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    let first = outgoing[0]
    if first.count - sentBytes >= gathered.count || outgoing.count == 1 {
      let start = sentBytes
      return first.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + start, $0.count - start, flags) }
    }
    var count = 0
    var start = sentBytes
    for piece in outgoing {
      let bytes = min(piece.count - start, gathered.count - count)
      piece.withUnsafeBytes {
        (gathered.baseAddress! + count).copyMemory(from: $0.baseAddress! + start, byteCount: bytes)
      }
      count += bytes
      start = 0
      if count == gathered.count { break }
    }
    return Glibc.send(descriptor, gathered.baseAddress, count, flags)
  }

  private func consume(_ count: Int) {
    queuedBytes -= count
    var left = count + sentBytes
    while let first = outgoing.first, left >= first.count {
      left -= first.count
      outgoing.removeFirst()
    }
    sentBytes = left
  }

  private func setInterest(_ interest: Interest) {
    do throws(SystemError) {
      try watcher?.setInterest(interest)
    } catch {
      end("\(error)")
    }
  }

  // MARK: Receiving

  private func handle(_ readiness: Readiness) {
    if readiness.contains(.writable) { flush() }
    if !readiness.isDisjoint(with: [.readable, .hangup, .error]) {
      receive(atMost: Self.turnBytes, untilNothing: readiness != .readable)
    }
  }

  /// - Parameter untilNothing: reads on after a short read, which the end may follow.
  private func receive(atMost limitBytes: Int, untilNothing: Bool) {
    var budget = limitBytes
    while budget > 0, !isClosed {
      let (count, wantedBytes) = partial == nil ? receiveFrames() : receivePiece()
      let code = errno
      if count < 0 {
        if code == EINTR { continue }
        if code != EAGAIN { end("recv: \(String(cString: strerror(code)))") }
        return
      }
      if count == 0 { return end("it was closed") }
      if count < wantedBytes, !untilNothing { return }
      budget -= count
    }
  }

  /// Receives small frames, and the start of a large one, through the scratch space.
  private func receiveFrames() -> (count: Int, wantedBytes: Int) {
    let count = recv(descriptor, &scratch, scratch.count, 0)
    let code = errno
    if count > 0 {
      if pending.isEmpty { pending = scratch[..<count] } else { pending += scratch[..<count] }
      parse()
    }
    errno = code
    return (count, scratch.count)
  }

  /// Receives the next piece of a large frame straight into its final array.
  private func receivePiece() -> (count: Int, wantedBytes: Int) {
    guard var current = partial.take() else { return (0, 0) }
    let wantedBytes = min(current.missingBytes, Self.pieceBytes)
    var count = 0
    var code: Int32 = 0
    let piece = [UInt8](unsafeUninitializedCapacity: wantedBytes) { space, filled in
      count = recv(descriptor, space.baseAddress, wantedBytes, 0)
      code = errno
      filled = max(count, 0)
    }
    if count > 0 {
      current.missingBytes -= count
      // Copy a short piece, so that it does not hold the memory of a whole one.
      current.payload.append(count < wantedBytes / 2 ? Array(piece[...]) : piece)
    }
    if current.missingBytes == 0 {
      onFrame(RPCFrame(kind: current.kind, request: current.request, segments: current.payload))
    } else {
      partial = current
    }
    errno = code
    return (count, wantedBytes)
  }

  private func parse() {
    while !isClosed, pending.count >= FrameHeader.byteCount {
      guard let header = RPCFrame.parse(pending.prefix(FrameHeader.byteCount)) else {
        return end("a malformed frame")
      }
      let rest = pending.dropFirst(FrameHeader.byteCount)
      guard rest.count >= header.payloadBytes else {
        if header.payloadBytes <= scratch.count / 2 { break }
        partial = Partial(
          kind: header.kind, request: header.request, payload: ByteSegments(Array(rest)),
          missingBytes: header.payloadBytes - rest.count)
        pending = []
        return
      }
      pending = rest.dropFirst(header.payloadBytes)
      let payload = ByteSegments(Array(rest.prefix(header.payloadBytes)))
      onFrame(RPCFrame(kind: header.kind, request: header.request, segments: payload))
    }
    // Copy: a slice of the scratch space would make the next read copy all of it.
    pending = pending.isEmpty ? [] : ArraySlice(Array(pending))
  }

  private func end(_ reason: String) {
    guard !isClosed else { return }
    close()
    onEnd(reason)
  }
}

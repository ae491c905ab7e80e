import DequeModule
import EventLoop
import Glibc
import XMLRPC

/// One end of the stream socket pair between parent and child, on a loop: frames out, frames in, neither waiting.
///
/// A pair, not shared memory: an answer costs one copy into the kernel and one out of it, straight into the array that
/// is sent to the client. A memfd passed along (SCM_RIGHTS) was measured: read or mapped, it took four to fourteen times as
/// long from 2 kB to 20 MB, because every page is new each time.
@MainActor final class RPCChannel {
  /// Bytes read per readiness, at most, before others have their turn.
  private static let turnBytes = 1 << 20
  /// Smaller pieces are gathered into one write.
  private static let gatherBytes = 64 << 10
  private static let pieceBytes = 4096

  private struct Partial {
    let kind: RPCFrame.Kind
    let request: UInt64
    var payload: [UInt8]
    var filled: Int
  }

  /// Called with each frame, in order. It may close the channel.
  var onFrame: (RPCFrame) -> Void = { _ in }
  /// Called once, when the other end is gone or talks nonsense; not after `close`.
  var onEnd: (_ reason: String) -> Void = { _ in }
  /// Bytes that the kernel has not taken yet.
  private(set) var queuedBytes = 0

  private let loop: EventLoop
  private let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var isClosed = false
  private var outgoing: Deque<[UInt8]> = []
  /// Bytes of the first outgoing piece that are sent.
  private var sentBytes = 0
  private var isFlushDue = false
  private var scratch: [UInt8]
  /// Received bytes that are not a whole frame yet.
  private var pending: ArraySlice<UInt8> = []
  private var partial: Partial?

  /// - Parameter descriptor: a connected stream socket.
  init(_ descriptor: consuming FileDescriptor, on loop: EventLoop) throws(SystemError) {
    self.loop = loop
    self.descriptor = descriptor.rawValue
    scratch = [UInt8](repeating: 0, count: 64 << 10)
    try descriptor.setNonblocking()
    owner = consume descriptor
    watcher = try loop.register(self.descriptor, interest: .read) { [weak self] in self?.handle($0) }
  }

  isolated deinit { close() }

  /// Two connected ends.
  static func makePair() throws(SystemError) -> (Int32, Int32) {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    if socketpair(AF_UNIX, type, 0, &pair) != 0 { throw SystemError(call: "socketpair", errno: errno) }
    // The system's largest, where that is more than the default: fewer turns for a large answer. Less is no error.
    for end in pair {
      var size: Int32 = 1 << 20
      _ = setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    return (pair[0], pair[1])
  }

  /// Sends a frame. What one iteration of the loop sends goes out together at its end.
  func send(_ kind: RPCFrame.Kind, request: UInt64 = 0, _ payload: ByteSegments = ByteSegments()) {
    guard !isClosed else { return }
    outgoing.append(RPCFrame.header(kind, request: request, payloadBytes: payload.count))
    outgoing.append(contentsOf: payload.segments)
    queuedBytes += RPCFrame.headerBytes + payload.count
    guard !isFlushDue else { return }
    isFlushDue = true
    loop.atEndOfIteration { [weak self] in
      self?.isFlushDue = false
      self?.flush()
    }
  }

  /// Sends what the kernel takes now.
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

  /// Takes what the other end, which is gone, has sent before its end.
  func drain() { receive(atMost: .max) }

  /// Ends it: nothing more is sent or received, and the other end reads its end.
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

  /// One large piece, or many small ones gathered.
  private func sendSome() -> Int {
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    let first = outgoing[0]
    if first.count - sentBytes >= Self.pieceBytes || outgoing.count == 1 {
      let start = sentBytes
      return first.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + start, $0.count - start, flags) }
    }
    return withUnsafeTemporaryAllocation(byteCount: Self.gatherBytes, alignment: 1) { buffer in
      var count = 0
      var start = sentBytes
      for piece in outgoing {
        let rest = piece.count - start
        guard rest < Self.pieceBytes, count + rest <= buffer.count else { break }
        piece.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: $0[start...]))
        }
        count += rest
        start = 0
      }
      return Glibc.send(descriptor, buffer.baseAddress, count, flags)
    }
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
    if !readiness.isDisjoint(with: [.readable, .hangup, .error]) { receive(atMost: Self.turnBytes) }
  }

  private func receive(atMost limitBytes: Int) {
    var budget = limitBytes
    while budget > 0, !isClosed {
      let count = receiveSome()
      let code = errno
      if count < 0 {
        if code == EINTR { continue }
        if code != EAGAIN { end("recv: \(String(cString: strerror(code)))") }
        return
      }
      if count == 0 { return end("it was closed") }
      budget -= count
    }
  }

  /// Into the payload of a frame that has begun, else into the scratch space.
  private func receiveSome() -> Int {
    guard var current = partial else {
      let count = recv(descriptor, &scratch, scratch.count, 0)
      if count > 0 {
        if pending.isEmpty { pending = scratch[..<count] } else { pending += scratch[..<count] }
        parse()
      }
      return count
    }
    // Uniquely owned while it is filled, or every read would copy it.
    partial = nil
    let start = current.filled
    let count = current.payload.withUnsafeMutableBytes {
      recv(descriptor, $0.baseAddress! + start, $0.count - start, 0)
    }
    let code = errno
    if count > 0 { current.filled += count }
    if current.filled == current.payload.count {
      onFrame(RPCFrame(kind: current.kind, request: current.request, payload: current.payload))
    } else {
      partial = current
    }
    errno = code
    return count
  }

  private func parse() {
    while !isClosed, pending.count >= RPCFrame.headerBytes {
      guard let header = RPCFrame.parse(pending.prefix(RPCFrame.headerBytes)) else {
        return end("a frame that makes no sense")
      }
      let rest = pending.dropFirst(RPCFrame.headerBytes)
      guard rest.count >= header.payloadBytes else {
        if header.payloadBytes <= scratch.count / 2 { break }
        var payload = Array(rest)
        payload.reserveCapacity(header.payloadBytes)
        payload.append(contentsOf: repeatElement(0, count: header.payloadBytes - rest.count))
        partial = Partial(kind: header.kind, request: header.request, payload: payload, filled: rest.count)
        pending = []
        return
      }
      pending = rest.dropFirst(header.payloadBytes)
      onFrame(RPCFrame(kind: header.kind, request: header.request, payload: Array(rest.prefix(header.payloadBytes))))
    }
    // A slice of the scratch space would make the next read copy all of it.
    pending = pending.isEmpty ? [] : ArraySlice(Array(pending))
  }

  private func end(_ reason: String) {
    guard !isClosed else { return }
    close()
    onEnd(reason)
  }
}

import DequeModule
import EventLoop
import Glibc

/// The server's end of a renderer's socket pair, on a loop: frames out, frames in, neither waiting.
///
/// The loop does not wait for the socket to be readable but for the bell, which the renderer rings where there is something
/// to read at once: a wake for each of many small results would cost more than they do. What a renderer left unsaid is
/// read by `receive` from time to time.
final class RendererChannel {
  /// Bytes read per turn, at most, before others have their turn; and messages, each of which may cost the server work.
  private static let turnBytes = 1 << 20
  private static let turnFrames = 64
  private static let readBytes = 64 << 10

  /// Called with each frame, in order. It may close the channel.
  var onFrame: (RendererFrame) -> Void = { _ in }
  /// Called once, when the renderer is gone, or talks nonsense: then with what is wrong. Not after `close`.
  var onEnd: (_ reason: String?) -> Void = { _ in }
  /// The most bytes of a message; a larger one ends the channel.
  var receiveLimitBytes: Int {
    get { parser.limitBytes }
    set { parser.limitBytes = newValue }
  }
  /// Bytes that the kernel has not taken yet.
  private(set) var queuedBytes = 0

  private let loop: Reactor
  private let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var bell: Wakeup?
  private var isClosed = false
  private var outgoing: Deque<[UInt8]> = []
  private var sentBytes = 0
  private var parser = RendererFrameParser()
  /// Whether there may be more to read, in the loop's next iteration.
  private(set) var isReading = false

  /// - Parameter descriptor: a connected stream socket.
  init(_ descriptor: consuming FileDescriptor, on loop: Reactor) throws(SystemError) {
    self.loop = loop
    self.descriptor = descriptor.rawValue
    try descriptor.setNonblocking()
    owner = consume descriptor
    watcher = try loop.register(self.descriptor, interest: []) { [weak self] _ in self?.flush() }
    bell = try Wakeup(on: loop) { [weak self] in self?.receive() }
  }

  /// The bell's descriptor, for the renderer; -1 once it is closed.
  var bellDescriptor: Int32 { bell?.descriptor ?? -1 }

  isolated deinit { close() }

  /// Two connected ends, both close-on-exec.
  static func makePair() throws(SystemError) -> (Int32, Int32) {
    let pair = try SocketPair(SOCK_STREAM)
    return (pair.first, pair.second)
  }

  /// Sends a frame; false where it is too large, and nothing was sent.
  @discardableResult
  func send(_ kind: RendererFrame.Kind, request: UInt64 = 0, _ value: TemplateValue) -> Bool {
    guard let bytes = RendererFrame.encode(kind, request: request, value) else { return false }
    send(bytes)
    return true
  }

  /// Sends bytes as they are: the program that reads frames.
  func send(_ bytes: [UInt8]) {
    guard !isClosed else { return }
    outgoing.append(bytes)
    queuedBytes += bytes.count
    if outgoing.count == 1 { flush() }
  }

  /// Ends it: the renderer reads the end.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    watcher?.cancel()
    watcher = nil
    bell?.close()
    bell = nil
    outgoing.removeAll()
    queuedBytes = 0
    if let owner = owner.take() { loop.closeLater(owner) }
  }

  private func flush() {
    while !isClosed, let first = outgoing.first {
      let count = first.withUnsafeBytes { raw in
        Glibc.send(descriptor, raw.baseAddress! + sentBytes, raw.count - sentBytes, Int32(MSG_NOSIGNAL))
      }
      let code = errno
      if count < 0 {
        if code == EINTR { continue }
        if code == EAGAIN { break }
        // EPIPE: its end says more.
        return end(code == EPIPE || code == ECONNRESET ? nil : "send: \(String(cString: strerror(code)))")
      }
      sentBytes += count
      queuedBytes -= count
      if sentBytes == first.count {
        outgoing.removeFirst()
        sentBytes = 0
      }
    }
    do throws(SystemError) {
      try watcher?.setInterest(outgoing.isEmpty ? [] : .write)
    } catch {
      end("\(error)")
    }
  }

  /// Reads what the renderer has sent until now: a turn's share at once, the rest in the iterations that follow.
  func receive() {
    // The next turn is under way.
    if !isReading { takeTurn(frames: Self.turnFrames) }
  }

  /// Reads what a renderer that has ended left in the socket: the kernel bounds that.
  func receiveRest() { takeTurn(frames: .max) }

  private func takeTurn(frames: Int) {
    isReading = false
    var frames = frames
    var budget = Self.turnBytes
    var isEmpty = false
    while !isClosed {
      while !isClosed, frames > 0, let frame = parser.next() {
        frames -= 1
        onFrame(frame)
      }
      guard !isClosed else { return }
      if let failure = parser.failure { return end("\(failure)") }
      guard frames > 0, budget > 0 else {
        // The others have their turn.
        isReading = true
        return loop.post { [weak self] in
          guard let self, isReading else { return }
          takeTurn(frames: Self.turnFrames)
        }
      }
      if isEmpty { return }
      var code: Int32 = 0
      let count = withUnsafeTemporaryAllocation(byteCount: Self.readBytes, alignment: 16) { space in
        let count = recv(descriptor, space.baseAddress, space.count, 0)
        code = errno
        if count > 0 { parser.append(UnsafeRawBufferPointer(rebasing: space[..<count])) }
        return count
      }
      if count < 0 {
        if code == EINTR { continue }
        if code != EAGAIN { end(code == ECONNRESET ? nil : "recv: \(String(cString: strerror(code)))") }
        return
      }
      if count == 0 { return end(nil) }
      isEmpty = count < Self.readBytes
      budget -= count
    }
  }

  private func end(_ reason: String?) {
    guard !isClosed else { return }
    close()
    onEnd(reason)
  }
}

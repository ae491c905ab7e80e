import DequeModule
import EventLoop
import Glibc

/// The server's end of a renderer's socket pair, on a loop: frames out, frames in, neither waiting.
final class RendererChannel {
  /// Bytes read per readiness, at most, before others have their turn.
  private static let turnBytes = 1 << 20
  private static let readBytes = 64 << 10

  /// Called with each frame, in order. It may close the channel.
  var onFrame: (RendererFrame) -> Void = { _ in }
  /// Called once, when the renderer is gone or talks nonsense; not after `close`.
  var onEnd: (_ reason: String) -> Void = { _ in }
  /// Bytes that the kernel has not taken yet.
  private(set) var queuedBytes = 0

  private let loop: EventLoop
  private let descriptor: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var isClosed = false
  private var outgoing: Deque<[UInt8]> = []
  private var sentBytes = 0
  private var parser = RendererFrameParser()

  /// - Parameter descriptor: a connected stream socket.
  init(_ descriptor: consuming FileDescriptor, on loop: EventLoop) throws(SystemError) {
    self.loop = loop
    self.descriptor = descriptor.rawValue
    try descriptor.setNonblocking()
    owner = consume descriptor
    watcher = try loop.register(self.descriptor, interest: .read) { [weak self] in self?.handle($0) }
  }

  isolated deinit { close() }

  /// Two connected ends, both close-on-exec.
  static func makePair() throws(SystemError) -> (Int32, Int32) {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    if socketpair(AF_UNIX, type, 0, &pair) != 0 { throw SystemError(call: "socketpair", errno: errno) }
    return (pair[0], pair[1])
  }

  /// Sends a frame; false where it is too large, and nothing was sent.
  @discardableResult
  func send(_ kind: RendererFrame.Kind, request: UInt64 = 0, _ value: TemplateValue) -> Bool {
    guard let bytes = RendererFrame.encode(kind, request: request, value) else { return false }
    guard !isClosed else { return true }
    outgoing.append(bytes)
    queuedBytes += bytes.count
    if outgoing.count == 1 { flush() }
    return true
  }

  /// Ends it: the renderer reads the end.
  func close() {
    guard !isClosed else { return }
    isClosed = true
    watcher?.cancel()
    watcher = nil
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
        return end("send: \(String(cString: strerror(code)))")
      }
      sentBytes += count
      queuedBytes -= count
      if sentBytes == first.count {
        outgoing.removeFirst()
        sentBytes = 0
      }
    }
    do throws(SystemError) {
      try watcher?.setInterest(outgoing.isEmpty ? .read : [.read, .write])
    } catch {
      end("\(error)")
    }
  }

  private func handle(_ readiness: Readiness) {
    if readiness.contains(.writable) { flush() }
    if !readiness.isDisjoint(with: [.readable, .hangup, .error]) { receive() }
  }

  private func receive() {
    var budget = Self.turnBytes
    while budget > 0, !isClosed {
      var code: Int32 = 0
      let result = withUnsafeTemporaryAllocation(byteCount: Self.readBytes, alignment: 16) {
        space -> (count: Int, frames: Result<[RendererFrame], PythonMarshal.FormError>) in
        let count = recv(descriptor, space.baseAddress, space.count, 0)
        code = errno
        guard count > 0 else { return (count, .success([])) }
        return (
          count,
          Result { () throws(PythonMarshal.FormError) in
            try parser.feed(UnsafeRawBufferPointer(rebasing: space[..<count]))
          }
        )
      }
      if result.count < 0 {
        if code == EINTR { continue }
        if code != EAGAIN { end("recv: \(String(cString: strerror(code)))") }
        return
      }
      if result.count == 0 { return end("it was closed") }
      switch result.frames {
      case .success(let frames):
        for frame in frames where !isClosed { onFrame(frame) }
      case .failure(let error): return end("\(error)")
      }
      if result.count < Self.readBytes { return }
      budget -= result.count
    }
  }

  private func end(_ reason: String) {
    guard !isClosed else { return }
    close()
    onEnd(reason)
  }
}

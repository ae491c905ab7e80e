import EventLoop
import Glibc

extension LoopHelperDatabase {
  /// The helper's process with our end of its socket: frames go and come without blocking.
  final class Helper {
    struct Frame {
      let kind: UInt8
      let payload: ArraySlice<UInt8>
    }

    let child: ChildProcess
    private unowned let loop: Reactor
    private let socket: Int32
    private var owner: FileDescriptor?
    private var watcher: Watcher?
    private var outgoing: [UInt8] = []
    private var sentBytes = 0
    private var incoming: [UInt8] = []
    private let onFrame: (Frame) -> Void
    private let onEnd: (String) -> Void

    /// - Parameter onEnd: called once, if the helper ends before `close`.
    init(
      program: String, on loop: Reactor, onFrame: @escaping (Frame) -> Void, onEnd: @escaping (String) -> Void
    ) throws(SystemError) {
      var pair: [Int32] = [-1, -1]
      let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      if socketpair(AF_UNIX, type, 0, &pair) != 0 { throw SystemError(call: "socketpair", errno: errno) }
      let theirs = FileDescriptor(owning: pair[1])
      let ours = FileDescriptor(owning: pair[0])
      try ours.setNonblocking()
      self.loop = loop
      self.onFrame = onFrame
      self.onEnd = onEnd
      socket = ours.rawValue
      var configuration = ChildProcess.Configuration([program, DatabaseHelper.argument])
      configuration.descriptors = [DatabaseHelper.socketNumber: theirs.rawValue]
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
    func send(_ frame: [UInt8]) {
      if outgoing.isEmpty { outgoing = frame } else { outgoing += frame }
      flush()
    }

    func close() {
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
        // A helper that has ended is noticed where its answer is read.
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
      let pieceBytes = 256 << 10
      var count = 0
      var code: Int32 = 0
      let piece = [UInt8](unsafeUninitializedCapacity: pieceBytes) { space, filled in
        count = recv(socket, space.baseAddress, pieceBytes, 0)
        code = errno
        filled = max(0, count)
      }
      if count < 0 && (code == EINTR || code == EAGAIN) { return }
      guard count > 0 else { return end(count == 0 ? "it ended" : String(cString: strerror(code))) }
      if incoming.isEmpty { incoming = piece } else { incoming += piece }
      while owner != nil, incoming.count >= FrameHeader.byteCount {
        guard let header = FrameHeader(incoming[..<FrameHeader.byteCount], limitBytes: StatementFrames.limitBytes)
        else {
          return end("a malformed frame")
        }
        let size = FrameHeader.byteCount + header.payloadBytes
        guard incoming.count >= size else {
          incoming.reserveCapacity(size)
          return
        }
        let frame = Frame(kind: header.kind, payload: incoming[FrameHeader.byteCount..<size])
        incoming = Array(incoming[size...])
        onFrame(frame)
      }
    }

    private func end(_ reason: String) {
      guard owner != nil else { return }
      close()
      onEnd(reason)
    }
  }
}

import EventLoop
import Glibc
import Logging
import XMLRPC

/// One connection of a `PageServer`: reads a request, has it answered, writes the answer, and reads the next one.
final class PageConnection {
  private enum State {
    case reading
    /// The answer is being made; nothing is read.
    case answering(Task<Void, Never>?)
    case writing(bytes: [UInt8], written: Int, keepsAlive: Bool)
    /// Everything is written, and what the peer still sends is dropped, so that no reset takes the answer from it.
    case lingering(remainingBytes: Int)
    case closed
  }

  private let server: PageServer
  private let raw: Int32
  private var owner: FileDescriptor?
  private var watcher: Watcher?
  private var timer: Timer?
  private var parser: HTTPRequestParser
  private var state = State.reading
  /// What was read behind the request that is answered: at most what one read brings.
  private var pending: [UInt8] = []
  /// The head of the request that is answered.
  private var head: HTTPRequestHead?

  init(_ descriptor: consuming FileDescriptor, _ server: PageServer) {
    raw = descriptor.rawValue
    owner = consume descriptor
    self.server = server
    parser = HTTPRequestParser(limits: server.limits.http)
  }

  func start() throws(SystemError) {
    timer = server.loop.schedule(after: server.limits.requestTime) { [weak self] in self?.expire() }
    watcher = try server.loop.register(raw, interest: .read) { [weak self] _ in self?.ready() }
  }

  /// How soon a new connection may take its place: first one that waits for the peer to ask, or to read its last answer, then
  /// one whose peer has not taken its answer at once, or asks before it has. Nil while an answer is being made.
  var rank: Int? {
    switch state {
    case .reading, .lingering: 0
    case .writing, .answering(nil): 1
    case .answering, .closed: nil
    }
  }

  func close() {
    if case .closed = state { return }
    if case .answering(let task) = state { task?.cancel() }
    state = .closed
    timer?.cancel()
    timer = nil
    watcher?.cancel()
    watcher = nil
    if let owner = owner.take() { server.loop.closeLater(owner) }
    server.remove(self)
  }

  // MARK: Events

  private func ready() {
    switch state {
    case .reading: read()
    case .writing: write()
    case .lingering(let remainingBytes): drop(remainingBytes)
    case .answering, .closed: return
    }
  }

  private func expire() {
    // A request that began and was not finished is told so; whoever was silent or does not read is not.
    guard case .reading = state, !parser.isIdle else { return close() }
    refuse(408)
  }

  /// The interest of the state. A state without one would spin the loop, were it asked for readiness.
  private func wait() {
    let interest: Interest
    switch state {
    case .reading, .lingering: interest = .read
    case .writing: interest = .write
    case .answering, .closed: interest = []
    }
    do throws(SystemError) {
      try watcher?.setInterest(interest)
    } catch {
      server.logger.error("A monitor's connection is given up: \(error)")
      close()
    }
  }

  // MARK: Reading

  private func read() {
    let count = recv(raw, server.scratch.baseAddress, server.scratch.count, 0)
    let code = errno
    if count > 0 {
      parse(UnsafeRawBufferPointer(rebasing: server.scratch[..<count]))
    } else if count == 0 || (code != EAGAIN && code != EINTR) {
      close()
    }
  }

  /// Parses up to the end of one request; what follows waits for its answer.
  private func parse(_ bytes: UnsafeRawBufferPointer) {
    let wasIdle = parser.isIdle
    let (consumed, step) = parser.consume(bytes)
    pending = Array(bytes[consumed...])
    switch step {
    case .needMore:
      // All of a request has one time, however it trickles.
      if wasIdle, !parser.isIdle { timer?.rearm(after: server.limits.requestTime) }
      wait()
    case .head(let head): begin(head)
    case .reject(let status, _): refuse(status)
    case .request: preconditionFailure("a request without its head")
    }
  }

  private func begin(_ head: HTTPRequestHead) {
    self.head = head
    guard head.method == "GET" || head.method == "HEAD" else {
      var response = HTTPResponse.error(status: 405)
      response.headers.append(HTTPField("Allow", "GET, HEAD"))
      return answer(response, keepsAlive: false)
    }
    guard head.framing == .none || head.framing == .length(0), case .request = parser.acceptBody() else {
      return refuse(413)
    }
    let path = String(head.target.prefix { $0 != "?" })
    timer?.rearm(after: server.limits.answerTime)
    switch server.respond(PageRequest(path: path, accept: head.all("Accept"))) {
    case .now(let response): answer(response, keepsAlive: head.keepAlive)
    case .later(let make):
      state = .answering(
        Task { [weak self] in
          let response = await make()
          guard let self, case .answering = state else { return }
          answer(response, keepsAlive: head.keepAlive)
        })
      wait()
    }
  }

  // MARK: Writing

  private func refuse(_ status: Int) { answer(.error(status: status), keepsAlive: false) }

  private func answer(_ response: HTTPResponse, keepsAlive: Bool) {
    server.count(response.status)
    let date = HTTPDate.format(secondsSince1970: Int64(time(nil)))
    var bytes = response.encodeHead(keepAlive: keepsAlive, version: head?.version ?? .http11, date: date)
    if head?.method != "HEAD" { bytes += response.body.bytes() }
    head = nil
    state = .writing(bytes: bytes, written: 0, keepsAlive: keepsAlive)
    timer?.rearm(after: server.limits.answerTime)
    write()
  }

  /// Writes a share; the rest when the peer has taken it.
  private func write() {
    guard case .writing(let bytes, var written, let keepsAlive) = state else { return }
    let share = min(bytes.count - written, PageServer.writeBytes)
    let count = bytes.withUnsafeBytes { send(raw, $0.baseAddress! + written, share, Int32(MSG_NOSIGNAL)) }
    let code = errno
    if count < 0 {
      guard code == EAGAIN || code == EINTR else { return close() }
      return wait()
    }
    written += count
    guard written == bytes.count else {
      state = .writing(bytes: bytes, written: written, keepsAlive: keepsAlive)
      return wait()
    }
    if keepsAlive { awaitRequest() } else { linger() }
  }

  private func awaitRequest() {
    state = .reading
    timer?.rearm(after: server.limits.idleTime)
    guard !pending.isEmpty else { return wait() }
    // Requests that came together are answered one in an iteration: others have their turn between them.
    state = .answering(nil)
    wait()
    server.loop.post { [weak self] in
      guard let self, case .answering(nil) = state else { return }
      state = .reading
      timer?.rearm(after: server.limits.requestTime)
      let bytes = pending
      bytes.withUnsafeBytes { self.parse($0) }
    }
  }

  // MARK: Ending

  private func linger() {
    guard shutdown(raw, Int32(SHUT_WR)) == 0 else { return close() }
    pending = []
    state = .lingering(remainingBytes: server.limits.lingerBytes)
    timer?.rearm(after: server.limits.lingerTime)
    wait()
  }

  private func drop(_ remainingBytes: Int) {
    let count = recv(raw, server.scratch.baseAddress, server.scratch.count, 0)
    let code = errno
    if count < 0, code == EAGAIN || code == EINTR { return }
    guard count > 0, count < remainingBytes else { return close() }
    state = .lingering(remainingBytes: remainingBytes - count)
  }
}

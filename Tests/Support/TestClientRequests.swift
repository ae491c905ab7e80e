public import EventLoop
import XMLRPC

/// An answer as a test looks at it.
public struct TestResponse {
  public let status: Int
  public let head: String
  public let body: [UInt8]
  public var text: String { String(decoding: body, as: UTF8.self) }

  /// The answer at the start of the bytes: nil while it is not whole. One that says no length goes on to the end.
  init?(_ bytes: [UInt8], isEnd: Bool) {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
    let lines = head.split(separator: "\r\n")
    guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
    let length = lines.lazy.compactMap { line -> Int? in
      let field = line.split(separator: ":", maxSplits: 1)
      guard field.count == 2, field[0].lowercased() == "content-length" else { return nil }
      return Int(field[1].drop { $0 == " " })
    }.first
    let body = bytes[end.upperBound...]
    if let length {
      guard body.count >= length else { return nil }
      self.body = Array(body.prefix(length))
    } else {
      guard isEnd else { return nil }
      self.body = Array(body)
    }
    self.status = status
    self.head = head
  }
}

/// What a client does while the loop goes on: each waits two minutes at most.
extension TestClient {
  /// Whether the handshake was completed.
  public func handshake(on loop: Reactor) async throws -> Bool {
    try await wait(on: loop) { handshake() ? true : failure == nil ? nil : false } ?? false
  }

  /// Sends bytes and reads one answer; nil where the connection ends before it is whole. An answer that comes before all
  /// is sent is taken, as by a browser.
  public func exchange(_ bytes: [UInt8], on loop: Reactor) async throws -> TestResponse? {
    var sent = 0
    var received: [UInt8] = []
    let answer: TestResponse?? = try await wait(on: loop) {
      while sent < bytes.count, send(Array(bytes[sent..<min(sent + 16384, bytes.count)])) {
        sent = min(sent + 16384, bytes.count)
      }
      hasUnsent = sent < bytes.count
      received += receive()
      if let answer = TestResponse(received, isEnd: hasEnded) { return .some(answer) }
      return hasEnded ? .some(nil) : nil
    }
    return answer ?? nil
  }

  /// Makes a call as a Bcfg2 client does.
  ///
  /// - Parameters:
  ///   - parameters: XML, `<param>...</param>` each.
  ///   - user: nil for no Authorization header.
  ///   - headers: further lines, each with its end.
  public func call(
    _ method: String, _ parameters: String = "", user: String? = "root", password: String = "secret",
    headers: String = "", on loop: Reactor
  ) async throws -> TestResponse? {
    let body = "<methodCall><methodName>\(method)</methodName><params>\(parameters)</params></methodCall>"
    let authorization = user.map { user in
      let credentials = Base64.encode(Array("\(user):\(password)".utf8))
      return "Authorization: Basic \(String(decoding: credentials, as: UTF8.self))\r\n"
    }
    let head =
      "POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\(authorization ?? "")\(headers)Content-Type: text/xml\r\n"
      + "Content-Length: \(body.utf8.count)\r\n\r\n"
    return try await exchange(Array((head + body).utf8), on: loop)
  }

  /// Asks for an outcome, again whenever the socket is ready.
  private func wait<Outcome>(on loop: Reactor, _ outcome: () -> Outcome?) async throws -> Outcome? {
    let deadline = MonotonicTime.now() + .seconds(120)
    while true {
      if let outcome = outcome() { return outcome }
      if MonotonicTime.now() > deadline { return nil }
      try await waitUntilReady(on: loop, deadline)
    }
  }

  private func waitUntilReady(on loop: Reactor, _ deadline: MonotonicTime) async throws {
    var watcher: Watcher?
    var timer: Timer?
    defer {
      watcher?.cancel()
      timer?.cancel()
    }
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      var waiting: CheckedContinuation<Void, any Error>? = continuation
      @MainActor func end(_ result: Result<Void, any Error>) {
        waiting?.resume(with: result)
        waiting = nil
      }
      do {
        watcher = try loop.register(descriptor, interest: hasUnsent ? [.read, .write] : .read) { _ in end(.success(()))
        }
      } catch {
        return end(.failure(error))
      }
      timer = loop.schedule(at: deadline) { end(.success(())) }
    }
  }
}

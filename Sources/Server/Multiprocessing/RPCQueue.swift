import Core
import Identity
import ServerSettings
import XMLRPC

/// Calls child processes: one by its name, with an answer (`rpc`), or all, without (`publish`).
///
/// It corresponds to Bcfg2's RPCQueue. There every call opens a listener of its own for its answer; here requests are
/// numbered, and any number of them shares one socket pair for each child. Messages to one child arrive in order, so
/// that a build requested after a publication uses its data.
final class RPCQueue {
  private enum Pending {
    case call(CheckedContinuation<Value, any Error>)
    case render(RenderRequest, CheckedContinuation<ByteSegments, any Error>)
  }

  private final class Subscriber {
    let channel: RPCChannel
    var pending: [UInt64: Pending] = [:]

    init(_ channel: RPCChannel) { self.channel = channel }
  }

  /// Limits of a child's answers: it is our own process, so only garbage has to be caught.
  static let limits: HTTPLimits = {
    var limits = HTTPLimits()
    limits.bodyBytes = RPCFrame.payloadLimitBytes
    limits.xmlTextBytes = RPCFrame.payloadLimitBytes
    limits.callValues = 10_000_000
    return limits
  }()

  /// Called after each frame of a child, with its name: a sign of life. Also reports `ready` frames.
  var onFrame: (_ name: String, _ kind: RPCFrame.Kind) -> Void = { _, _ in }
  /// Called when a child's pair has ended. The child stays subscribed until `removeSubscriber`.
  var onEnd: (_ name: String, _ reason: String) -> Void = { _, _ in }

  /// Called with each log record of a child.
  var onLog: (LogRecord) -> Void = { Log.router.write($0) }
  /// Called when a child's build changed something that concerns all clients.
  var onRepositoryChanged: () -> Void = {}

  private var subscribers: [String: Subscriber] = [:]
  private var lastRequest: UInt64 = 0

  /// Adds a child by our end of its socket pair.
  func addSubscriber(_ name: String, channel: RPCChannel) {
    precondition(subscribers[name] == nil, "\(name) is subscribed twice")
    let subscriber = Subscriber(channel)
    subscribers[name] = subscriber
    channel.onFrame = { [unowned self, weak subscriber] frame in
      guard let subscriber else { return }
      receive(frame, from: name, subscriber)
      onFrame(name, frame.kind)
    }
    channel.onEnd = { [unowned self] reason in onEnd(name, reason) }
  }

  /// Removes a child: closes its pair, and fails its unanswered calls with `RPCError.childGone`.
  func removeSubscriber(_ name: String, _ end: ChildEnd) {
    guard let subscriber = subscribers.removeValue(forKey: name) else { return }
    subscriber.channel.close()
    let pending = subscriber.pending.sorted { $0.key < $1.key }
    subscriber.pending = [:]
    for (_, item) in pending { fail(item, RPCError.childGone(end)) }
  }

  /// Names of all subscribers, sorted.
  var names: [String] { subscribers.keys.sorted() }

  /// Number of requests that a child has not answered; nil for an unknown name.
  func pendingCount(of name: String) -> Int? { subscribers[name]?.pending.count }

  /// Bytes queued for a child.
  func queuedBytes(of name: String) -> Int { subscribers[name]?.channel.queuedBytes ?? 0 }

  /// Calls a method of one child and waits for its value.
  ///
  /// - Throws: the child's `Fault`; `RPCError.childGone`.
  func rpc(to name: String, _ method: String, _ params: [Value] = []) async throws -> Value {
    guard let subscriber = subscribers[name] else { throw RPCError.childGone(.ended("there is no \(name)")) }
    let request = nextRequest()
    return try await withCheckedThrowingContinuation { continuation in
      subscriber.pending[request] = .call(continuation)
      subscriber.channel.send(.call, request: request, MethodCall(method: method, params: params).encode())
    }
  }

  /// Lets one child build a configuration and returns the document, escaped for an XML-RPC string. Sets
  /// `request.cacheable` if it may be cached.
  ///
  /// - Throws: the child's error; `RPCError.childGone`, `RPCError.refused`.
  func render(_ request: RenderRequest, on name: String) async throws -> ByteSegments {
    guard let subscriber = subscribers[name] else { throw RPCError.childGone(.ended("there is no \(name)")) }
    let number = nextRequest()
    request.cacheable = nil
    return try await withCheckedThrowingContinuation { continuation in
      subscriber.pending[number] = .render(request, continuation)
      let payload = [request.begunHooks.rawValue] + Array(request.client.text.utf8)
      subscriber.channel.send(.render, request: number, ByteSegments(payload))
    }
  }

  /// Calls a method of every child, without waiting and without an answer.
  func publish(_ method: String, _ params: [Value] = []) {
    guard !subscribers.isEmpty else { return }
    let payload = MethodCall(method: method, params: params).encode()
    for (_, subscriber) in subscribers.sorted(by: { $0.key < $1.key }) { subscriber.channel.send(.call, payload) }
  }

  /// Pings a child; `onFrame` reports the answer.
  func ping(_ name: String) { subscribers[name]?.channel.send(.ping) }

  /// Missing bytes of the answer that this child is sending; 0 between two frames.
  func missingBytes(of name: String) -> Int { subscribers[name]?.channel.missingBytes ?? 0 }

  /// Closes every pair; the children end when they read end of file.
  func close() {
    for name in names { removeSubscriber(name, .ended("the server stops")) }
  }

  // MARK: Answers

  private func nextRequest() -> UInt64 {
    lastRequest += 1
    return lastRequest
  }

  private func receive(_ frame: RPCFrame, from name: String, _ subscriber: Subscriber) {
    switch frame.kind {
    case .log:
      guard let record = ForwardingLog.decode(frame.payload) else { return }
      guard case .render(let request, _) = subscriber.pending[frame.request] else { return onLog(record) }
      onLog(record.labelled(request.label))
    case .hooks:
      guard case .render(let request, _) = subscriber.pending[frame.request], let byte = frame.payload.first else {
        return
      }
      request.begunHooks.formUnion(RenderRequest.HookSet(rawValue: byte))
    case .cacheable:
      guard case .render(let request, _) = subscriber.pending[frame.request] else { return }
      request.cacheable = CacheableParts(frame.payload)
    case .cost:
      guard case .render(let request, _) = subscriber.pending[frame.request] else { return }
      request.cost?.add(frame.payload)
    case .configuration, .failure, .value, .refused:
      // Drop an answer to a request that is not pending.
      guard let item = subscriber.pending.removeValue(forKey: frame.request) else { return }
      answer(item, frame)
    case .repositoryChanged: onRepositoryChanged()
    case .ready, .alive, .call, .render, .ping: break
    }
  }

  private func answer(_ item: Pending, _ frame: RPCFrame) {
    switch (item, frame.kind) {
    case (.render(_, let continuation), .configuration): continuation.resume(returning: frame.segments)
    case (.call(let continuation), .value):
      continuation.resume(
        with: Result { () throws -> Value in try MethodResponse.decode(frame.payload, limits: Self.limits).get() })
    case (_, .failure): fail(item, BuildErrorCode.decode(frame.payload))
    case (_, .refused): fail(item, RPCError.refused)
    default: fail(item, RPCError.malformed("\(frame.kind)"))
    }
  }

  private func fail(_ item: Pending, _ error: any Error) {
    switch item {
    case .call(let continuation): continuation.resume(throwing: error)
    case .render(_, let continuation): continuation.resume(throwing: error)
    }
  }
}

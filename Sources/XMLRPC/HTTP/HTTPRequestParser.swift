/// Reads requests from bytes as they arrive, in bounded memory.
///
/// The parser stops twice per request: at `.head`, so that the peer is authenticated before any of the body is kept,
/// and at `.request`, after which it is ready for the next request on the connection. Where RFC 9112 lets a recipient
/// choose between repairing and refusing a message, it refuses: two readings of one message are what request
/// smuggling needs.
///
/// ```
/// requestLine -> headers -> decision -(acceptBody)-> length | chunkSize <-> chunkData, chunkEnd -> trailers
/// ```
public struct HTTPRequestParser: Sendable {
  /// What the bytes so far amount to.
  public enum Step: Sendable, Equatable {
    /// All bytes are consumed; the request is not complete.
    case needMore
    /// The headers are complete. Nothing more is consumed until `acceptBody()`.
    case head(HTTPRequestHead)
    /// Head and body are complete; the next byte belongs to the next request.
    case request(HTTPRequest)
    /// The peer broke a rule or a limit: answer `status` and close. `reason` is the limit's name in `HTTPLimits`,
    /// or the rule in words, for the log. Every later call returns the same step.
    case reject(status: Int, reason: String)
  }

  enum State: Sendable {
    case requestLine
    case headers
    case decision
    case length(remaining: Int)
    case chunkSize
    case chunkData(remaining: Int)
    case chunkEnd
    case trailers
    case failed(HTTPRejection)
  }

  let limits: HTTPLimits
  var state = State.requestLine
  /// The line begun but not ended, without its LF.
  var line: [UInt8] = []
  var emptyLines = 0
  var method = ""
  var target = ""
  var version = HTTPVersion.http11
  var fields: [HTTPField] = []
  /// Bytes of header lines or of trailer lines so far, with CRLFs.
  var sectionBytes = 0
  var trailerCount = 0
  var extensionBytes = 0
  var head: HTTPRequestHead?
  var body: [UInt8] = []
  /// What `feed` was given beyond the last step.
  var unread: [UInt8] = []

  public init(limits: HTTPLimits = HTTPLimits()) {
    self.limits = limits
  }

  /// No byte of a request has come: a connection in this state is idle, not slow.
  public var isIdle: Bool {
    if case .requestLine = state { line.isEmpty && emptyLines == 0 && unread.isEmpty } else { false }
  }

  /// The head is complete and `acceptBody()` was not yet called.
  public var awaitsDecision: Bool {
    if case .decision = state { true } else { false }
  }

  /// Bytes of the body held so far.
  public var bodyBytesReceived: Int { body.count }

  /// Consumes bytes up to the next step.
  ///
  /// - Parameter bytes: what the transport returned, of any length, also none; no reference is kept.
  /// - Returns: the step and how many bytes it consumed; the caller keeps the rest and passes it again. While the parser
  ///   awaits `acceptBody()` it consumes nothing and returns `.needMore`.
  public mutating func consume(_ bytes: UnsafeRawBufferPointer) -> (consumed: Int, step: Step) {
    var offset = 0
    do throws(HTTPRejection) {
      let step = try advance(bytes, &offset)
      return (offset, step)
    } catch {
      state = .failed(error)
      line = []
      body = []
      unread = []
      return (bytes.count, .reject(status: error.status, reason: error.reason))
    }
  }

  /// Consumes all bytes and keeps those beyond the step for the next call: for callers without a buffer of their own.
  ///
  /// After `.request` the next request may be complete already: go on with an empty buffer until `.needMore`.
  /// - Returns: as `consume`; 413 when more than `HTTPLimits.unreadBytes` wait for `acceptBody()`.
  public mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Step {
    if unread.isEmpty {
      let (consumed, step) = consume(bytes)
      if consumed < bytes.count { unread.append(contentsOf: bytes[consumed...]) }
      return limitUnread(step)
    }
    unread.append(contentsOf: bytes)
    return limitUnread(advanceUnread())
  }

  /// Goes on with the body of the request whose head was last given.
  ///
  /// - Returns: `.request` at once if there is no body, or if `feed` has kept all of it; else `.needMore`.
  public mutating func acceptBody() -> Step {
    guard case .decision = state, let head else { return .needMore }
    switch head.framing {
    case .none, .length(0):
      return finish(head)
    case .length(let length):
      // What is announced is not yet sent: memory follows the bytes that arrive.
      body.reserveCapacity(min(length, 65536))
      state = .length(remaining: length)
    case .chunked:
      state = .chunkSize
    }
    return unread.isEmpty ? .needMore : advanceUnread()
  }

  private mutating func advanceUnread() -> Step {
    let held = unread
    unread = []
    let (consumed, step) = held.withUnsafeBytes { consume($0) }
    if consumed < held.count { unread = Array(held[consumed...]) }
    return step
  }

  private mutating func limitUnread(_ step: Step) -> Step {
    guard case .needMore = step, unread.count > limits.unreadBytes else { return step }
    let rejection = HTTPRejection(413, "unreadBytes")
    state = .failed(rejection)
    unread = []
    return .reject(status: rejection.status, reason: rejection.reason)
  }

  private mutating func finish(_ head: HTTPRequestHead) -> Step {
    let request = HTTPRequest(head: head, body: body)
    body = []
    self.head = nil
    state = .requestLine
    return .request(request)
  }

  private mutating func advance(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(HTTPRejection) -> Step {
    while true {
      switch state {
      case .failed(let rejection):
        throw rejection
      case .decision:
        return .needMore
      case .length(let remaining):
        let left = consumeBody(bytes, &offset, remaining)
        if left == 0, let head { return finish(head) }
        state = .length(remaining: left)
        return .needMore
      case .chunkData(let remaining):
        let left = consumeBody(bytes, &offset, remaining)
        state = left == 0 ? .chunkEnd : .chunkData(remaining: left)
        if left > 0 { return .needMore }
      case .requestLine where line.isEmpty && emptyLines == 0:
        if let step = consumeOrdinaryHead(bytes, &offset) { return step }
        fallthrough
      case .requestLine, .headers, .chunkSize, .chunkEnd, .trailers:
        guard try consumeLine(bytes, &offset) else { return .needMore }
        let step = try endLine()
        line.removeAll(keepingCapacity: true)
        if let step { return step }
      }
    }
  }

  /// Consumes a head that is here in one piece and has nothing unusual.
  private mutating func consumeOrdinaryHead(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> Step? {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    // The limit of all lines is checked here: what is longer is refused with the line that is too much.
    guard let scan = HTTPHeadScan(rest, limits: limits), scan.byteCount <= limits.headerBytes else { return nil }
    offset += scan.byteCount
    sectionBytes = 0
    trailerCount = 0
    extensionBytes = 0
    head = scan.head
    state = .decision
    return .head(scan.head)
  }

  /// Copies body bytes; returns how many are still to come.
  private mutating func consumeBody(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int, _ remaining: Int) -> Int {
    let count = min(remaining, bytes.count - offset)
    body.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
    offset += count
    return remaining - count
  }

  /// Adds bytes to `line` up to a LF, which is consumed and not stored. True if the line is complete, its CR removed.
  private mutating func consumeLine(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) throws(HTTPRejection) -> Bool
  {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    let lineFeed = rest.firstIndex(of: ASCII.lineFeed)
    line.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest[..<(lineFeed ?? rest.count)]))
    offset += lineFeed.map { $0 + 1 } ?? rest.count
    let endsInReturn = line.last == ASCII.carriageReturn
    try limitLine(endsInReturn ? line.count - 1 : line.count)
    guard lineFeed != nil else { return false }
    guard endsInReturn else { throw HTTPRejection(400, "line feed without carriage return") }
    line.removeLast()
    guard !line.contains(ASCII.carriageReturn) else {
      throw HTTPRejection(400, "carriage return without line feed")
    }
    return true
  }

  /// Checks the line's length while it grows, so that it never exceeds a limit by more than one read.
  private func limitLine(_ count: Int) throws(HTTPRejection) {
    switch state {
    case .requestLine:
      if count > limits.requestLineBytes { throw HTTPRejection(414, "requestLineBytes") }
    case .headers:
      if count > 0, sectionBytes + count + 2 > limits.headerBytes { throw HTTPRejection(431, "headerBytes") }
    case .trailers:
      if count > 0, sectionBytes + count + 2 > limits.trailerBytes { throw HTTPRejection(431, "trailerBytes") }
    case .chunkSize:
      if count > limits.chunkLineBytes { throw HTTPRejection(400, "chunkLineBytes") }
    case .chunkEnd:
      if count > 0 { throw HTTPRejection(400, "chunk data is not followed by CRLF") }
    case .decision, .length, .chunkData, .failed:
      break
    }
  }

  /// Acts on the complete line; returns a step if the line completes one.
  private mutating func endLine() throws(HTTPRejection) -> Step? {
    switch state {
    case .requestLine:
      if line.isEmpty {
        emptyLines += 1
        if emptyLines > limits.leadingEmptyLines { throw HTTPRejection(400, "leadingEmptyLines") }
        return nil
      }
      try startRequest()
      return nil
    case .headers:
      if line.isEmpty {
        let head = try HTTPRequestHead(
          method: method, target: target, version: version, checking: fields, limits: limits)
        fields = []
        self.head = head
        state = .decision
        return .head(head)
      }
      if fields.count == limits.headerCount { throw HTTPRejection(431, "headerCount") }
      sectionBytes += line.count + 2
      fields.append(try HTTPField(line: line[...]))
      return nil
    case .chunkSize:
      try startChunk()
      return nil
    case .chunkEnd:
      state = .chunkSize
      return nil
    case .trailers:
      if line.isEmpty, let head { return finish(head) }
      if trailerCount == limits.headerCount { throw HTTPRejection(431, "headerCount") }
      trailerCount += 1
      sectionBytes += line.count + 2
      _ = try HTTPField(line: line[...])
      return nil
    case .decision, .length, .chunkData, .failed:
      return nil
    }
  }

  private mutating func startRequest() throws(HTTPRejection) {
    let start = try HTTPRequestLine(line[...], limits: limits)
    method = start.method
    target = start.target
    version = start.version
    emptyLines = 0
    sectionBytes = 0
    trailerCount = 0
    extensionBytes = 0
    state = .headers
  }

  private mutating func startChunk() throws(HTTPRejection) {
    let (size, extensions) = try HTTPChunkSize.parse(line[...])
    extensionBytes += extensions
    if extensionBytes > limits.chunkExtensionBytes { throw HTTPRejection(400, "chunkExtensionBytes") }
    guard let size, size <= limits.bodyBytes - body.count else { throw HTTPRejection(413, "bodyBytes") }
    if size == 0 {
      sectionBytes = 0
      state = .trailers
    } else {
      state = .chunkData(remaining: size)
    }
  }
}

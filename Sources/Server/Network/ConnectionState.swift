import EventLoop
import XMLRPC

/// Where a connection is, with the data that belongs to that place only.
///
/// `handshaking → readingRequest → authenticating → readingBody → dispatching → writingResponse`, then back to
/// `readingRequest` or on to `lingering → closed`. A refusal goes to `writingResponse` from wherever it is found.
nonisolated enum ConnectionState {
  case handshaking
  /// Between requests, or inside the headers of one.
  case readingRequest
  /// The handler looks at the headers; nothing is read.
  case authenticating(HTTPRequestHead)
  /// The refusal of a peer that has failed too often waits for its time; nothing is read.
  case delayed(HTTPRequestHead, HTTPResponse)
  case readingBody(HTTPRequestHead)
  /// The handler makes the answer; nothing is read.
  case dispatching(HTTPRequestHead)
  case writingResponse(ResponseWriter)
  /// Everything is written; what the peer still sends is dropped until it has read the answer.
  case lingering(remainingBytes: Int)
  case closed

  /// The place without its data, for messages.
  var name: String {
    switch self {
    case .handshaking: "handshaking"
    case .readingRequest: "readingRequest"
    case .authenticating: "authenticating"
    case .delayed: "delayed"
    case .readingBody: "readingBody"
    case .dispatching: "dispatching"
    case .writingResponse: "writingResponse"
    case .lingering: "lingering"
    case .closed: "closed"
    }
  }

  /// Whether the parser is waiting for bytes.
  var isReading: Bool {
    switch self {
    case .readingRequest, .readingBody: true
    case .handshaking, .authenticating, .delayed, .dispatching, .writingResponse, .lingering, .closed: false
    }
  }
}

/// What happens to a connection.
nonisolated enum ConnectionEvent {
  /// The descriptor is ready. Under TLS either direction may advance either, so that it does not matter which.
  case ready
  /// A turn that was posted because bytes wait which no readiness announces.
  case resumed
  case deadline
  /// The handler's word on the headers; nil admits.
  case authenticated(HTTPResponse?)
  case answered(HTTPResponse)
  /// The server stops: take nothing new.
  case drain
  /// The server stops now.
  case abandon

  var name: String {
    switch self {
    case .ready: "ready"
    case .resumed: "resumed"
    case .deadline: "deadline"
    case .authenticated: "authenticated"
    case .answered: "answered"
    case .drain: "drain"
    case .abandon: "abandon"
    }
  }
}

/// The place in a response that is being written: its segments are shared with the response and never copied whole.
nonisolated struct ResponseWriter {
  let segments: ByteSegments
  /// Whether the connection takes another request afterwards.
  let keepsAlive: Bool
  private var index = 0
  private var offset = 0
  private(set) var remaining: Int

  init(_ segments: ByteSegments, keepsAlive: Bool) {
    self.segments = segments
    self.keepsAlive = keepsAlive
    remaining = segments.count
  }

  /// Lends the next bytes: a piece of a long segment as it lies there, or short segments put together in `stage`, so
  /// that headers and body leave in one send.
  func withNextBytes<Result>(
    staging stage: UnsafeMutableRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let segment = segments.segments[index]
    if segment.count - offset >= stage.count || index + 1 == segments.segments.count {
      return segment.withUnsafeBytes {
        let end = min($0.count, offset + stage.count)
        return body(UnsafeRawBufferPointer(rebasing: $0[offset..<end]))
      }
    }
    var filled = 0
    var next = index
    var start = offset
    while filled < stage.count, next < segments.segments.count {
      segments.segments[next].withUnsafeBytes { bytes in
        let count = min(bytes.count - start, stage.count - filled)
        UnsafeMutableRawBufferPointer(rebasing: stage[filled...]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)]))
        filled += count
        start += count
        if start == bytes.count {
          next += 1
          start = 0
        }
      }
    }
    return body(UnsafeRawBufferPointer(rebasing: stage[0..<filled]))
  }

  /// Moves on by what the transport took.
  mutating func advance(_ byteCount: Int) {
    precondition(byteCount <= remaining, "the transport took more than there is")
    remaining -= byteCount
    var left = byteCount
    while left > 0 {
      let rest = segments.segments[index].count - offset
      if left < rest {
        offset += left
        return
      }
      left -= rest
      index += 1
      offset = 0
    }
  }
}

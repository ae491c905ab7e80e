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
  /// The turn that a handshake waited for.
  case handshakeTurn
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
    case .handshakeTurn: "handshakeTurn"
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
  private var place = Place()
  private(set) var remaining: Int

  /// A part, a segment of it, and a byte of that.
  private struct Place {
    var part = 0
    var segment = 0
    var offset = 0
  }

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
    let length = segmentCount(place)
    if length - place.offset >= stage.count || length - place.offset == remaining {
      return withSegment(place) {
        let end = min($0.count, place.offset + stage.count)
        return body(UnsafeRawBufferPointer(rebasing: $0[place.offset..<end]))
      }
    }
    var filled = 0
    var next = place
    let wanted = min(stage.count, remaining)
    while filled < wanted {
      let taken = withSegment(next) { bytes in
        let count = min(bytes.count - next.offset, wanted - filled)
        UnsafeMutableRawBufferPointer(rebasing: stage[filled...]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: bytes[next.offset..<(next.offset + count)]))
        return count
      }
      filled += taken
      advance(&next, by: taken)
    }
    return body(UnsafeRawBufferPointer(rebasing: stage[0..<filled]))
  }

  /// Moves on by what the transport took.
  mutating func advance(_ byteCount: Int) {
    precondition(byteCount <= remaining, "the transport took more than there is")
    remaining -= byteCount
    advance(&place, by: byteCount)
  }

  private func advance(_ place: inout Place, by byteCount: Int) {
    var left = byteCount
    while left > 0 {
      let rest = segmentCount(place) - place.offset
      if left < rest {
        place.offset += left
        return
      }
      left -= rest
      place.offset = 0
      place.segment += 1
      if place.segment == segmentsInPart(place.part) {
        place.part += 1
        place.segment = 0
      }
    }
  }

  private func segmentsInPart(_ part: Int) -> Int {
    switch segments.parts[part] {
    case .bytes: 1
    case .shared(let shared): shared.segments.count
    }
  }

  private func segmentCount(_ place: Place) -> Int {
    switch segments.parts[place.part] {
    case .bytes(let bytes): bytes.count
    case .shared(let shared): shared.segments[place.segment].count
    }
  }

  private func withSegment<Result>(_ place: Place, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    switch segments.parts[place.part] {
    case .bytes(let bytes): bytes.withUnsafeBytes(body)
    case .shared(let shared): shared.segments[place.segment].withUnsafeBytes(body)
    }
  }
}

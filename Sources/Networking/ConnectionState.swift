import EventLoop
import XMLRPC

/// Where a connection is, with the data that belongs to that place only.
///
/// `readingProxyHeader` with a proxy, `handshaking → readingRequest → authenticating → readingBody → dispatching → writingResponse`, then back to
/// `readingRequest` or on to `lingering → closed`. A refusal goes to `writingResponse` from wherever it is found.
nonisolated enum ConnectionState {
  /// A trusted proxy is telling for whom it connects; TLS begins afterwards.
  case readingProxyHeader(ProxyHeaderParser)
  case handshaking(Handshake)
  /// Between requests, or inside the headers of one.
  case readingRequest(RequestReader)
  /// The password check waits for its turn, because too many refusals of the address wait; nothing is read.
  case queued(Exchange)
  /// The handler checks the headers; nothing is read.
  case authenticating(Exchange)
  /// The refusal of a peer that has failed too often waits for its time; nothing is read.
  case delayed(Exchange, HTTPResponse)
  case readingBody(Exchange)
  /// The handler makes the answer; nothing is read.
  case dispatching(Exchange)
  case writingResponse(ResponseWriter, RequestReader)
  /// Everything is written; what the peer still sends is dropped until it has read the answer.
  case lingering(remainingBytes: Int)
  case closed

  /// All names but that of the end, in which a connection is in no table.
  static let names = [
    "handshaking", "readingRequest", "queued", "authenticating", "delayed", "readingBody", "dispatching",
    "writingResponse", "lingering",
  ]

  /// The place without its data, for messages.
  var name: String {
    switch self {
    case .readingProxyHeader: "readingProxyHeader"
    case .handshaking: "handshaking"
    case .readingRequest: "readingRequest"
    case .queued: "queued"
    case .authenticating: "authenticating"
    case .delayed: "delayed"
    case .readingBody: "readingBody"
    case .dispatching: "dispatching"
    case .writingResponse: "writingResponse"
    case .lingering: "lingering"
    case .closed: "closed"
    }
  }
}

/// How far a TLS handshake is, and whether it waits for a turn; see `HandshakeTurns`.
nonisolated struct Handshake {
  /// The peer has sent something, so that the handshake may be half done.
  var hasBegun = false
  /// `HandshakeTurns` will call the connection.
  var isWaiting = false
  /// Whether its turn counts in the share of known addresses.
  var takesKnownTurn = false
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
  /// The handler's decision on the headers.
  case authenticated(AuthenticationOutcome)
  case answered(HTTPResponse)
  /// The server stops: accept nothing new.
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

/// What a connection does next. Each turn returns one, and `Connection.handle` carries them out until one is `wait`.
nonisolated enum ConnectionStep {
  /// Nothing more until the next event.
  case wait
  /// An event that happened within a turn: the handler answered at once.
  case event(ConnectionEvent)
  case readProxyHeader(ProxyHeaderParser)
  case shakeHands
  case readHead(RequestReader)
  /// The headers are complete: check them now, or queue the check.
  case begin(Exchange)
  case authenticate(Exchange)
  case readBody(Exchange)
  case dispatch(HTTPRequest, Exchange)
  case write(ResponseWriter, RequestReader)
  /// The answer is written and the connection stays.
  case awaitRequest(RequestReader)
  case linger
  /// Drop input while lingering.
  case discard(remainingBytes: Int)
  case close
}

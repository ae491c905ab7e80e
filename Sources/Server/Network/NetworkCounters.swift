/// What the network side has met since start; each number only grows.
public nonisolated struct NetworkCounters: Sendable, Equatable {
  public var accepted = 0
  public var handshakes = 0
  /// Handshakes that failed inside TLS: other protocols, refused certificates, no common cipher.
  public var failedHandshakes = 0
  /// Plain HTTP requests on the TLS port.
  public var plainHTTP = 0
  /// Requests whose headers were complete.
  public var requests = 0
  /// Requests that the handler let in.
  public var authenticated = 0
  /// Responses whose last byte was given to the socket.
  public var responses = 0
  /// Peers that went away in the middle of something.
  public var peersGone = 0
  /// Connections closed at accept because even the refusals were used up.
  public var dropped = 0
  /// Plaintext bytes.
  public var bytesRead = 0
  public var bytesWritten = 0
  /// How often each limit was reached.
  public var reached: [NetworkLimit: Int] = [:]
  /// Requests refused for what they are, by status: rules of HTTP, methods, authentication.
  public var refused: [Int: Int] = [:]

  public init() {}
}

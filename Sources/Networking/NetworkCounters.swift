public import ServerSettings

/// Counts of the network side since start; each number only grows.
public nonisolated struct NetworkCounters: Sendable, Equatable {
  public var accepted = 0
  public var handshakes = 0
  /// Handshakes that failed inside TLS: other protocols, refused certificates, no common cipher.
  public var failedHandshakes = 0
  /// Connections that began with no header of the PROXY protocol, or with one that is not accepted.
  public var refusedProxyHeaders = 0
  /// Plain HTTP requests on the TLS port.
  public var plainHTTP = 0
  /// Requests whose headers were complete.
  public var requests = 0
  /// Requests that the handler let in.
  public var authenticated = 0
  /// Responses whose last byte was given to the socket.
  public var responses = 0
  /// Peers that went away within a handshake, a request or an answer.
  public var peersGone = 0
  /// Requests refused with 401 at their headers.
  public var failedAuthentications = 0
  /// Those of them whose refusal was delayed.
  public var delayedRefusals = 0
  /// Password checks that had to wait for their turn.
  public var delayedChecks = 0
  /// How often descriptors or memory for connections ran out.
  public var exhausted = 0
  /// Connections closed at accept because refused_connections was reached, too.
  public var dropped = 0
  /// Plaintext bytes.
  public var bytesRead = 0
  public var bytesWritten = 0
  /// How often each limit was reached.
  public var reached: [NetworkLimit: Int] = [:]
  /// Requests refused for what they are, by status: rules of HTTP, methods, authentication, bodies that are no call or
  /// over a bound of XML (500), calls that an ACL denies (401).
  public var refused: [Int: Int] = [:]

  public init() {}

  /// All numbers in one line each, for the log: what was counted, limits reached, requests refused.
  public var report: [String] {
    let numbers: [(String, Int)] = [
      ("accepted", accepted), ("handshakes", handshakes), ("failed handshakes", failedHandshakes),
      ("plain HTTP", plainHTTP), ("requests", requests), ("authenticated", authenticated), ("responses", responses),
      ("failed authentications", failedAuthentications), ("delayed refusals", delayedRefusals),
      ("delayed password checks", delayedChecks),
      ("peers gone", peersGone), ("dropped", dropped), ("out of descriptors", exhausted), ("bytes read", bytesRead),
      ("bytes written", bytesWritten), ("refused PROXY headers", refusedProxyHeaders),
    ]
    let limits = NetworkLimit.allCases.compactMap { limit in reached[limit].map { (limit.option, $0) } }
    let statuses = refused.keys.sorted().map { (String($0), refused[$0] ?? 0) }
    return [("Network", numbers), ("Limits reached", limits), ("Requests refused, by status", statuses)].map {
      "\($0.0): " + ($0.1.isEmpty ? "none" : $0.1.map { "\($0.0) \($0.1)" }.joined(separator: ", "))
    }
  }
}

public import XMLRPC

/// One bound on what peers may cost. The raw value is its option in section `[server]` of bcfg2.conf.
public nonisolated enum NetworkLimit: String, CaseIterable, Sendable {
  case connections = "connections"
  case connectionsPerAddress = "connections_per_address"
  case unauthenticatedConnections = "unauthenticated_connections"
  case unauthenticatedPerAddress = "unauthenticated_per_address"
  case refusedConnections = "refused_connections"
  case handshakeSeconds = "handshake_timeout"
  case headerSeconds = "header_timeout"
  case bodySeconds = "body_timeout"
  case responseSeconds = "response_timeout"
  case keepAliveSeconds = "keepalive_timeout"
  case lingerSeconds = "linger_timeout"
  case drainSeconds = "drain_timeout"
  case progressBytes = "progress_bytes"
  case handshakesPerTurn = "handshakes_per_turn"
  case readTurnBytes = "read_turn_bytes"
  case writeTurnBytes = "write_turn_bytes"
  case unsentBytes = "unsent_bytes"
  case lingerBytes = "linger_bytes"
  case requestLineBytes = "request_line_bytes"
  case headerBytes = "header_bytes"
  case headerCount = "header_count"
  case bodyBytes = "body_bytes"
  case bodiesBytes = "bodies_bytes"
  case requestBytes = "request_bytes"
  case requestElements = "request_elements"
  case programs = "programs"
  case waitingPrograms = "waiting_programs"
  case programSeconds = "program_timeout"
  case requests = "requests"
  case overloadSeconds = "overload_delay"
  case retrySeconds = "retry_after"
  case authenticationFailures = "authentication_failures"
  case authenticationDelay = "authentication_delay"
  case authenticationDecay = "authentication_decay"

  /// Where it is in `allCases` and in `definitions`. A limit is asked for several times in each request.
  var position: Int {
    switch self {
    case .connections: 0
    case .connectionsPerAddress: 1
    case .unauthenticatedConnections: 2
    case .unauthenticatedPerAddress: 3
    case .refusedConnections: 4
    case .handshakeSeconds: 5
    case .headerSeconds: 6
    case .bodySeconds: 7
    case .responseSeconds: 8
    case .keepAliveSeconds: 9
    case .lingerSeconds: 10
    case .drainSeconds: 11
    case .progressBytes: 12
    case .handshakesPerTurn: 13
    case .readTurnBytes: 14
    case .writeTurnBytes: 15
    case .unsentBytes: 16
    case .lingerBytes: 17
    case .requestLineBytes: 18
    case .headerBytes: 19
    case .headerCount: 20
    case .bodyBytes: 21
    case .bodiesBytes: 22
    case .requestBytes: 23
    case .requestElements: 24
    case .programs: 25
    case .waitingPrograms: 26
    case .programSeconds: 27
    case .requests: 28
    case .overloadSeconds: 29
    case .retrySeconds: 30
    case .authenticationFailures: 31
    case .authenticationDelay: 32
    case .authenticationDecay: 33
    }
  }

  /// What the number counts.
  public enum Unit: String, Sendable {
    case connections, seconds, bytes, lines, elements, programs, requests, failures
  }

  /// Unit, default, allowed values and reason of one limit.
  public struct Definition: Sendable {
    public let limit: NetworkLimit
    public let unit: Unit
    public let standard: Int
    public let range: ClosedRange<Int>
    /// One sentence without a final period: why there is a bound, and why this one.
    public let reason: String

    init(_ limit: NetworkLimit, _ unit: Unit, _ standard: Int, _ range: ClosedRange<Int>, _ reason: String) {
      self.limit = limit
      self.unit = unit
      self.standard = standard
      self.range = range
      self.reason = reason
    }
  }

  /// The one table of limits, in the order of `allCases`.
  public static let definitions: [Definition] = [
    Definition(
      .connections, .connections, 2048, 1...65536,
      "connections served at once; an idle one costs about 24 KiB, a busy one its answer"),
    Definition(
      .connectionsPerAddress, .connections, 256, 1...65536,
      "of one address (an IPv6 /64, not loopback); a site behind one address may need more"),
    Definition(
      .unauthenticatedConnections, .connections, 1024, 1...65536,
      "whose peer has not authenticated: strangers leave room for clients"),
    Definition(
      .unauthenticatedPerAddress, .connections, 128, 1...65536,
      "of one address whose peer has not authenticated"),
    Definition(
      .refusedConnections, .connections, 64, 0...65536,
      "over a bound that are still told so (503); those beyond are closed when they come"),
    Definition(
      .handshakeSeconds, .seconds, 10, 1...600,
      "for the TLS handshake; a client needs two round trips"),
    Definition(
      .headerSeconds, .seconds, 10, 1...600,
      "from the first byte of a request to the end of its headers; they fit one packet"),
    Definition(
      .bodySeconds, .seconds, 30, 1...3600,
      "without progress while a body is read"),
    Definition(
      .responseSeconds, .seconds, 60, 1...3600,
      "without progress while an answer is written; a client may parse what it has"),
    Definition(
      .keepAliveSeconds, .seconds, 15, 1...3600,
      "without a request on a connection that had one; a client asks its next question within seconds"),
    Definition(
      .lingerSeconds, .seconds, 5, 1...600,
      "after the last answer, until the peer has read it and closes"),
    Definition(
      .drainSeconds, .seconds, 10, 0...3600,
      "to finish what is being answered when the server stops"),
    Definition(
      .progressBytes, .bytes, 4096, 1...1_048_576,
      "that count as progress, so that a byte now and then does not hold a connection"),
    Definition(
      .handshakesPerTurn, .connections, 2, 1...4096,
      "that the loop shakes hands with before the others have their turn, and twice as many of addresses that it has served; "
        + "a signature takes up to a millisecond"),
    Definition(
      .readTurnBytes, .bytes, 65536, 1024...16_777_216,
      "read from one connection before the others have their turn"),
    Definition(
      .writeTurnBytes, .bytes, 262_144, 1024...16_777_216,
      "written to one connection before the others have their turn"),
    Definition(
      .unsentBytes, .bytes, 131_072, 16384...16_777_216,
      "of an answer that the kernel takes before the peer has room for them; it would take megabytes"),
    Definition(
      .lingerBytes, .bytes, 4 << 20, 0...(1 << 30),
      "dropped after an answer that did not wait for the body, since a reset would take the answer from the client"),
    Definition(
      .requestLineBytes, .bytes, HTTPLimits().requestLineBytes, 64...65536,
      "of the request line (414); RFC 9112 asks for 8000"),
    Definition(
      .headerBytes, .bytes, HTTPLimits().headerBytes, 256...1_048_576,
      "of all header lines (431), kept before the peer is known; clients send under 400"),
    Definition(.headerCount, .lines, HTTPLimits().headerCount, 4...10000, "of headers (431)"),
    Definition(
      .bodyBytes, .bytes, HTTPLimits().bodyBytes, 1024...(1 << 30),
      "of a body (413); statistics with the contents of large files are tens of MiB"),
    Definition(
      .bodiesBytes, .bytes, 512 << 20, 1 << 20...(1 << 40),
      "of all bodies that are being read at a time (503): memory is shared"),
    Definition(
      .requestBytes, .bytes, HTTPLimits().requestBytes, 1 << 20...(1 << 40),
      "of memory for what is read from one request (a fault names the option); each byte of its body adds "
        + "\(HTTPLimits().requestBytesPerByte)"),
    Definition(
      .requestElements, .elements, HTTPLimits().requestElements, 1000...1_000_000_000,
      "attributes, values and members in all that one request holds (a fault names the option); each takes time"),
    Definition(
      .programs, .programs, 16, 1...4096,
      "of plugins and of version control that run at once, in each process of the core; more wait in order, and those that "
        + "no request waits for (Trigger) have half of the places"),
    Definition(
      .waitingPrograms, .programs, 4096, 0...1_000_000,
      "that wait for their turn; a further one is not run, and its caller fails"),
    Definition(
      .programSeconds, .seconds, 300, 1...86400,
      "that a program of a plugin may run, and what it started with it; some have less"),
    Definition(
      .requests, .requests, 512, 1...65536,
      "that are being answered at a time (503): those wait for child processes, databases, name service"),
    Definition(
      .overloadSeconds, .seconds, 5, 1...3600,
      "that requests wait for their turn before new ones are refused (503); those of a run that has begun: four times"),
    Definition(
      .retrySeconds, .seconds, 30, 1...86400,
      "that a client over a bound is asked to wait (Retry-After)"),
    Definition(
      .authenticationFailures, .failures, 10, 1...100_000,
      "to authenticate of one address (an IPv6 /64) that are answered at once; later ones wait ever longer"),
    Definition(
      .authenticationDelay, .seconds, 8, 0...600,
      "that the answer to a failed authentication waits at most; 0 for never"),
    Definition(
      .authenticationDecay, .seconds, 60, 1...86400,
      "after which one failure of an address is forgotten"),
  ]

  /// The limit that the parser's reason names, if it names one of this table.
  package init?(parserReason: String) {
    switch parserReason {
    case "requestLineBytes": self = .requestLineBytes
    case "headerBytes", "trailerBytes": self = .headerBytes
    case "headerCount": self = .headerCount
    case "bodyBytes": self = .bodyBytes
    default: return nil
    }
  }
}

/// The values of all limits for one server.
public nonisolated struct NetworkLimits: Sendable, Equatable {
  /// By the limits' positions.
  private var values = NetworkLimit.definitions.map(\.standard)

  /// The defaults.
  public init() {}

  /// A limit's value in its unit. Setting traps outside the definition's range: whoever reads a configuration checks
  /// it and names file and line.
  public subscript(limit: NetworkLimit) -> Int {
    get { values[limit.position] }
    set {
      precondition(NetworkLimits.definition(of: limit).range.contains(newValue), "\(limit.rawValue) = \(newValue)")
      values[limit.position] = newValue
    }
  }

  /// A limit in seconds, as a duration.
  public func duration(_ limit: NetworkLimit) -> Duration { .seconds(self[limit]) }

  public static func definition(of limit: NetworkLimit) -> NetworkLimit.Definition {
    NetworkLimit.definitions[limit.position]
  }

  /// The parser's share of the limits.
  public var http: HTTPLimits {
    var http = HTTPLimits()
    http.requestLineBytes = self[.requestLineBytes]
    http.headerBytes = self[.headerBytes]
    http.headerCount = self[.headerCount]
    http.bodyBytes = self[.bodyBytes]
    http.requestBytes = self[.requestBytes]
    http.requestElements = self[.requestElements]
    return http
  }
}

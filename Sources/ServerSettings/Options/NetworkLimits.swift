public import XMLRPC

/// One bound on what peers may cost: a case, and what `definition` says of it. The compiler asks for both.
public nonisolated enum NetworkLimit: Int, CaseIterable, Sendable {
  case connections
  case connectionsPerAddress
  case unauthenticatedConnections
  case unauthenticatedPerAddress
  case refusedConnections
  case handshakeSeconds
  case headerSeconds
  case bodySeconds
  case responseSeconds
  case keepAliveSeconds
  case lingerSeconds
  case drainSeconds
  case progressBytes
  case handshakesPerTurn
  case readTurnBytes
  case writeTurnBytes
  case unsentBytes
  case lingerBytes
  case requestLineBytes
  case headerBytes
  case headerCount
  case bodyBytes
  case bodiesBytes
  case requestBytes
  case requestElements
  case programs
  case waitingPrograms
  case programSeconds
  case requests
  case overloadSeconds
  case retrySeconds
  case authenticationFailures
  case authenticationDelay
  case authenticationDecay

  /// Option in section `[server]` of bcfg2.conf, unit, default, allowed values and reason of one limit.
  public struct Definition: Sendable {
    public let option: String
    public let unit: Unit
    public let standard: Int
    public let range: ClosedRange<Int>
    /// One sentence without a final period: why there is a bound, and why this one.
    public let reason: String

    init(_ option: String, _ unit: Unit, _ standard: Int, _ range: ClosedRange<Int>, _ reason: String) {
      self.option = option
      self.unit = unit
      self.standard = standard
      self.range = range
      self.reason = reason
    }
  }

  /// What the number counts.
  public enum Unit: String, Sendable {
    case connections, seconds, bytes, lines, elements, programs, requests, failures
  }

  /// The definitions by raw value, made once: requests look a limit up by its place here.
  private static let definitions = allCases.map(\.written)

  /// The option, unit, default, range and reason of this limit.
  public var definition: Definition { Self.definitions[rawValue] }

  /// The name of the option in section `[server]`.
  public var option: String { definition.option }

  /// The definitions as they are written: the one table of limits.
  private var written: Definition {
    switch self {
    case .connections:
      Definition(
        "connections", .connections, 2048, 1...65536,
        "connections served at once; an idle one costs about 24 KiB, a busy one its answer")
    case .connectionsPerAddress:
      Definition(
        "connections_per_address", .connections, 256, 1...65536,
        "of one address (an IPv6 /64, not loopback); a site behind one address may need more")
    case .unauthenticatedConnections:
      Definition(
        "unauthenticated_connections", .connections, 1024, 1...65536,
        "whose peer has not authenticated: strangers leave room for clients")
    case .unauthenticatedPerAddress:
      Definition(
        "unauthenticated_per_address", .connections, 128, 1...65536,
        "of one address whose peer has not authenticated")
    case .refusedConnections:
      Definition(
        "refused_connections", .connections, 64, 0...65536,
        "over a bound that are still told so (503); those beyond are closed when they come")
    case .handshakeSeconds:
      Definition(
        "handshake_timeout", .seconds, 10, 1...600,
        "for the TLS handshake; a client needs two round trips")
    case .headerSeconds:
      Definition(
        "header_timeout", .seconds, 10, 1...600,
        "from the first byte of a request to the end of its headers; they fit one packet")
    case .bodySeconds:
      Definition(
        "body_timeout", .seconds, 30, 1...3600,
        "without progress while a body is read")
    case .responseSeconds:
      Definition(
        "response_timeout", .seconds, 60, 1...3600,
        "without progress while an answer is written; a client may parse what it has")
    case .keepAliveSeconds:
      Definition(
        "keepalive_timeout", .seconds, 15, 1...3600,
        "without a request on a connection that had one; a client asks its next question within seconds")
    case .lingerSeconds:
      Definition(
        "linger_timeout", .seconds, 5, 1...600,
        "after the last answer, until the peer has read it and closes")
    case .drainSeconds:
      Definition(
        "drain_timeout", .seconds, 10, 0...3600,
        "to finish what is being answered when the server stops")
    case .progressBytes:
      Definition(
        "progress_bytes", .bytes, 4096, 1...1_048_576,
        "that count as progress, so that a byte now and then does not hold a connection")
    case .handshakesPerTurn:
      Definition(
        "handshakes_per_turn", .connections, 2, 1...4096,
        "that the loop shakes hands with before the others have their turn, and twice as many of addresses that it has served; "
          + "a signature takes up to a millisecond")
    case .readTurnBytes:
      Definition(
        "read_turn_bytes", .bytes, 65536, 1024...16_777_216,
        "read from one connection before the others have their turn")
    case .writeTurnBytes:
      Definition(
        "write_turn_bytes", .bytes, 262_144, 1024...16_777_216,
        "written to one connection before the others have their turn")
    case .unsentBytes:
      Definition(
        "unsent_bytes", .bytes, 131_072, 16384...16_777_216,
        "of an answer that the kernel takes before the peer has room for them; it would take megabytes")
    case .lingerBytes:
      Definition(
        "linger_bytes", .bytes, 4 << 20, 0...(1 << 30),
        "dropped after an answer that did not wait for the body, since a reset would take the answer from the client")
    case .requestLineBytes:
      Definition(
        "request_line_bytes", .bytes, HTTPLimits().requestLineBytes, 64...65536,
        "of the request line (414); RFC 9112 asks for 8000")
    case .headerBytes:
      Definition(
        "header_bytes", .bytes, HTTPLimits().headerBytes, 256...1_048_576,
        "of all header lines (431), kept before the peer is known; clients send under 400")
    case .headerCount:
      Definition(
        "header_count", .lines, HTTPLimits().headerCount, 4...10000,
        "of headers (431)")
    case .bodyBytes:
      Definition(
        "body_bytes", .bytes, HTTPLimits().bodyBytes, 1024...(1 << 30),
        "of a body (413); statistics with the contents of large files are tens of MiB")
    case .bodiesBytes:
      Definition(
        "bodies_bytes", .bytes, 512 << 20, 1 << 20...(1 << 40),
        "of all bodies that are being read at a time (503): memory is shared")
    case .requestBytes:
      Definition(
        "request_bytes", .bytes, HTTPLimits().requestBytes, 1 << 20...(1 << 40),
        "of memory for what is read from one request (a fault names the option); each byte of its body adds "
          + "\(HTTPLimits().requestBytesPerByte)")
    case .requestElements:
      Definition(
        "request_elements", .elements, HTTPLimits().requestElements, 1000...1_000_000_000,
        "attributes, values and members in all that one request holds (a fault names the option); each takes time")
    case .programs:
      Definition(
        "programs", .programs, 16, 1...4096,
        "of plugins and of version control that run at once, in each process of the core; more wait in order, and those that "
          + "no request waits for (Trigger) have half of the places")
    case .waitingPrograms:
      Definition(
        "waiting_programs", .programs, 4096, 0...1_000_000,
        "that wait for their turn; a further one is not run, and its caller fails")
    case .programSeconds:
      Definition(
        "program_timeout", .seconds, 300, 1...86400,
        "that a program of a plugin may run, and what it started with it; some have less")
    case .requests:
      Definition(
        "requests", .requests, 512, 1...65536,
        "that are being answered at a time (503): those wait for child processes, databases, name service")
    case .overloadSeconds:
      Definition(
        "overload_delay", .seconds, 5, 1...3600,
        "that requests wait for their turn before new ones are refused (503); those of a run that has begun: four times"
      )
    case .retrySeconds:
      Definition(
        "retry_after", .seconds, 30, 1...86400,
        "that a client over a bound is asked to wait (Retry-After)")
    case .authenticationFailures:
      Definition(
        "authentication_failures", .failures, 10, 1...100_000,
        "to authenticate of one address (an IPv6 /64) that are answered at once; later ones wait ever longer")
    case .authenticationDelay:
      Definition(
        "authentication_delay", .seconds, 8, 0...600,
        "that the answer to a failed authentication waits at most; 0 for never")
    case .authenticationDecay:
      Definition(
        "authentication_decay", .seconds, 60, 1...86400,
        "after which one failure of an address is forgotten")
    }
  }

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
  /// By the limits' raw values.
  private var values = NetworkLimit.allCases.map(\.definition.standard)

  /// The defaults.
  public init() {}

  /// A limit's value in its unit. Setting traps outside the definition's range: values from bcfg2.conf
  /// have been checked against it, with file and line.
  public subscript(limit: NetworkLimit) -> Int {
    get { values[limit.rawValue] }
    set {
      precondition(limit.definition.range.contains(newValue), "\(limit.option) = \(newValue)")
      values[limit.rawValue] = newValue
    }
  }

  /// A limit in seconds, as a duration.
  public func duration(_ limit: NetworkLimit) -> Duration { .seconds(self[limit]) }

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

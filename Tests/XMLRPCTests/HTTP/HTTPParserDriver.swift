import XMLRPC

/// What a connection would see of some bytes: the requests that were complete, and the refusal that ended them.
struct HTTPOutcome: Equatable, CustomStringConvertible {
  var requests: [HTTPRequest] = []
  var status: Int?
  var reason: String?

  var description: String {
    requests.map { "\($0.head.method) \($0.head.target) \($0.body.count)" }.joined(separator: ", ")
      + (status.map { " -> \($0) \(reason ?? "")" } ?? "")
  }
}

/// Plays a caller of `consume`: keeps what was not taken, accepts every body.
func consumeAll(_ pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits()) -> HTTPOutcome {
  var parser = HTTPRequestParser(limits: limits)
  var outcome = HTTPOutcome()
  for piece in pieces {
    var rest = piece[...]
    while true {
      let (consumed, step) = rest.withUnsafeBytes { parser.consume($0) }
      rest = rest.dropFirst(consumed)
      if !note(step, &parser, &outcome) { return outcome }
      if rest.isEmpty || consumed == 0 && step == .needMore { break }
    }
  }
  return outcome
}

/// Plays a caller of `feed`.
func feedAll(_ pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits()) -> HTTPOutcome {
  var parser = HTTPRequestParser(limits: limits)
  var outcome = HTTPOutcome()
  for piece in pieces {
    var step = piece.withUnsafeBytes { parser.feed($0) }
    while true {
      if !note(step, &parser, &outcome) { return outcome }
      if step == .needMore { break }
      step = [].withUnsafeBytes { parser.feed($0) }
    }
  }
  return outcome
}

/// Acts on a step; false at a refusal.
private func note(
  _ step: HTTPRequestParser.Step, _ parser: inout HTTPRequestParser, _ outcome: inout HTTPOutcome
) -> Bool {
  switch step {
  case .needMore: return true
  case .head: return note(parser.acceptBody(), &parser, &outcome)
  case .request(let request):
    outcome.requests.append(request)
    return true
  case .reject(let status, let reason):
    outcome.status = status
    outcome.reason = reason
    return false
  }
}

/// The bytes whole, one at a time, and split at every index.
func splits(_ bytes: [UInt8]) -> [[[UInt8]]] {
  var all = [[bytes], bytes.map { [$0] }]
  for index in 1..<max(1, bytes.count) { all.append([Array(bytes[..<index]), Array(bytes[index...])]) }
  return all
}

/// The outcome, if it is the same for every way of splitting and both ways of feeding; else nil.
func outcomeOfEverySplit(_ text: String, limits: HTTPLimits = HTTPLimits()) -> HTTPOutcome? {
  let bytes = latin1(text)
  let expected = consumeAll([bytes], limits: limits)
  for pieces in splits(bytes) {
    guard consumeAll(pieces, limits: limits) == expected, feedAll(pieces, limits: limits) == expected else {
      return nil
    }
  }
  return expected
}

/// One byte for each scalar, so that tables can hold any byte as `\u{..}`.
func latin1(_ text: String) -> [UInt8] {
  text.unicodeScalars.map { UInt8($0.value) }
}

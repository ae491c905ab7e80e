// Built by scripts/fuzz.sh together with the sources of XMLRPC, hence without an import.

/// Reads the bytes as requests whole, and cut where their first byte says, through both ways of feeding: no trap, and
/// one reading however the bytes are cut.
func fuzz(_ bytes: UnsafeRawBufferPointer) {
  guard let first = bytes.first else { return }
  let input = Array(bytes.dropFirst())
  var limits = HTTPLimits()
  limits.requestLineBytes = 64
  limits.headerBytes = 256
  limits.headerCount = 8
  limits.bodyBytes = 128
  limits.chunkLineBytes = 16
  limits.chunkExtensionBytes = 32
  limits.trailerBytes = 64
  let whole = consume([input[...]], limits)
  let step = Int(first) + 1
  let cuts = stride(from: 0, to: input.count, by: step).map { input[$0..<min($0 + step, input.count)] }
  precondition(consume(cuts, limits) == whole, "the reading depends on the cuts")
  precondition(feed(cuts, limits) == whole, "feed reads otherwise than consume")
  for case .request(let request) in whole {
    precondition(request.body.count <= limits.bodyBytes)
    precondition(request.head.headers.count <= limits.headerCount)
    if case .length(let length) = request.head.framing { precondition(request.body.count == length) }
  }
}

private func consume(_ pieces: [ArraySlice<UInt8>], _ limits: HTTPLimits) -> [HTTPRequestParser.Step] {
  var parser = HTTPRequestParser(limits: limits)
  var steps: [HTTPRequestParser.Step] = []
  for piece in pieces {
    var rest = piece
    while true {
      var (consumed, step) = rest.withUnsafeBytes { parser.consume($0) }
      precondition(consumed <= rest.count)
      rest = rest.dropFirst(consumed)
      if case .head = step {
        steps.append(step)
        step = parser.acceptBody()
      }
      if case .reject = step { return steps + [step] }
      if case .request = step { steps.append(step) } else if rest.isEmpty { break }
    }
  }
  return steps
}

private func feed(_ pieces: [ArraySlice<UInt8>], _ limits: HTTPLimits) -> [HTTPRequestParser.Step] {
  var parser = HTTPRequestParser(limits: limits)
  var steps: [HTTPRequestParser.Step] = []
  for piece in pieces {
    var step = piece.withUnsafeBytes { parser.feed($0) }
    while step != .needMore {
      if case .head = step {
        steps.append(step)
        step = parser.acceptBody()
        continue
      }
      steps.append(step)
      if case .reject = step { return steps }
      step = parser.feed(UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }
  return steps
}

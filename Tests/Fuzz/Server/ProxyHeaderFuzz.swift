import EventLoop

/// Reads the bytes as a header of the PROXY protocol, whole and cut where their first byte says: no trap, one reading
/// however they are cut, and never more bytes than a header may have.
func fuzzProxyHeader(_ bytes: [UInt8]) {
  guard let first = bytes.first else { return }
  let input = Array(bytes.dropFirst())
  let whole = read(input, by: .max)
  precondition(read(input, by: Int(first) + 1) == whole, "the reading depends on the cuts")
  precondition(whole.taken <= ProxyHeaderParser.limitBytes, "a header has a bound")
  if case .header = whole.step {
    precondition(input.withUnsafeBytes { ProxyHeaderParser.isBeginning($0) }, "its beginning is not recognized")
  }
}

private struct Reading: Equatable {
  var step: ProxyHeaderParser.Step
  var taken: Int
}

private func read(_ input: [UInt8], by size: Int) -> Reading {
  var parser = ProxyHeaderParser()
  var reading = Reading(step: .needMore, taken: 0)
  while reading.step == .needMore, reading.taken < input.count {
    let count = min(size, parser.wantedBytes, input.count - reading.taken)
    reading.step = input[reading.taken..<reading.taken + count].withUnsafeBytes { parser.feed($0) }
    reading.taken += count
  }
  // How many bytes of what is refused were looked at depends on the cuts.
  if case .refused = reading.step { reading = Reading(step: .refused(.noHeader), taken: 0) }
  return reading
}

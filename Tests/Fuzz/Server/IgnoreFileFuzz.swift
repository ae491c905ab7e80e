@testable import Repository

/// The first line is a path, the rest a `.bcfg2-ignore`: no trap, bounds hold, each problem has its line, and a match takes no more
/// steps than its limit.
func fuzzIgnoreFile(_ bytes: [UInt8]) {
  let end = bytes.firstIndex(of: 0x0A) ?? bytes.endIndex
  let names = bytes[..<end].split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
  let text = Array(bytes[end...].dropFirst())
  let rules = IgnoreRules(text)
  let lines = text.reduce(1) { $0 + ($1 == 0x0A ? 1 : 0) }
  precondition(rules.problems.allSatisfy { (1...lines).contains($0.line) }, "a problem of no line")
  guard !names.isEmpty else { return }
  for isFolder in [false, true] {
    var steps = 0
    let verdict = rules.verdict(names[...], steps: &steps) { isFolder }
    precondition(steps <= rules.stepLimit(names[...]), "\(steps) steps")
    precondition(!rules.isEmpty || verdict == nil, "no pattern matches")
    // What was not asked for is the same.
    precondition(rules.verdict(names[...]) { isFolder } == verdict)
  }
}

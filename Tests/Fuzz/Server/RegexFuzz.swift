@testable import Formats
@testable import XMLRPC

/// The first line is a pattern, the rest a text: no trap, what was found lies within the text, and a pattern that is
/// cleared when it is read is never too slow for a text of its length. libFuzzer's time limit sees the rest.
func fuzzRegex(_ bytes: [UInt8]) {
  let end = bytes.firstIndex(of: 0x0A) ?? bytes.count
  guard let pattern = String(validating: bytes[..<end], as: UTF8.self),
    let text = String(validating: bytes[min(end + 1, bytes.count)...], as: UTF8.self),
    let syntax = try? RegexSyntax(pattern)
  else { return }
  for scope in [PythonRegex.Scope.atStart, .anywhere, .wholeText] {
    guard let regex = try? PythonRegex(pattern, finds: scope) else { continue }
    let isOverLimit = regex.outcome(text) == .overLimit
    if let match = regex.match(text) {
      for group in 0...match.groupCount {
        guard let range = match.bytes(group) else { continue }
        precondition(range.upperBound <= text.utf8.count)
      }
    }
    guard !text.utf8.contains(0x0A) else { continue }
    let bound = RegexBound.steps(syntax, finds: scope, length: text.utf8.count)
    let isCleared = bound <= Double(RegexLimits.steps) && text.utf8.count <= RegexLimits.checkedTextBytes
    precondition(!(isOverLimit && isCleared), "\(pattern): \(bound)")
  }
}

import EventLoop
import Glibc
import Support
import Testing

@testable import Core
@testable import Server

/// Cached answers equal those of a core that has just read everything, whatever has happened before.
///
/// - `BCFG2_PROPERTY_STEPS`: how many steps; 200.
/// - `BCFG2_PROPERTY_SEED`: a number that decides all choices; 1. A failure names the seed of its history.
/// - `BCFG2_PROPERTY_TEMPLATES`: 1: each history has Genshi templates; 0: none has. Every fourth has by default: each of
///   its new cores starts a renderer.
@Test func answersOfALongHistoryEqualThoseOfANewCore() async throws {
  let steps = number("BCFG2_PROPERTY_STEPS") ?? 200
  var seed = number("BCFG2_PROPERTY_SEED") ?? 1
  let templates = number("BCFG2_PROPERTY_TEMPLATES")
  var remaining = steps
  var served = 0
  var rendered = 0
  while remaining > 0 {
    // Short histories: a failure is found again in a few seconds.
    let hasTemplates = templates.map { $0 == 1 } ?? (seed % 4 == 0)
    let length = min(remaining, hasTemplates ? 20 : 50)
    remaining -= length
    let result = try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let history = try RandomHistory(seed: UInt64(bitPattern: Int64(seed)), hasTemplates: hasTemplates, on: loop)
      defer { history.end() }
      for step in 0..<length {
        if let difference = try await history.step() {
          let past = history.lines.enumerated().map { "\($0): \($1)" }.joined(separator: "\n")
          return (difference: "seed \(seed), step \(step): \(difference)\nafter\n\(past)", hits: 0, results: 0)
        }
      }
      let core = history.core
      return (difference: "", hits: core.answerCache.hits, results: core.templates.cacheCount.used)
    }
    guard result.difference.isEmpty else {
      let again = "BCFG2_PROPERTY_SEED=\(seed) BCFG2_PROPERTY_TEMPLATES=\(hasTemplates ? 1 : 0)"
      Issue.record("\(result.difference)\n\(again) finds it again.")
      return
    }
    served += result.hits
    rendered += result.results
    seed += 1
  }
  // Otherwise nothing was compared but new answers.
  guard steps >= 200 else { return }
  #expect(served > steps / 10)
  if templates != 0 { #expect(rendered > steps / 20) }
}

private func number(_ variable: String) -> Int? { getenv(variable).flatMap { Int(String(cString: $0)) } }

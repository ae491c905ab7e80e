@testable import Formats
@testable import XMLRPC

/// Reads the bytes as JSON: no trap, and what a value holds is within what was charged for it.
func fuzzJSON(_ bytes: [UInt8]) {
  let budget = RequestBudget(bodyBytes: bytes.count)
  guard let value = try? JSONValue(json: String(decoding: bytes, as: UTF8.self), budget: budget) else { return }
  precondition(held(value) <= budget.heldBytes, "a value holds more than was charged")
  _ = value.isTruthy
  _ = value["a"]
}

/// Bytes of the value in the place that holds it and behind it, without names, of which each is kept once.
private func held(_ value: JSONValue) -> Int {
  let own = MemoryLayout<JSONValue>.stride
  switch value {
  case .null, .boolean, .integer, .number: return own
  case .string(let text): return own + (text.utf8.count > 15 ? text.utf8.count : 0)
  case .array(let items): return own + items.reduce(0) { $0 + held($1) }
  case .object(let members): return own + members.reduce(0) { $0 + held($1.value) }
  }
}

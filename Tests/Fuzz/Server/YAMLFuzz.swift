@testable import Formats
@testable import XMLRPC

/// Reads the bytes as YAML: no trap, an error names a line, and no more values are made than the bound allows.
func fuzzYAML(_ bytes: [UInt8]) {
  guard let text = String(validating: bytes, as: UTF8.self) else { return }
  do throws(YAMLError) {
    let value = try JSONValue(yaml: text)
    precondition(count(value) <= YAMLLimits.values, "more values than the bound")
  } catch {
    precondition(error.line > 0, "an error without its line: \(error)")
  }
}

private func count(_ value: JSONValue) -> Int {
  switch value {
  case .array(let items): items.reduce(1) { $0 + count($1) }
  case .object(let members): members.reduce(1) { $0 + count($1.value) }
  default: 1
  }
}

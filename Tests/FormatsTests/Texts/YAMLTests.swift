import EventLoop
import Support
import Testing

@testable import Formats
@testable import XMLRPC

@Suite struct YAMLTests {
  /// Documents, and what PyYAML makes of them: Tests/YAML/expected.jsonl.
  private func table() throws -> [JSONValue] {
    let path = "\(Project.root)/Tests/YAML/expected.jsonl"
    let text = String(decoding: try AtomicFile.readFile(path, limitBytes: 1 << 24), as: UTF8.self)
    return try text.split(separator: "\n").map { try JSONValue(json: String($0)) }
  }

  /// A value with its members in the order of their names, and NaN as something that equals itself.
  private static func comparable(_ value: JSONValue) -> JSONValue {
    switch value {
    case .number(let number) where number.isNaN: .string("NaN")
    case .array(let items): .array(items.map(comparable))
    case .object(let members):
      .object(
        members.map { JSONValue.Member($0.name, comparable($0.value)) }.sorted {
          $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
        })
    default: value
    }
  }

  @Test func documentsAreReadAsPyYAMLReadsThem() throws {
    let rows = try table()
    #expect(rows.count > 150)
    for row in rows {
      guard case .string(let yaml)? = row["yaml"] else { throw JSONError(description: "no document") }
      if case .integer(let line)? = row["error"] {
        let error = #expect(throws: YAMLError.self, "\(yaml)") { try JSONValue(yaml: yaml) }
        if let error, line > 0 { #expect(error.line == line, "\(yaml): \(error)") }
      } else {
        let value = try #require(row["value"])
        do {
          #expect(Self.comparable(try JSONValue(yaml: yaml)) == Self.comparable(value), "\(yaml)")
        } catch {
          Issue.record("\(yaml): \(error)")
        }
      }
    }
  }

  @Test func lineEndsOfWindowsAreLineEnds() throws {
    for row in try table() {
      guard case .string(let yaml)? = row["yaml"], row["value"] != nil, !yaml.contains("\r") else { continue }
      let windows = try JSONValue(yaml: yaml.replacing("\n", with: "\r\n"))
      #expect(Self.comparable(windows) == Self.comparable(try JSONValue(yaml: yaml)), "\(yaml)")
    }
  }

  @Test func whatPyYAMLRefusesWithoutNeedIsRead() throws {
    #expect(
      try JSONValue(yaml: "--- !ruby/hash:Hash\na: !x 5\nb: !!python/none ~\n")
        == JSONValue(json: #"{"a": 5, "b": null}"#))
    #expect(try JSONValue(yaml: "a: =\nb: <<\n") == JSONValue(json: #"{"a": "=", "b": "<<"}"#))
    #expect(try JSONValue(yaml: "a:\tb\t\n") == JSONValue(json: #"{"a": "b"}"#))
    #expect(try JSONValue(yaml: "a: &x 1\nb: &x 2\nc: *x\n")["c"] == .integer(2))
  }

  @Test func anyCutOfADocumentIsReadOrRefused() throws {
    for row in try table() {
      guard case .string(let yaml)? = row["yaml"] else { continue }
      let bytes = Array(yaml.utf8)
      for end in bytes.indices {
        for replacement in [[], [UInt8(ascii: ":")], [UInt8(ascii: "\"")], [UInt8(ascii: "\n")]] {
          let text = String(decoding: bytes[..<end] + replacement + bytes[end...].dropFirst(), as: UTF8.self)
          do throws(YAMLError) {
            _ = try JSONValue(yaml: text)
          } catch {
            #expect(error.line > 0)
          }
        }
      }
    }
  }

  @Test func keysThatOnlyLookAlikeAreTwo() throws {
    guard case .object(let members) = try JSONValue(yaml: "\u{E9}: 1\ne\u{301}: 2\n") else {
      Issue.record("no mapping")
      return
    }
    #expect(members.map(\.value) == [.integer(1), .integer(2)])
  }

  private func error(_ yaml: String) -> YAMLError? {
    do throws(YAMLError) {
      _ = try JSONValue(yaml: yaml)
      return nil
    } catch {
      return error
    }
  }

  @Test func collectionsNestSoDeepAndNoDeeper() {
    #expect(error(String(repeating: "[", count: 128) + String(repeating: "]", count: 128)) == nil)
    #expect(error(String(repeating: "[", count: 130))?.message == "nested too deeply")
    #expect(error(String(repeating: "- ", count: 100_000))?.message == "nested too deeply")
    #expect(error(String(repeating: "{a: ", count: 130))?.message == "nested too deeply")
  }

  @Test func aliasesThatMultiplyAreRefused() {
    var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1..<10 {
      let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
      bomb += "a\(level): &a\(level) [\(aliases)]\n"
    }
    #expect(error(bomb)?.message == "more than 500000 values")
    let merged = "a: &a {" + (0..<1000).map { "k\($0): 1" }.joined(separator: ", ") + "}\n"
    #expect(error(merged + (0..<1000).map { "b\($0): {<<: *a}\n" }.joined())?.message == "more than 500000 values")
  }

  @Test func aDocumentIsChargedToItsRequest() {
    var limits = HTTPLimits()
    limits.requestElements = 100
    let budget = RequestBudget(limits: limits, bodyBytes: 1000)
    RequestBudget.$current.withValue(budget) {
      #expect(error("[" + String(repeating: "1, ", count: 60) + "]") == nil)
      let message = "more than [server] request_elements (100) allows"
      #expect(error("[" + String(repeating: "1, ", count: 60) + "]") == YAMLError(line: 1, message: message))
    }
  }

  @Test func aDocumentBeyondTheBoundIsRefused() {
    let message = error(String(repeating: "#", count: YAMLLimits.textBytes + 1))?.message
    #expect(message == "longer than 16777216 bytes")
  }
}

import Support
import Testing

@testable import Server

/// One document and what it is, as JSON.
private nonisolated let documents: [(yaml: String, json: String)] = [
  ("", "null"), ("--- {}\n", "{}"), ("---\n...\n", "null"), ("# only this\n", "null"),
  ("a: 1\nb: x\n", #"{"a": 1, "b": "x"}"#),
  ("---\nclasses:\n  - a\n  - b\nparameters:\n  k: v\n", #"{"classes": ["a", "b"], "parameters": {"k": "v"}}"#),
  ("classes:\n- a\n- b: {c: d}\nz:\n", #"{"classes": ["a", {"b": {"c": "d"}}], "z": null}"#),
  ("classes: {class-b: {x: 1}, nested: }\n", #"{"classes": {"class-b": {"x": 1}, "nested": null}}"#),
  ("- - a\n  - b\n- c: 1\n  d: 2\n-\n  e: 3\n", #"[["a", "b"], {"c": 1, "d": 2}, {"e": 3}]"#),
  (
    "[yes, no, ~, 1.5, -3, 0x1f, 010, .inf, +x, 1_000, 1.2.3]",
    #"[true, false, null, 1.5, -3, 31, 8, Infinity, "+x", 1000, "1.2.3"]"#
  ),
  (#"a: "q\t\u00e9\"" # c"#, #"{"a": "q\té\""}"#), ("a: 'it''s'\n", #"{"a": "it's"}"#),
  ("a: b # comment\nc: d#e\n", #"{"a": "b", "c": "d#e"}"#),
  ("a: one\n  two\n\n  three\n", #"{"a": "one two\nthree"}"#),
  ("a: |\n  x\n   y\n\nb: >-\n  one\n  two\n\n  three\n", #"{"a": "x\n y\n", "b": "one two\nthree"}"#),
  ("a: &x {k: 1}\nb: *x\n", #"{"a": {"k": 1}, "b": {"k": 1}}"#),
  ("base: &b\n  k: 1\n  l: 2\nown:\n  <<: *b\n  l: 3\n", #"{"base": {"k": 1, "l": 2}, "own": {"k": 1, "l": 3}}"#),
  ("a: [1,\n  2,\n  {b: c}]\nd: e\n", #"{"a": [1, 2, {"b": "c"}], "d": "e"}"#),
  ("--- !ruby/hash:Hash\nurl: http://x:8140/y\n\"k k\": !str 5\n", #"{"url": "http://x:8140/y", "k k": 5}"#),
  ("- \n- a\n- b\n -c\n", #"[null, "a", "b -c"]"#), ("k: >\n  a\n   b\n  c\n", #"{"k": "a\n b\nc\n"}"#),
  ("k: |+\n  a\n\nj: 1\n", #"{"k": "a\n\n", "j": 1}"#), ("a:   # c\n  - x\n", #"{"a": ["x"]}"#),
  (
    "a: 1e3\nb: 1.0e+3\nc: 0o7\nd: 1__0\ne: +5\nf: -0x1F\n",
    #"{"a": "1e3", "b": 1000.0, "c": "0o7", "d": 10, "e": 5, "f": -31}"#
  ),
  ("a: {b, c}\n", #"{"a": {"b": null, "c": null}}"#), ("a : b\n", #"{"a": "b"}"#),
  ("- a: 1\n  b:\n  - c\n-  d: 2\n   e: 3\n", #"[{"a": 1, "b": ["c"]}, {"d": 2, "e": 3}]"#),
  ("a: foo,bar [x] {y}\nb: http://x/#y\n", #"{"a": "foo,bar [x] {y}", "b": "http://x/#y"}"#),
  ("a: |2\n    x\n  y\n", #"{"a": "  x\ny\n"}"#), ("--- |\n x\n", #""x\n""#), ("--- a\n", #""a""#),
  ("{a: {b: [c, {d: e}]}, f: \"g, h\"}\n", #"{"a": {"b": ["c", {"d": "e"}]}, "f": "g, h"}"#),
  ("{\"json\": [true, null, 1.0]}", #"{"json": [true, null, 1.0]}"#),
]

@Test(arguments: documents)
func yamlIsRead(_ yaml: String, json: String) throws {
  let expected = try JSONValue(json: json)
  #expect(try JSONValue(yaml: yaml) == expected)
  #expect(try JSONValue(yaml: yaml.replacing("\n", with: "\r\n")) == expected)
}

@Test(arguments: [
  ("a: b: c\n", 1), ("a: 1\n  b: 2\n", 2), ("a: [1, 2\n", 2), ("a: \"x\n", 2), ("a: *none\n", 1), ("a\n---\nb\n", 3),
  ("\ta: 1\n", 1), ("? a\n: b\n", 1), ("a: 1\n- b\n", 2), ("a: 'b' c\n", 1), ("{a: 1]\n", 1), ("a: @x\n", 1),
  ("a: - b\n", 1),
  ("[a, , b]\n", 1), ("a: x\n# c\n  y\n", 3),
])
func wrongYAMLNamesItsLine(_ yaml: String, line: Int) {
  let error = #expect(throws: YAMLError.self) { try JSONValue(yaml: yaml) }
  #expect(error?.line == line, "\(String(describing: error))")
}

@Test func anyCutOfYAMLIsReadOrRefused() {
  for (yaml, _) in documents {
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

@Test func classifiersGiveGroupsAndParameters() async throws {
  let files = PluginRepository.files(
    bundle: ["a", "b", "two"].map { "<Group name=\"\($0)\"><BoundAction name=\"\($0)\"/></Group>" }.joined())
  try await CoreBench.run(files: files, settings: PluginRepository.settings("PuppetENC")) { bench async throws in
    @MainActor func write(_ body: String) {
      bench.repository.write("#!/bin/sh\n\(body)\n", to: "PuppetENC/enc", mode: 0o755)
    }
    #expect(try await bench.entries() == [])
    write("echo 'classes: [a]'; if [ $1 = two.example.com ]; then echo '# \\n'; echo 'groups: [two]'; fi")
    #expect(try await bench.entries() == ["Action:a"])
    write("echo 'classes: {a: {x: 1}, b: }'; echo 'parameters: {y: 2}'; echo 'environment: e'")
    #expect(try await bench.entries() == ["Action:a", "Action:b"])
    let data = try await bench.metadata()[connector: "PuppetENC"] as? PuppetENCData
    #expect(data?.parameters.map(\.name) == ["x", "y"])
    for (body, message) in [
      ("echo broken >&2; exit 2", "PuppetENC: Error running ENC enc for one.example.com: broken\n (rv: 2)"),
      ("exit 3", "PuppetENC: Error running ENC enc for one.example.com: No output or error; return value 3"),
      (
        "printf 'classes: [\\351]'", "Error decoding YAML from enc for one.example.com: it is not UTF-8"
      ),
      ("echo '[a'", "Error decoding YAML from enc for one.example.com: line 2: the text ends within a flow collection"),
      ("true", "'NoneType' object has no attribute 'get'"),
    ] {
      write(body)
      for plugin in bench.core.interfaces.caching { plugin.expireCache(key: nil) }
      let error = await #expect(throws: PluginExecutionError.self) { try await bench.metadata() }
      #expect(error?.description == message)
    }
  }
}

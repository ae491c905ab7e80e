import ClientChecks
import Repository
import Testing

private func check(_ xml: String, ignoring: [String] = [], bundles: [String] = ["b"], log: [String] = []) throws
  -> String?
{
  let document = try RepositoryXML.parse(Array(xml.utf8), path: "c.xml").root
  return ConfigurationCheck(ignoring: try IgnoredEntries(ignoring)) { $0.hasSuffix("excused") }
    .problem(document, client: "one", bundles: bundles, log: log)
}

private let failing = """
  <Configuration><Bundle name='b'><Path name='/etc/a' failure='no generator'/><Path name='/etc/b' failure='is excused'/>
  <Package name='p' type='unknown'/><Service name='s:1' failure='bad'/></Bundle></Configuration>
  """

@Test func whatIsWrongIsToldInOrder() throws {
  let line = String(repeating: "-", count: 70)
  let table: [(xml: String, ignored: [String], bundles: [String], problem: String?)] = [
    ("<error type='metadata error'/>", [], [], "said\n\(line)\none has no content"),
    (
      "<Configuration><Bundle name='b'/></Configuration>", [], ["b", "c", "d"],
      "said\n\(line)\nConfiguration is missing bundle(s): c:d"
    ),
    ("<Configuration><Independent name='b'/></Configuration>", [], ["b"], nil),
    (failing, [], ["b"], "Configuration contains unknown packages: p"),
    (
      failing, ["Package:*"], ["b"],
      "said\n\(line)\nFailures:\nPath:/etc/a: no generator\nService:s:1: bad"
    ),
    (failing, ["Package:p", "Path:/etc/[ab]"], ["b"], "said\n\(line)\nFailures:\nService:s:1: bad"),
    (failing, ["Package:p", "Path:*", "Service:s:1"], ["b"], nil),
  ]
  for (xml, ignored, bundles, problem) in table {
    #expect(try check(xml, ignoring: ignored, bundles: bundles, log: ["said"]) == problem, "\(xml) \(ignored)")
  }
  #expect(try check("<Configuration/>") == "one has no content")
  #expect(throws: IgnoredEntries.Problem.self) { _ = try IgnoredEntries(["Path"]) }
}

private let results = [
  ClientResult(client: "a", outcome: .ok, text: "", seconds: 0.0104),
  ClientResult(client: "b", outcome: .failure, text: "Failures:\nPath:/a: <\u{1}&\"", seconds: 1.9996),
  ClientResult(client: "c", outcome: .error, text: "no metadata", seconds: 0),
]

@Test func textIsThatOfNose() {
  let (thick, thin) = (String(repeating: "=", count: 70), String(repeating: "-", count: 70))
  let text = NoseText(isVerbose: false)
  #expect(results.map(text.progress) == [".", "F", "E"])
  #expect(
    text.summary(results, seconds: 2.01)
      == """

      \(thick)
      ERROR: Building configuration for c
      \(thin)
      no metadata

      \(thick)
      FAIL: Building configuration for b
      \(thin)
      AssertionError: Failures:
      Path:/a: <\u{1}&"

      \(thin)
      Ran 3 tests in 2.010s

      FAILED (failures=1, errors=1)

      """)
  #expect(text.summary([results[0]], seconds: 0) == "\n\(thin)\nRan 1 test in 0.000s\n\nOK\n")
  #expect(NoseText(isVerbose: true).progress(results[1]) == "Building configuration for b ... FAIL\n")
}

@Test func resultsAreGoodXML() throws {
  let document = JUnitXML.document(results)
  let root = try RepositoryXML.parse(Array(document.utf8), path: "junit.xml").root
  #expect(root.tag == "testsuite" && root["tests"] == "3" && root["errors"] == "1" && root["failures"] == "1")
  #expect(root.children.map { $0["name"] } == ["a", "b", "c"])
  #expect(root.children.map { $0["time"] } == ["0.010", "2.000", "0.000"])
  let failure = try #require(root.children[1].children.first)
  #expect(failure.tag == "failure" && failure["message"] == "Path:/a: <\u{FFFD}&\"")
  #expect(failure.text == "Failures:\nPath:/a: <\u{FFFD}&\"")
  #expect(root.children[2].children.first?.tag == "error")
}

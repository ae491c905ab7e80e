import Support
import Testing
import XMLRPC

@testable import Server

/// What clients send is bounded, and never expands.
@Suite struct ClientDocumentTests {
  @Test func statisticsMayHaveLargeAttributes() throws {
    let difference = String(repeating: "YmFzZTY0", count: 20_000)
    let others = (0..<30).map { " a\($0)=\"x\"" }.joined()
    let document = try ClientDocument.parse(
      "<upload-statistics><Path current_bdiff=\"\(difference)\"\(others)/></upload-statistics>")
    #expect(document.children[0]["current_bdiff"] == difference && document.children[0].attributes.count == 31)
  }

  @Test func outputOfAProbeIsNoPlaceForEntities() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>"
    #expect(ProbeData(text: bomb).xml == nil)
    #expect(ProbeData(text: "<a b=\"c\"><d/></a>").xml?["b"] == "c")
  }

  /// libxml2 takes no attribute over 10 MB: such an output made probed.xml unreadable for the next start.
  @Test func probedFileWithALargeOutputIsReadAgain() throws {
    let text = String(repeating: "0123456789abcde\n", count: 700_000)
    let report = ProbeReport(timestamp: "1", probes: [(name: "large", text: text)], groups: ["g"])
    var file = Array("<Probed>\n".utf8)
    report.append(to: &file, client: "c")
    file += "</Probed>\n".utf8
    let client = try #require(try ProbeStore.read(file).children.first)
    #expect(ProbeReport(client).body == report.body)
    #expect(ProbeDataSet(timestamp: "1", body: report.body)["large"]?.text == text)
  }
}

import Core
import CoreSupport
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

/// What clients send is bounded, and never expands.
@Suite struct ClientDocumentTests {
  @Test func statisticsMayHaveLargeAttributes() throws {
    let difference = String(repeating: "YmFzZTY0", count: 20_000)
    let others = (0..<30).map { " a\($0)=\"x\"" }.joined()
    let document = try ClientDocument.parse(
      "<upload-statistics><Path current_bdiff=\"\(difference)\"\(others)/></upload-statistics>")
    #expect(document.children[0]["current_bdiff"] == difference && document.children[0].attributes.count == 31)
  }

  @Test(arguments: [
    ("<!DOCTYPE a><a/>", "document type is not allowed"),
    ("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type is not allowed"),
    ("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "document type is not allowed"),
    ("<a>&b;</a>", "unknown entity"), ("<a b=\"&b;\"/>", "unknown entity"),
    (String(repeating: "<a>", count: 257) + String(repeating: "</a>", count: 257), "xmlDepth"),
    ("<a" + (0..<257).map { " a\($0)=\"\"" }.joined() + "/>", "xmlAttributeCount"),
    ("<" + String(repeating: "a", count: 257) + "/>", "xmlNameBytes"),
  ])
  func whatIsBeyondABoundOrExpandsIsRefusedByName(text: String, reason: String) {
    do throws(XMLError) {
      _ = try ClientDocument.parse(text)
      Issue.record("it was read")
    } catch {
      #expect("\(error)".contains(reason))
    }
  }

  @Test func documentsAtTheirBoundsAreRead() throws {
    let deep = String(repeating: "<a>", count: 256) + String(repeating: "</a>", count: 256)
    #expect(try ClientDocument.parse(deep).tag == "a")
    let wide = "<a" + (0..<256).map { " a\($0)=\"\"" }.joined() + "/>"
    #expect(try ClientDocument.parse(wide).attributes.count == 256)
  }

  @Test func outputOfAProbeIsNoPlaceForEntities() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>"
    #expect(ProbeData(text: bomb).xml == nil)
    #expect(ProbeData(text: "<a b=\"c\"><d/></a>").xml?["b"] == "c")
  }

  /// libxml2 takes no attribute over 10 MB: such an output made probed.xml unreadable for the next start.
  @Test func probedFileWithALargeOutputIsReadAgain() throws {
    let output = String(repeating: "0123456789abcdef", count: 640_000)
    let file =
      "<Probed><Client name=\"c\" timestamp=\"1\"><Probe name=\"large\" value=\"\(output)\"/></Client></Probed>"
    let client = try #require(try ProbedFile.parse(Array(file.utf8)).children.first)
    #expect(client.children[0]["value"]?.utf8.count == 10_240_000)
  }

  /// Found by the fuzzer: a name was split inside of such a namespace when it was written. lxml takes none that is no URI.
  @Test func namespaceWithABraceIsRefused() {
    let source = Array("<Bundle><a:Path xmlns:a=\"{}}\" a:b=\"c\"/></Bundle>".utf8)
    #expect(throws: XMLFileError.self) { _ = try RepositoryXML.parse(source, path: "a.xml") }
  }

  /// Each was compared with all before it: a body full of them held the loop for hours.
  @Test func groupsOfProbesAreBounded() async throws {
    let files = [
      "Metadata/clients.xml": "<Clients><Client name=\"c\" profile=\"p\" address=\"127.0.0.1\"/></Clients>",
      "Metadata/groups.xml": "<Groups><Group name=\"p\" profile=\"true\"/></Groups>",
      "Probes/a": "echo",
    ]
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Probes"]
    try await RepositoryFixture.run(files: files, settings: settings) { fixture in
      let long = String(repeating: "x", count: ProbedGroups.limitBytes + 1)
      let lines = (0..<5000).map { "group:g\($0)" }.joined(separator: "\n")
      let data = "<p><probe-data name=\"a\" source=\"Probes\">group:\(long)\n\(lines)</probe-data></p>"
      #expect(try await fixture.core.recvProbeData(Caller("c"), data) == .bool(true))
      let metadata = try await fixture.core.buildMetadata("c")
      let probed = metadata.groups.filter { $0.hasPrefix("g") }
      #expect(probed.count == 1000 && !metadata.groups.contains(long))
    }
  }
}

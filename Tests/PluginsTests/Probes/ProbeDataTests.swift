import Core
import CoreSupport
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

/// Outputs of probes are bounded, and never expand.
@Suite struct ProbeDataTests {
  @Test func outputOfAProbeIsNoPlaceForEntities() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>"
    #expect(ProbeData(text: bomb).xml == nil)
    #expect(ProbeData(text: "<a b=\"c\"><d/></a>").xml?["b"] == "c")
  }

  /// libxml2 refuses attributes over 10 MB: such an output made probed.xml unreadable at the next start.
  @Test func probedFileWithALargeOutputIsReadAgain() throws {
    let output = String(repeating: "0123456789abcdef", count: 640_000)
    let file =
      "<Probed><Client name=\"c\" timestamp=\"1\"><Probe name=\"large\" value=\"\(output)\"/></Client></Probed>"
    let client = try #require(try ProbedFile.parse(Array(file.utf8)).children.first)
    #expect(client.children[0]["value"]?.utf8.count == 10_240_000)
  }

  /// Each was compared with all earlier ones: a body full of them blocked the loop for hours.
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

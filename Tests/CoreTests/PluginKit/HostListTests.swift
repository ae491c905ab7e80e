import CoreSupport
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

/// Files and conditions for many hosts.
@Suite struct HostListTests {
  /// What tells a part from those of other hosts is one question for each list of hosts.
  @Test func manyHostsAreToldApartByFewQuestions() async throws {
    let hosts = 200
    func name(_ number: Int) -> ClientName { ClientName(unchecked: "h\(number).example.com") }
    var files = [
      "Metadata/clients.xml":
        "<Clients>\((0..<hosts).map { "<Client name='\(name($0))' profile='base'/>" }.joined())</Clients>",
      "Metadata/groups.xml": "<Groups><Group name='base' profile='true'><Bundle name='b'/></Group></Groups>",
      "Bundler/b.xml": "<Bundle><Path name='/t'/>"
        + (0..<hosts).map { "<Client name='\(name($0))'><BoundService name='s\($0)'/></Client>" }.joined()
        + "</Bundle>",
      "Cfg/t/t": "of all",
    ]
    // The last one has no file of its own.
    for host in 0..<(hosts - 1) { files["Cfg/t/t.H_\(name(host))"] = "of \(host)." }
    try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg")) {
      (fixture: RepositoryFixture) async throws in
      let core = fixture.core
      @MainActor func answer(_ host: Int) async throws -> String {
        fixture.monitor.processPending()
        return String(decoding: try await core.composeConfiguration(name(host)).document.bytes(), as: UTF8.self)
      }
      for host in 0..<hosts {
        let text = try await answer(host)
        #expect(text.contains(host == hosts - 1 ? "of all" : "of \(host).") && text.contains("\"s\(host)\""))
        #expect(text.split(separator: "Service ").count == 2)
      }
      #expect(core.answerCache.partCount == hosts && core.answerCache.heldBytes < hosts * 1500)
      fixture.edit("Cfg/t/t.H_\(name(5))", "edited")
      #expect(try await answer(5).contains("edited"))
      fixture.remove("Cfg/t/t.H_\(name(5))")
      fixture.edit("Cfg/t/t.H_\(name(hosts - 1))", "new")
      #expect(try await answer(5).contains("of all"))
      #expect(try await answer(hosts - 1).contains("new"))
      #expect(try await answer(6).contains("of 6."))
    }
  }
}

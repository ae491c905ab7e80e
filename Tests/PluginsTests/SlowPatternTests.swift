import CoreSupport
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins

@Suite struct SlowPatternTests {
  @Test func slowPatternsOfFilesAreNamedWithFileAndLine() async throws {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Defaults", "GroupPatterns", "Metadata"]
    let files = [
      "Metadata/groups.xml": "<Groups><Group name='base' profile='true' default='true'/></Groups>",
      "GroupPatterns/config.xml": """
      <GroupPatterns>
        <GroupPattern><NamePattern>(a+)+$</NamePattern><Group>slow</Group></GroupPattern>
        <GroupPattern><NamePattern>^one</NamePattern><Group>quick</Group></GroupPattern>
      </GroupPatterns>
      """,
      "Defaults/d.xml": "<Defaults>\n<Package name='(x+x+)+y' version='1'/>\n</Defaults>",
    ]
    try await RepositoryFixture.run(files: files, settings: settings) { (fixture: RepositoryFixture) async throws in
      let log = LogRecorder()
      let core = fixture.core
      let patterns = GroupPatternsFile(
        path: "\(fixture.repository.path)/GroupPatterns/config.xml", monitor: core.fileMonitor, logger: log.logger)
      patterns.watch()
      core.fileMonitor.processPending()
      #expect(log.take().map { $0.prefix { $0 != "(" } } == ["warning \(patterns.path):2: Regular expression '"])
      let name = String(repeating: "a", count: 40) + "!.example.com"
      #expect(patterns.groups(of: name) == [])
      #expect(
        log.take().first?.hasPrefix("warning \(patterns.path):2: Regular expression '(a+)+$' takes more") ?? false)
      #expect(patterns.groups(of: "one.example.com") == ["quick"])
    }
  }

  /// A client whose request has used up its steps gets less. Others get all.
  @Test func whatWasMadeWithoutStepsIsNotKept() async throws {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Defaults", "Metadata"]
    // The second alternative matches once the first was tried in all ways.
    let name = String(repeating: "a", count: 13) + "b"
    let files = RepositoryFixture.files(
      bundle: "<BoundPackage name='\(name)'/>",
      ["Defaults/d.xml": "<Defaults priority='1'><Package name='(a+)+c|a*b' version='7'/></Defaults>"])
    try await RepositoryFixture.run(files: files, settings: settings) { (fixture: RepositoryFixture) async throws in
      var limits = HTTPLimits()
      limits.requestRegexSteps = 0
      let first = try await RequestBudget.$current.withValue(RequestBudget(limits: limits, bodyBytes: 0)) {
        try await fixture.core.composeConfiguration("one.example.com").document
      }
      #expect(!String(decoding: first.bytes(), as: UTF8.self).contains("version=\"7"))
      for client in ["two.example.com", "one.example.com"] as [ClientName] {
        let other = try await fixture.core.composeConfiguration(client).document
        #expect(String(decoding: other.bytes(), as: UTF8.self).contains("version=\"7"))
      }
    }
  }
}

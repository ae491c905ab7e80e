import Core
import CoreSupport
import Repository
import ServerSettings
import Support
import Testing

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
}

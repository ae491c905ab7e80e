import Core
import CoreSupport
import Plugins
import Repository
import Support
import Testing

/// `.bcfg2-ignore` as plugins see it.
@Suite struct IgnoredFilesTests {
  @Test func filesVanishForTheirPlugins() async throws {
    var files = RepositoryFixture.files(bundle: "<Path name='/etc/motd'/>")
    files["Cfg/etc/motd/motd"] = "hello\n"
    files["Cfg/etc/motd/motd.H_one.example.com"] = "one\n"
    files["Cfg/etc/motd/motd.orig"] = "other\n"
    files[".bcfg2-ignore"] = "*.orig\n"
    try await RepositoryFixture.run(
      files: files, settings: RepositoryFixture.settings("Cfg"), monitor: .inotify, recordsPlugins: true
    ) {
      fixture async throws in
      @MainActor func text() async throws -> String? {
        fixture.monitor.processPending()
        return try await fixture.entry("/etc/motd")?.text
      }
      #expect(try await text() == "one\n")
      let generation = fixture.monitor.generation
      fixture.edit("Cfg/.bcfg2-ignore", "*.H_*\n")
      #expect(fixture.monitor.generation == generation + 1)
      #expect(try await text() == "hello\n")
      fixture.edit("Cfg/.bcfg2-ignore", "/etc/\n")
      #expect(try await fixture.entry("/etc/motd")?["failure"] != nil)
      // A bad line is told, the others hold.
      fixture.edit("Cfg/.bcfg2-ignore", "[\n/etc/motd/motd\n")
      #expect(try await text() == "one\n")
      #expect(
        fixture.monitorLog.has(
          "warning \(fixture.repository.file("Cfg/.bcfg2-ignore")):1: this line is left out: a set without its ]"))
      fixture.remove("Cfg/.bcfg2-ignore")
      #expect(try await text() == "one\n")
      // Included files count as missing.
      fixture.edit("Metadata/more.xml", "<Groups><Group name='web'><Group name='more'/></Group></Groups>")
      fixture.edit(
        "Metadata/groups.xml",
        """
        <Groups xmlns:xi="http://www.w3.org/2001/XInclude"><Group name="base" profile="true"><Bundle name="entries"/>
        <Group name="web"/></Group><Group name="other" profile="true"/><xi:include href="more.xml"/></Groups>
        """)
      #expect(try await fixture.metadata().groups.contains("more"))
      fixture.edit("Metadata/.bcfg2-ignore", "more.xml\n")
      #expect(try await fixture.metadata().groups.contains("more") == false)
      fixture.remove("Metadata/.bcfg2-ignore")
      #expect(try await fixture.metadata().groups.contains("more"))
      // Where a bundle is gone, the reason is told.
      fixture.edit("Bundler/.bcfg2-ignore", "entries.xml\n")
      fixture.monitor.processPending()
      #expect(try await fixture.entry("/etc/motd") == nil)
      #expect(
        fixture.log.lines.contains {
          $0.hasSuffix(
            "Bundler: Bundle entries does not exist: a .bcfg2-ignore hides \(fixture.repository.file("Bundler/entries.xml"))"
          )
        }, "\(fixture.log.lines)")
    }
  }
}

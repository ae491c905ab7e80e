import CoreSupport
import Support
import Testing

@testable import Info

/// Modes for the plugin Packages.
@Suite struct PackageTests {
  private static let sources = """
    <Sources>
      <Source type="apt" url="http://mirror.example.com/debian" version="sid">
        <Component>main</Component><Arch>amd64</Arch><Arch>i386</Arch><Blacklist>bad</Blacklist>
      </Source>
      <Group name="web">
        <Source type="apt" rawurl="http://mirror.example.com/own/"><Arch>amd64</Arch><GPGKey>http://k/k</GPGKey></Source>
      </Group>
    </Sources>
    """

  private func with(_ body: @escaping (InfoFixture) async throws -> Void) async throws {
    var files = InfoFixture.files
    files["Packages/sources.xml"] = Self.sources
    files["Metadata/groups.xml"] = """
      <Groups>
        <Group name="base" profile="true"><Bundle name="entries"/><Group name="web"/><Group name="amd64"/></Group>
        <Group name="other" profile="true"><Bundle name="entries"/></Group>
      </Groups>
      """
    try await InfoFixture.with(files: files, settings: RepositoryFixture.settings("Cfg", "Packages"), body)
  }

  @Test func repositoriesOfClients() async throws {
    try await with { info async throws in
      let text = try await info.out("packagesources one.example.com")
      #expect(
        text.hasPrefix(
          """
          Name: main
            Type: deb
            URL: http://mirror.example.com/debian/sid/main/amd64/
            GPG Key(s): None
            Blacklist: bad

          Name: 
          """))
      #expect(
        text.hasSuffix(
          "\n  Type: deb\n  RAWURL: http://mirror.example.com/own/\n  GPG Key(s): http://k/k\n\n"))
      #expect(!text.contains("i386"))
      #expect(try await info.out("packagesources two.example.com") == "\n")
      #expect(try await info.out("packagesources one.example.com --json").contains(#""blacklist" : ["#))
    }
  }

  @Test func packagesThatAreNeededBesides() async throws {
    try await with { info async throws in
      #expect(try await info.out("packageresolve one.example.com a b").hasPrefix("0 new packages added\n"))
    }
    try await InfoFixture.with { info async throws in
      await #expect(throws: InfoProblem.self) { try await info.run("packageresolve one.example.com") }
      await #expect(throws: InfoProblem.self) { try await info.run("packagesources one.example.com") }
    }
  }
}

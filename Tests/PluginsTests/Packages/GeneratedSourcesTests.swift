import PackageSources
import ServerSettings
import Testing

@testable import Plugins

@Suite struct GeneratedSourcesTests {
  private static func member(
    _ kind: SourceKind, groups: [String] = [], arches: [String] = ["x86_64"], _ change: (inout PackageSource) -> Void
  ) -> ClientSources.Member {
    var source = PackageSource(kind: kind)
    source.arches = ["x86_64"]
    change(&source)
    return ClientSources.Member(source: source, groups: groups, arches: arches)
  }

  private static func list(_ compatibility: Compatibility, _ members: [ClientSources.Member]) -> String? {
    GeneratedSources.text(members, members.first?.source.kind, compatibility)
  }

  @Test func aptHasALineForEachSource() {
    let members = [
      Self.member(.apt) {
        $0.url = "http://d/"
        $0.version = "sid"
        $0.components = ["main", "contrib"]
        $0.hasDebSource = true
      },
      Self.member(.apt) { $0.rawURL = "http://d/raw/deep/" },
    ]
    let head = "# This config was generated automatically by the Bcfg2 Packages plugin\n\n"
    let first = "deb http://d/ sid main contrib\ndeb-src http://d/ sid main contrib\n"
    #expect(Self.list(.v1_4, members) == head + first + "\ndeb http://d/raw deep/\n")
    #expect(Self.list(.v1_3, members) == head + first)
    #expect(Self.list(.v1_4, []) == nil)
    #expect(GeneratedSources.text(members, .pac, .v1_4) == nil)
  }

  @Test func yumHasASectionForEachRepositoryOfTheClient() {
    let member = Self.member(.yum, arches: ["i386"]) {
      $0.url = "http://y/"
      $0.version = "9"
      $0.components = ["os"]
      $0.arches = ["x86_64", "i386"]
      $0.gpgKeys = ["http://k/a", "http://k/b"]
      $0.blacklist = ["x", "y"]
      $0.whitelist = ["z"]
      $0.clientOptions = [("Proxy", "http://p\nhttp://q"), ("enabled", "0")]
    }
    #expect(
      Self.list(.v1_4, [member]) == """
        # This config was generated automatically by the Bcfg2 Packages plugin

        [os]
        name = os
        baseurl = http://y/9/os/i386/
        enabled = 0
        gpgcheck = 1
        gpgkey = http://k/a http://k/b
        exclude = x y
        includepkgs = z
        proxy = http://p
        \thttp://q


        """)
  }

  /// Names of repositories: address, group, and the result with 1.4 and 1.3.4.
  @Test(
    arguments: [
      ("http://y/RPMS.extra/", [], "extra"), ("http://y/RPMS./", [], "RPMS."),
      ("http://y/a/last/", ["centos"], "centos-last"),
      ("http://y/pulp/repos/RPMS.x/", [], "RPMS.x"), ("http://y/odd+chars é/", [], "odd-chars--"),
      ("x//", ["in", "out"], "in"), ("x//", [], "x--"),
    ] as [(String, [String], String)])
  func repositoriesHaveNames(_ row: (url: String, groups: [String], name: String)) {
    let member = Self.member(.yum, groups: row.groups) { $0.rawURL = row.url }
    let name = GeneratedSources.repositoryName(member.source, member.groups, member.source.parts[0])
    #expect(name == row.name)
  }

  @Test func equalNamesAreNumbered() {
    let member = Self.member(.yum) { $0.rawURL = "http://y/centos-7/" }
    let plain = Self.member(.yum) { $0.rawURL = "http://y/os/" }
    func names(_ compatibility: Compatibility) -> [Substring]? {
      Self.list(compatibility, [member, member, member, plain, plain, plain])?.split(separator: "\n")
        .filter { $0.hasPrefix("[") }
    }
    #expect(names(.v1_4) == ["[centos-7]", "[centos-7-2]", "[centos-7-3]", "[os]", "[os-2]", "[os-3]"])
    #expect(names(.v1_3) == ["[centos-7]", "[centos-7-8]", "[centos-7-9]", "[os]", "[os-1]", "[os-2]"])
  }

  @Test func aSourceHasItsOwnName() {
    let member = Self.member(.yum) {
      $0.rawURL = "http://y/os/"
      $0.name = "my repo"
    }
    #expect(Self.list(.v1_4, [member])?.contains("[my repo]\nname = my repo\n") == true)
  }
}

import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-packages` as cron and the server run it.
@Suite(.serialized) struct PackagesToolTests {
  private static let program = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-packages"

  /// A repository with a source in a folder, and its bcfg2.conf.
  private struct Site {
    let folder = TemporaryDirectory()

    init(_ options: String = "", plugins: String = "Packages") {
      folder.write(
        "Package: app\nVersion: 1\nArchitecture: amd64\nDepends: lib\n\nPackage: lib\nVersion: 1\n", to: "flat/Packages"
      )
      folder.write(
        """
        <Sources><Group name="debian">
        <Source type="apt" rawurl="file://\(folder.file("flat"))/"><Arch>amd64</Arch></Source>
        </Group></Sources>
        """, to: "repo/Packages/sources.xml")
      folder.write(
        "[server]\nrepository = \(folder.file("repo"))\nplugins = \(plugins)\n[communication]\npassword = x\n[packages]\n\(options)\n",
        to: "bcfg2.conf")
    }

    func run(
      _ arguments: [String], isConfigured: Bool = true
    ) async throws -> (status: ChildProcess.ExitStatus, out: [String], error: String) {
      let configuration = isConfigured ? ["-C", folder.file("bcfg2.conf")] : []
      return try await start([PackagesToolTests.program] + arguments + configuration)
    }

    func pack() async throws {
      let result = try await start(["gzip", "-k", folder.file("flat/Packages")])
      #expect(result.status == .exited(0))
    }

    private func start(_ command: [String]) async throws -> (
      status: ChildProcess.ExitStatus, out: [String], error: String
    ) {
      try await LoopDriver.withLoop { loop in
        let result = try await ChildProcess.run(
          command, input: [], timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
        return (
          result.status,
          String(decoding: result.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init),
          String(decoding: result.standardError, as: UTF8.self)
        )
      }
    }
  }

  @Test func theReportHasALineForEachEvent() async throws {
    let site = Site()
    try await site.pack()
    let first = try await site.run(["refresh", "--report"])
    #expect(first.status == .exited(0), "\(first)")
    let fields = first.out.map { $0.split(separator: "\t").map(String.init) }
    let source = try #require(fields.first { $0.first == "source" })
    #expect(source.count == 4 && source[2] == "ok" && source[3].hasPrefix("2 packages, fetched "))
    #expect(source[1].hasPrefix("apt-") && source[1].hasSuffix(".index"))
    #expect(fields.contains { $0.prefix(2) == ["log", "info"] && $0[2].hasPrefix("Packages: Updating file:///") })
    #expect(fields.allSatisfy { ["log", "source"].contains($0[0]) }, "\(first.out)")
    #expect(site.folder.names(in: "repo/Packages/cache/indexes").contains(source[1]))
    // What is there is left alone.
    let missing = try await site.run(["refresh", "--report", "--missing"])
    #expect(missing.status == .exited(0) && missing.out.isEmpty, "\(missing)")
  }

  @Test func aFailingSourceHasStatusOneAndIsShown() async throws {
    let site = Site()
    let result = try await site.run(["refresh"])
    #expect(result.status == .exited(1))
    #expect(result.out.count == 1 && result.out[0].contains("failed: Failed to fetch url file://"), "\(result)")
    let quiet = try await site.run(["refresh", "--quiet"])
    #expect(quiet.status == .exited(1) && quiet.out.isEmpty)
    #expect(quiet.error.contains("Packages: Failed to load data for AptSource at file://"), "\(quiet)")
    #expect(quiet.error.contains("Some Packages will be missing"))
    let status = try await site.run(["status"])
    #expect(status.status == .exited(1))
    #expect(
      status.out.contains("  no index") && status.out.contains { $0.contains("Failed to fetch url") }, "\(status)")
  }

  @Test(arguments: [["refresh", "--help"], ["help", "refresh"]])
  func eachSubcommandHasItsOwnHelp(arguments: [String]) async throws {
    let result = try await Site().run(arguments, isConfigured: false)
    #expect(result.status == .exited(0) && result.out.contains { $0.contains("--missing") }, "\(result)")
  }

  @Test func theStatusShowsWhatIsThere() async throws {
    let site = Site()
    try await site.pack()
    _ = try await site.run(["refresh", "--quiet"])
    let status = try await site.run(["status"])
    #expect(status.status == .exited(0), "\(status)")
    #expect(status.out.first == "apt file://\(site.folder.file("flat"))/ (amd64)")
    #expect(status.out.contains { $0.hasPrefix("  2 packages, indexed ") })
  }

  @Test func clientsAreComparedUnderBothSolvers() async throws {
    let site = Site(plugins: "Bundler,Metadata,Packages")
    site.folder.write(
      """
      Package: app
      Version: 1
      Depends: liba | libb

      Package: liba
      Version: 1

      Package: libb
      Version: 1

      """, to: "flat/Packages")
    try await site.pack()
    site.folder.write(
      """
      <Groups><Group name="debian" profile="true" public="true"><Group name="amd64"/><Bundle name="b"/></Group>
      <Group name="plain" profile="true" public="true"/></Groups>
      """, to: "repo/Metadata/groups.xml")
    site.folder.write(
      #"<Clients><Client name="one" profile="debian"/><Client name="two" profile="plain"/></Clients>"#,
      to: "repo/Metadata/clients.xml")
    site.folder.write(#"<Bundle><Package name="app"/></Bundle>"#, to: "repo/Bundler/b.xml")
    _ = try await site.run(["refresh", "--quiet"])
    let all = try await site.run(["compare"])
    #expect(all.status == .exited(1), "\(all)")
    // Bcfg2 takes an alternative of which nothing is chosen as satisfied.
    #expect(all.out == ["one: 1 more, 0 fewer", "  + liba", "two: the same"], "\(all)")
    let same = try await site.run(["compare", "two"])
    #expect(same.status == .exited(0) && same.out == ["two: the same"], "\(same)")
    let json = try await site.run(["compare", "--json", "one"])
    #expect(json.out.count == 1 && json.out[0].hasPrefix(#"{"host":"one","added":["liba"],"removed":[]"#), "\(json)")
    let stranger = try await site.run(["compare", "three"])
    #expect(stranger.status == .exited(2) && stranger.error.contains("there is no client three"), "\(stranger)")
  }

  @Test func signaturesAreRequiredByTheOption() async throws {
    let site = Site("verify = required")
    try await site.pack()
    let result = try await site.run(["refresh", "--quiet"])
    #expect(result.status == .exited(1))
    #expect(result.error.contains("[packages] verify is required"), "\(result)")
  }

  @Test func withoutMetadataNothingIsFetched() async throws {
    let site = Site("metadata = disabled")
    try await site.pack()
    let result = try await site.run(["refresh"])
    #expect(result.status == .exited(0) && result.out == ["nothing to do"], "\(result)")
  }

  @Test(arguments: [["refresh", "--nonsense"], ["nonsense"]])
  func aWrongCommandLineHasStatusTwo(_ arguments: [String]) async throws {
    let result = try await Site().run(arguments)
    #expect(result.status == .exited(2) && !result.error.isEmpty, "\(result)")
  }

  @Test func aConfigurationThatCannotBeUsedHasStatusTwo() async throws {
    let site = Site("verify = perhaps")
    let result = try await site.run(["refresh"])
    #expect(result.status == .exited(2) && result.error.contains("verify"), "\(result)")
    let broken = Site()
    broken.folder.write("<Sources>", to: "repo/Packages/sources.xml")
    let other = try await broken.run(["refresh"])
    #expect(other.status == .exited(2) && other.error.contains("sources.xml"), "\(other)")
  }
}

import Databases
import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-reports` on databases that Bcfg2 itself filled.
@Suite(.serialized) struct ReportsToolTests {
  /// A copy of a conformance case's database and its bcfg2.conf.
  struct Site {
    let folder = TemporaryDirectory()

    /// - Parameter case: the case whose database it is.
    init(_ name: String = "reporting-old-reports") throws {
      let original = "\(Project.root)/Tests/Conformance/cases/\(name)/repo/etc/old.sqlite"
      folder.write(try RegularFile.read(original, limitBytes: 1 << 24), to: "reports.sqlite")
      folder.write("", to: "repo/Metadata/groups.xml")
      folder.write(
        """
        [server]
        repository = \(folder.file("repo"))
        plugins = Metadata
        [communication]
        password = x
        [database]
        name = \(folder.file("reports.sqlite"))

        """, to: "bcfg2.conf")
    }

    /// Runs a command that lies beside the server.
    func run(
      _ program: String = "bcfg2-reports", _ arguments: [String]
    ) async throws -> (status: ChildProcess.ExitStatus, out: String, error: String) {
      let path = String(Project.server.dropLast("bcfg2-server".count)) + program
      return try await LoopDriver.withLoop { loop in
        let result = try await ChildProcess.run(
          ["/usr/bin/env", "BCFG2_CONFIG_FILE=\(folder.file("bcfg2.conf"))", path] + arguments, input: [],
          timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
        return (
          result.status, String(decoding: result.standardOutput, as: UTF8.self),
          String(decoding: result.standardError, as: UTF8.self)
        )
      }
    }
  }

  /// Commands of 1.3 and what they print; the same of the real bcfg2-reports 1.3.4.
  @Test(arguments: [
    (["-a"], 0, "one.example.com    2014-05-20 06:30:00  dirty\ntwo.example.com    2014-05-20 06:30:00  dirty\n"),
    (["-d", "--fields=bad,name"], 0, "0    one.example.com  \n3    two.example.com  \n"),
    (["-c"], 0, "No match found\n"),
    (["-s", "two.example.com"], 0, "Package:p1 bad\nPath:/o/f2 bad\nService:s2 bad\n"),
    (["-me", "three.example.com"], 0, "Package:x3 extra\n"),
    (["-t", "one.example.com"], 0, "Total managed entries: 20 (good: 12)\n"),
    (["-t", "nobody"], 2, "No such host: nobody\n"), (["-x", "one.example.com"], 0, "Host expired.\n"),
    (["--entrystatus", "Package:p2"], 0, "one.example.com  2014-05-20 06:30:00  Modified   \n"),
    (["--entrystatus", "Bogus:p2"], 2, "Unhandled/unknown type Bogus\n"),
    (["--badentry", "Package:p1"], 0, "two.example.com  2014-05-20 06:30:00  dirty\n"), (["-a", "-c"], 2, ""),
    (["-s"], 2, ""),
    (["--badentry"], 2, ""), (["--badentry", "p1"], 2, ""), (["--badentry", "--file", "/nonexistent"], 2, ""),
  ])
  func optionsOf13ChooseTheMode(_ arguments: [String], _ status: Int32, _ expected: String) async throws {
    let site = try Site("reporting-old-server-134")
    let result = try await site.run("bcfg2-reports", arguments)
    #expect(result.status == .exited(status), "\(result)")
    var lines = result.out.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    if lines.first?.contains("Name") == true { lines.removeFirst() }
    // The column of `show` is 70 wide.
    let text = lines.map { $0.count > 70 ? squeezed($0) : $0 }.joined(separator: "\n")
    #expect(text == expected)
  }

  private func squeezed(_ line: String) -> String { line.split(separator: " ").joined(separator: " ") }

  @Test func textOfClientsIsOneVisibleLine() async throws {
    let site = try Site("reporting-old-server-134")
    let database = try Databases.open(DatabaseSettings(engine: .sqlite, name: site.folder.file("reports.sqlite")))
    try database.change(
      #"UPDATE "Reporting_packageentry" SET "name" = ? WHERE "name" = 'p1'"#, [.text("p\u{9b}31m\nPackage:q\u{202e}")])
    let result = try await site.run("bcfg2-reports", ["-s", "two.example.com"])
    #expect(
      squeezed(String(result.out.split(separator: "\n")[0])) == #"Package:p\u{9b}31m\nPackage:q\u{202e} bad"#,
      "\(result)")
  }

  @Test(arguments: ["bcfg2-reports", "bcfg2-admin"])
  func theHelpExplainsTheOptionsBeforeTheSubcommand(_ program: String) async throws {
    let help = try await Site().run(program, ["--help"])
    #expect(help.status == .exited(0))
    for option in ["-C, --config <path>", "-Q, --repository <path>", "-W, ", "-E, ", "-d, ", "-v, ", "-o, "] {
      #expect(help.out.contains("\n  \(option)"), "\(option)")
    }
    // Only bcfg2-admin asks a server.
    #expect(help.out.contains("\n  -x, --password") == (program == "bcfg2-admin"))
  }

  @Test func mistakesInTheFileAndItsLineAreTold() async throws {
    let site = try Site()
    let path = site.folder.file("bcfg2.conf")
    site.folder.write(try site.folder.text("bcfg2.conf") + "reporting_nmae = x\n", to: "bcfg2.conf")
    let result = try await site.run("bcfg2-reports", ["clients"])
    #expect(result.status == .exited(0))
    #expect(result.error.contains("\(path):8: ") && result.error.contains("reporting_nmae"), "\(result)")
    #expect(unlink(site.folder.file("reports.sqlite")) == 0)
    let away = try await site.run("bcfg2-reports", ["clients"])
    #expect(away.error.contains("initreports (\(path), line 7)"), "\(away)")
  }

  @Test func optionsStandBeforeAndAfterTheSubcommand() async throws {
    let site = try Site()
    let other = try Site("reporting-old-server-134")
    _ = try await site.run("bcfg2-reports", ["expire", "one.example.com"])
    let (one, two) = (site.folder.file("bcfg2.conf"), other.folder.file("bcfg2.conf"))
    for arguments in [
      ["-C", two, "clients"], ["clients", "-C", two], ["-C", one, "clients", "-C", two],
      ["--config=\(two)", "-d", "clients"],
      ["-C\(two)", "-x", "secret", "clients", "-d"],
    ] {
      let result = try await site.run("bcfg2-reports", arguments)
      #expect(result.out.contains("one.example.com"), "\(arguments) \(result)")
    }
    #expect(try await !site.run("bcfg2-reports", ["clients"]).out.contains("one.example.com"))
  }

  @Test func jsonHasTheSameClients() async throws {
    let site = try Site()
    let clients = try await site.run("bcfg2-reports", ["clients", "--json"])
    #expect(clients.status == .exited(0))
    #expect(clients.out.contains("\"name\" : \"two.example.com\"") && !clients.out.contains("three.example.com"))
    let show = try await site.run("bcfg2-reports", ["show", "--json", "two.example.com"])
    #expect(show.out.contains("\"name\" : \"/o/f2\"") && show.out.contains("\"failures\" : ["))
    let unknown = try await site.run("bcfg2-reports", ["total", "--json", "nobody"])
    #expect(unknown.status == .exited(2) && unknown.out.contains("\"error\" : \"No such host: nobody\""))
    let old = try await site.run("bcfg2-reports", ["--stale", "--json"])
    #expect(old.out.contains("\"stale\" : true"))
  }

  @Test func reportsOfAnEarlierTime() async throws {
    let site = try Site()
    let result = try await site.run("bcfg2-reports", ["clients", "--at", "2014-05-14", "--fields", "name,time,stale"])
    #expect(result.out.contains("one.example.com    2014-05-13 18:00:00  False"), "\(result)")
    let wrong = try await site.run("bcfg2-reports", ["clients", "--at", "yesterday"])
    #expect(wrong.status == .exited(2) && wrong.error.contains("--at: no time: yesterday"))
  }

  @Test func entriesAreReadFromAFile() async throws {
    let site = try Site()
    site.folder.write("Package:p1\n\n  Service:s2 \n", to: "names")
    let result = try await site.run("bcfg2-reports", ["entries", "--badentry", "--file", site.folder.file("names")])
    #expect(result.out.split(separator: "\n").count == 3, "\(result)")
  }

  @Test func entriesOfNoStateAreNone() async throws {
    let site = try Site()
    let result = try await site.run("bcfg2-reports", ["entries", "Package:p1"])
    #expect(result.status == .exited(0) && result.out == "No match found\n", "\(result)")
    #expect(result.error.contains("without --badentry"))
    #expect(try await site.run("bcfg2-reports", ["entries", "--badentry", "Package:p1"]).error.isEmpty)
  }

  @Test func aFullDiskIsSaid() async throws {
    let site = try Site()
    let program = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-reports"
    let result = try await LoopDriver.withLoop { loop in
      try await ChildProcess.run(
        ["/bin/sh", "-c", "exec \"$0\" -C \"$1\" clients > /dev/full", program, site.folder.file("bcfg2.conf")],
        input: [],
        timeout: .seconds(60), outputLimitBytes: 1 << 16, on: loop)
    }
    #expect(result.status == .exited(1))
    #expect(String(decoding: result.standardError, as: UTF8.self) == "standard output: No space left on device\n")
  }

  @Test func aMissingDatabaseIsOneLine() async throws {
    let site = try Site()
    unlink(site.folder.file("reports.sqlite"))
    let result = try await site.run("bcfg2-reports", ["clients"])
    #expect(result.status == .exited(1) && result.out.isEmpty)
    #expect(result.error.hasPrefix("bcfg2-reports: \(site.folder.file("reports.sqlite")): "), "\(result)")
    #expect(result.error.split(separator: "\n").count == 1)
  }

  /// The collector stores microseconds, for which the column has no room.
  @Test func timesAreToTheSecond() async throws {
    let site = try Site()
    let place = DatabaseSettings(engine: .sqlite, name: site.folder.file("reports.sqlite"))
    try Databases.open(place).change(
      #"UPDATE "Reporting_interaction" SET "timestamp" = "timestamp" || '.123456' WHERE "id" IN (SELECT "current_interaction_id" FROM "Reporting_client")"#
    )
    let lines = try await site.run("bcfg2-reports", ["clients"]).out.split(separator: "\n")
    #expect(lines.count > 1)
    #expect(lines.dropFirst().allSatisfy { $0.hasSuffix("2014-05-20 06:30:00  dirty") }, "\(lines)")
    #expect(try await site.run("bcfg2-reports", ["--json", "-a"]).out.contains("2014-05-20 06:30:00.123456"))
  }

  /// The page's sessions are what the commands print, in the order of the page.
  @Test func sessionsOfThePageAreReal() async throws {
    let site = try Site()
    var count = 0
    for block in try Project.text("docs/reports.md").split(separator: "```console\n").dropFirst() {
      for session in "\n\(block.split(separator: "```")[0])".split(separator: "\n$ ") {
        let lines = session.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let words = lines[0].split(separator: " ").map(String.init)
        let result = try await site.run(words[0], Array(words.dropFirst()))
        // An editor takes blanks at the ends of lines away.
        let expected = trimmed(lines.count > 1 ? lines[1] : "")
        #expect(trimmed(result.out) == expected, "\(lines[0])")
        count += 1
      }
    }
    #expect(count > 8)
  }

  private func trimmed(_ text: String) -> [String] {
    text.split(separator: "\n").map { String($0.reversed().drop { $0 == " " }.reversed()) }
  }
}

import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-admin`'s modes for entries that clients have, with the database of a Python server, and its graph of groups.
@Suite(.serialized) struct AdminEntriesTests {
  private let site: CommandSite
  private var folder: TemporaryDirectory { site.folder }

  init() throws {
    let clients = ["two", "three"].map { "<Client name=\"\($0).example.com\" profile=\"basic\"/>" }.joined()
    site = CommandSite(
      plugins: "Cfg,Metadata,Reporting",
      [
        "Metadata/groups.xml": """
        <Groups><Group name="basic" profile="true" public="true" default="true"><Bundle name="b"/></Group></Groups>
        """,
        "Metadata/clients.xml": "<Clients>\(clients)</Clients>", "Cfg/o/f2/f2": "old\n",
      ], configuration: "[database]\nname = REPORTS")
    let original = "\(Project.root)/Tests/Conformance/cases/reporting-old-reports/repo/etc/old.sqlite"
    folder.write(try RegularFile.read(original, limitBytes: 1 << 24), to: "reports.sqlite")
    let conf = try folder.text("bcfg2.conf").replacing("REPORTS", with: folder.file("reports.sqlite"))
    folder.write(conf, to: "bcfg2.conf")
  }

  private func admin(_ arguments: [String], input: String = "") async throws -> CommandSite.Outcome {
    try await site.run("bcfg2-admin", arguments, input: input)
  }

  private func contents(_ name: String) throws -> String {
    String(decoding: try RegularFile.read(folder.file(name), limitBytes: 1 << 20), as: UTF8.self)
  }

  @Test func entriesThatAConfigurationLacksAreListed() async throws {
    let found = try await admin(["minestruct", "-g", "a:b", "three.example.com"])
    #expect(found.status == .exited(0), "\(found)")
    #expect(
      found.out.replacing(/\s*\n\s*/, with: "")
        == "<Base><Group name=\"a\"><Group name=\"b\"><Package name=\"x3\"/></Group></Group></Base>", "\(found)")
    let none = try await admin(["minestruct", "-f", folder.file("none.xml"), "two.example.com"])
    #expect(none.status == .exited(0) && none.out.isEmpty, "\(none)")
    #expect(try contents("none.xml") == "<Base/>\n")
    #expect(try await admin(["minestruct", "nobody.example.com"]).status == .exited(1))
  }

  @Test func aClientsFileIsTakenOver() async throws {
    let pulled = try await admin(["pull", "two.example.com", "Path", "/o/f2"])
    #expect(pulled.status == .exited(0) && pulled.out.isEmpty, "\(pulled)")
    #expect(try contents("repo/Cfg/o/f2/f2") == "old\nsame")
    #expect(try contents("repo/Cfg/o/f2/info.xml").contains("owner=\"bob\""))
  }

  @Test func theVariantIsChosen() async throws {
    let pulled = try await admin(["pull", "-I", "two.example.com", "Path", "/o/f2"], input: "n\ny\n")
    #expect(pulled.status == .exited(0) && pulled.out.contains(" => global entry\nUse this entry? [yN]: "), "\(pulled)")
    #expect(try contents("repo/Cfg/o/f2/f2") == "old\n")
    #expect(try contents("repo/Cfg/o/f2/f2.H_two.example.com") == "old\nsame")
    let declined = try await admin(["pull", "-I", "two.example.com", "Path", "/o/f2"], input: "\n\n")
    #expect(declined.status == .exited(0) && declined.error.contains("nothing was stored"), "\(declined)")
  }

  @Test func linesOfStandardInputAreForThemselves() async throws {
    let pulled = try await admin(
      ["pull", "-s"], input: "two.example.com Path /nosuch\nbad\ntwo.example.com Path /o/f2\n")
    #expect(pulled.status == .exited(1), "\(pulled)")
    #expect(pulled.out.contains("  for two.example.com Path /nosuch\nBad entry: bad\n"), "\(pulled)")
    #expect(try contents("repo/Cfg/o/f2/f2") == "old\nsame")
  }

  @Test func groupsAreDrawn() async throws {
    let text = try await admin(["viz", "-b"])
    #expect(text.status == .exited(0) && text.out.hasPrefix("digraph groups {\n") && text.out.hasSuffix("}\n"))
    #expect(text.out.contains("\t\"group-basic\" -> \"bundle-b\";\n"))
    #expect(try await admin(["viz", "-b", "-o", folder.file("g.dot")]).out.isEmpty)
    #expect(try contents("g.dot") == text.out)
    let other = try await admin(["viz", "-c", "two.example.com", "-H"])
    #expect(other.out.contains("label=\"two.example.com\"") && !other.out.contains("three"), "\(other)")
    #expect(try await admin(["viz", "-c", "nobody.example.com"]).status == .exited(1))
  }

  nonisolated static let isGraphvizThere = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":")
    .contains {
      access("\($0)/dot", X_OK) == 0
    }

  @Test(.enabled(if: isGraphvizThere), arguments: [("svg", "<?xml "), ("png", "\u{89}PNG"), ("pdf", "%PDF-")])
  func picturesAreDrawn(_ format: String, _ start: String) async throws {
    let result = try await admin(["viz", "-Hbk", "-o", folder.file("g.\(format)")])
    #expect(result.status == .exited(0) && result.out.isEmpty && result.error.isEmpty, "\(result)")
    let bytes = try RegularFile.read(folder.file("g.\(format)"), limitBytes: 1 << 24)
    #expect(bytes.starts(with: start.unicodeScalars.map { UInt8($0.value) }), "\(bytes.prefix(16))")
    guard format == "svg" else { return }
    let printed = try await admin(["viz", "-Hbk", "--svg"])
    #expect(Array(printed.out.utf8) == bytes && printed.out.contains("two.example.com"), "\(printed)")
    let wrong = try await admin(["viz", "-o", folder.file("g.nosuch")])
    #expect(wrong.status == .exited(1) && wrong.out.contains("\"nosuch\" not recognized"), "\(wrong)")
    let both = try await admin(["viz", "--svg", "-o", folder.file("g.png")])
    #expect(both.status == .exited(2) && both.error.contains("name two formats"), "\(both)")
  }

  @Test func reasonsAreSaidOnce() async throws {
    let deleted = try await admin(["client", "del", "nosuch"])
    #expect(deleted.out == "Error deleting client nosuch: Client \"nosuch\" does not exist\n", "\(deleted)")
    #expect(deleted.status == .exited(1) && deleted.error.isEmpty, "\(deleted)")
  }

  @Test(arguments: ["add", "up"]) func profilesAreThoseThatAreThere(_ word: String) async throws {
    let before = try contents("repo/Metadata/clients.xml")
    let host = word == "add" ? "new.example.com" : "two.example.com"
    let refused = try await admin(["client", word, host, "profile=nosuch"])
    #expect(refused.status == .exited(1), "\(refused)")
    #expect(refused.out.hasSuffix("nosuch is not a profile group of groups.xml; --force takes it all the same\n"))
    #expect(try contents("repo/Metadata/clients.xml") == before)
    let forced = try await admin(["client", word, host, "profile=nosuch", "--force"])
    #expect(forced.status == .exited(0) && forced.error.contains("nosuch is not a profile group"), "\(forced)")
    #expect(try contents("repo/Metadata/clients.xml").contains("profile=\"nosuch\""))
  }

  @Test(arguments: [
    ["compare", "--json", "/nosuch", "/"], ["compare", "--json", "/", "/etc/passwd"], ["client", "nosuch", "--json"],
    ["perf", "--json", "-S", "https://127.0.0.1:1"], ["xcmd", "--json", "x", "-S", "https://127.0.0.1:1"],
    ["minestruct", "--json", "nobody"],
  ])
  func standardOutputHasNothingButJSON(_ arguments: [String]) async throws {
    let result = try await admin(arguments)
    #expect(result.status == .exited(1) && result.out.isEmpty && result.error.hasPrefix("bcfg2-admin: "), "\(result)")
  }

  @Test(arguments: [["/nosuch", "repo"], ["repo", "/nosuch"], ["/nosuch", "bcfg2.conf"]])
  func whatIsMissingInAComparisonIsNamed(_ names: [String]) async throws {
    let result = try await admin(["compare"] + names.map { $0.hasPrefix("/") ? $0 : folder.file($0) })
    #expect(result.status == .exited(1))
    #expect(result.out == "Failed to read /nosuch: No such file or directory\n", "\(result)")
  }

  /// A message of a wrong command line is kept by terminals and by logs of jobs.
  @Test(arguments: [
    ["xcmd", "-xCMDPASS", "--nosuch", "m"], ["xcmd", "--nosuch", "-x", "CMDPASS", "m"], ["viz", "-xCMDPASS"],
    ["viz", "--password=CMDPASS"], ["viz", "--password", "CMDPASS"], ["backup", "-x", "CMDPASS"],
  ])
  func passwordsAreNotRepeated(_ arguments: [String]) async throws {
    let result = try await admin(arguments)
    #expect(result.status == .exited(2) && !result.error.contains("CMDPASS") && result.out.isEmpty, "\(result)")
  }

  @Test func valuesMayBeJoinedToTheirOptions() async throws {
    let result = try await admin(["xcmd", "-xCMDPASS", "-Shttps://127.0.0.1:1", "-t1", "m"])
    #expect(result.status == .exited(1) && result.out.hasPrefix("Proxy Error: "), "\(result)")
    let conf = try await admin(["client", "list", "-C\(folder.file("nosuch.conf"))"])
    #expect(conf.status == .exited(1) && conf.error.contains("nosuch.conf"), "\(conf)")
  }

  @Test func helpNamesWhatTheCommandUses() async throws {
    #expect(try await admin(["--help"]).out.contains("--ssl-cns"))
    #expect(try await !admin(["--help"]).out.contains("--cfg-validation"))
  }
}

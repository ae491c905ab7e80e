import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-admin`'s modes for entries that clients have, with the database of a Python server, and its graph of groups.
@Suite(.serialized) struct AdminEntriesTests {
  private let folder = TemporaryDirectory()

  init() throws {
    let original = "\(Project.root)/Tests/Conformance/cases/reporting-old-reports/repo/etc/old.sqlite"
    folder.write(try RegularFile.read(original, limitBytes: 1 << 24), to: "reports.sqlite")
    folder.write(
      "<Groups><Group name=\"basic\" profile=\"true\" public=\"true\" default=\"true\"><Bundle name=\"b\"/></Group></Groups>",
      to: "repo/Metadata/groups.xml")
    let clients = ["two", "three"].map { "<Client name=\"\($0).example.com\" profile=\"basic\"/>" }.joined()
    folder.write("<Clients>\(clients)</Clients>", to: "repo/Metadata/clients.xml")
    folder.write("old\n", to: "repo/Cfg/o/f2/f2")
    folder.write(
      """
      [server]
      repository = \(folder.file("repo"))
      plugins = Cfg,Metadata,Reporting
      [communication]
      password = x
      [database]
      name = \(folder.file("reports.sqlite"))

      """, to: "bcfg2.conf")
  }

  private func admin(
    _ arguments: [String], input: String = ""
  ) async throws -> (status: ChildProcess.ExitStatus, out: String, error: String) {
    let path = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-admin"
    return try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        [path, "-C", folder.file("bcfg2.conf")] + arguments, input: Array(input.utf8), timeout: .seconds(60),
        outputLimitBytes: 1 << 20, on: loop)
      return (
        result.status, String(decoding: result.standardOutput, as: UTF8.self),
        String(decoding: result.standardError, as: UTF8.self)
      )
    }
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
}

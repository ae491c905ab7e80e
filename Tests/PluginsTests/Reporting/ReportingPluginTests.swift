import Core
import CoreSupport
import Databases
import EventLoop
import Glibc
import LoopDatabases
import OrderedCollections
import ReportRecords
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

/// What the plugin Reporting makes of an upload.
@Suite struct ReportingPluginTests {
  private static let upload = """
    <upload-statistics>
     <Statistics total="12" good="9" version="2.0" revision="abc" state="dirty">
      <Flags><Flag name="dry_run" value="True"/><Flag name="only_important" value="False"/><Flag name="x" value="true"/></Flags>
      <Bad><Path name="/etc/grün" mode="0644" current_mode="0600"/></Bad>
      <Modified><Service name="sshd" status="on"/></Modified>
      <Extra><Package name="x"><Instance version="3"/></Package></Extra>
      <Good/><OpStamps start="1.5" end="2"/>
     </Statistics>
    </upload-statistics>
    """

  private func run(
    _ settings: Settings = RepositoryFixture.settings("Reporting"),
    _ body: (RepositoryFixture, HeldSynchronizer) async throws -> Void
  ) async throws {
    try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: settings, recordsPlugins: true) {
      fixture async throws in
      let disk = HeldSynchronizer(isHolding: false)
      fixture.core.loop.fileWriter.synchronizer = disk
      try await body(fixture, disk)
    }
  }

  private func interactions(_ fixture: RepositoryFixture) throws -> [Interaction] {
    var found: [Interaction] = []
    for name in fixture.repository.names(in: "Reporting/spool").sorted() {
      SpoolSegment.read(
        try RegularFile.read(fixture.repository.file("Reporting/spool/\(name)"), limitBytes: 1 << 20)
      ) { part in
        if case .interaction(let interaction) = part { found.append(interaction) }
        return true
      }
    }
    return found
  }

  @Test func anUploadIsKeptAsItWasSent() async throws {
    try await run { (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let metadata = try await fixture.metadata()
      let plugin = try fixture.plugin(ReportingPlugin.self)
      for _ in 0..<2 { try await plugin.processStatistics(metadata, try ClientDocument.parse(Self.upload)) }
      let found = try interactions(fixture)
      try #require(found.count == 2)
      #expect(found[0].microseconds < found[1].microseconds)
      let first = found[0]
      #expect(first.hostname == "one.example.com" && first.profile == "base" && !first.server.isEmpty)
      #expect(first.groups.sorted() == ["base", "web"] && first.bundles == ["entries"])
      #expect(first.state == "dirty" && first.revision == "abc" && first.good == 9 && first.total == 12)
      #expect(first.isDryRun && !first.isOnlyImportant)
      #expect(first.stamps == [Attribute("start", "1.5"), Attribute("end", "2")])
      #expect(
        first.items == [
          ReportedItem(
            state: .bad, tag: "Path",
            attributes: [Attribute("name", "/etc/grün"), Attribute("mode", "0644"), Attribute("current_mode", "0600")]),
          ReportedItem(
            state: .extra, tag: "Package", attributes: [Attribute("name", "x")],
            children: [.init(tag: "Instance", attributes: [Attribute("version", "3")])]),
          ReportedItem(
            state: .modified, tag: "Service", attributes: [Attribute("name", "sshd"), Attribute("status", "on")]),
        ])
    }
  }

  @Test func aReportThatIsNotOnDiskIsAFault() async throws {
    try await run { (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let document = try ClientDocument.parse(Self.upload)
      disk.failure = ENOSPC
      let fault = await #expect(throws: Fault.self) {
        try await fixture.core.processStatistics("one.example.com", document)
      }
      #expect(
        fault?.string.hasPrefix("Critical failure: Statistics of one.example.com are not kept: Reporting/spool/")
          == true
          && fault?.string.hasSuffix(": No space left on device") == true, "\(String(describing: fault))")
      disk.failure = 0
      try await fixture.core.processStatistics("one.example.com", document)
      #expect(try interactions(fixture).count == 1)
    }
  }

  @Test func whatIsOverTheBoundsIsCutAndCounted() async throws {
    var settings = RepositoryFixture.settings("Reporting")
    settings[ReportingOptions.standard.clientEntries] = 2
    try await run(settings) { (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let plugin = try fixture.plugin(ReportingPlugin.self)
      try await plugin.processStatistics(try await fixture.metadata(), try ClientDocument.parse(Self.upload))
      #expect(try interactions(fixture).map(\.items.count) == [2])
      #expect(
        fixture.log.lines.contains { $0.hasPrefix("warning Reporting: 1 entries of one.example.com are left out") })
    }
    settings[ReportingOptions.standard.clientEntries] = 100
    settings[ReportingOptions.standard.clientBytes] = 100
    try await run(settings) { (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let plugin = try fixture.plugin(ReportingPlugin.self)
      try await plugin.processStatistics(try await fixture.metadata(), try ClientDocument.parse(Self.upload))
      let found = try interactions(fixture)
      #expect(found.count == 1 && found[0].items.count < 3)
    }
  }

  @Test(arguments: ["RedisTransport", "Pigeon"]) func otherTransportsAreRefused(name: String) async throws {
    var settings = RepositoryFixture.settings("Reporting")
    settings[ReportingOptions.standard.transport] = name
    try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: settings, loading: .nothing) {
      fixture async throws in
      try fixture.core.loadPlugins()
      #expect(fixture.core.plugins["Reporting"] == nil)
      #expect(fixture.log.lines.contains { $0.contains(name) && $0.contains("LocalFilesystem") })
    }
  }

  @Test(arguments: [("90d", 90), ("90", 90), ("12w", 84), ("1Y", 365)])
  func theTimeThatReportsAreKeptIsRead(text: String, days: Int) throws {
    let option = ReportingOptions.standard.keep
    #expect(try Settings(conf: "[reporting]\nkeep = \(text)\n")[option] == days)
    #expect(Settings()[option] == nil)
    for wrong in ["0", "d", "-1d", "1.5d", "9m", "ever"] {
      #expect(throws: SettingsError.self) { try Settings(conf: "[reporting]\nkeep = \(wrong)\n") }
    }
  }

  @Test func contentsAreRestoredWhereTheyAreWhole() throws {
    #expect(try CurrentEntries.contents(1, "- old\n+ new\n  same\n") == .text("old\nsame"))
    #expect(try CurrentEntries.contents(1, "- a\r\n+ b\r\n? ^\n") == .text("a\r"))
    #expect(try CurrentEntries.contents(2, "AQI=") == .binary([1, 2]))
    #expect(try CurrentEntries.contents(6, "a\nb") == .text("a\nb"))
    #expect(try CurrentEntries.contents(0, "") == .none)
    for (type, details) in [(1, "--- \n+++ \n@@ -1 +1 @@\n-old\n+new"), (3, ""), (4, "abc")] {
      #expect(throws: PluginExecutionError.self) { try CurrentEntries.contents(type, details) }
    }
  }

  /// A database that answers as it is told.
  private final class FixedDatabase: LoopDatabase {
    var results: [[StatementResult]]
    init(_ results: [[StatementResult]]) { self.results = results }
    func run(_ statements: [LoopStatement]) async throws(DatabaseError) -> [StatementResult] {
      guard !results.isEmpty else { throw DatabaseError(.unavailable, "it is away") }
      return results.removeFirst()
    }
    func close() {}
  }

  @Test func administratorsAskTheDatabase() async throws {
    try await run { (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let plugin = try fixture.plugin(ReportingPlugin.self)
      var extra = [StatementResult](repeating: StatementResult(), count: 15)
      extra[1].rows = [["x"], ["y"]]
      let row: Row = ["", "adm", "0600", "root", "root", "0644", 2, "AQI="]
      let known = [StatementResult(rows: [[1]])]
      let database = FixedDatabase([
        extra, known, [StatementResult(rows: [row])], [StatementResult(rows: [[0]])], known, [StatementResult()],
      ])
      plugin.openDatabase = { _ in database }
      #expect(try await fixture.call("Reporting.Ping") == .string("Pong"))
      #expect(
        try await fixture.call("Reporting.GetExtra", [.string("one.example.com")])
          == .array([.array([.string("Package"), .string("x")]), .array([.string("Package"), .string("y")])]))
      let entry = try await plugin.getCurrentEntry("one.example.com", tag: "Path", name: "/etc/x")
      #expect(entry["owner"] == "root" && entry["group"] == "adm" && entry["mode"] == "0600")
      #expect(entry["encoding"] == "base64" && entry.text == "AQI=")
      for _ in 0..<2 {
        let error = await #expect(throws: PluginExecutionError.self) {
          try await fixture.call(
            "Reporting.GetCurrentEntry", [.string("two.example.com"), .string("Path"), .string("/etc/x")])
        }
        #expect(error?.description == "Reporting: RPC method GetCurrentEntry failed: ")
      }
      #expect(fixture.log.has("error Unknown client: two.example.com"))
      let away = await #expect(throws: PluginExecutionError.self) {
        try await fixture.call("Reporting.GetExtra", [.string("one.example.com")])
      }
      #expect(away?.description == "Reporting: RPC method GetExtra failed: it is away")
      let wrong = await #expect(throws: PluginExecutionError.self) { try await fixture.call("Reporting.GetExtra") }
      #expect(
        wrong?.description == "Reporting: RPC method GetExtra failed: GetExtra() takes exactly 2 arguments (1 given)")
    }
  }
}

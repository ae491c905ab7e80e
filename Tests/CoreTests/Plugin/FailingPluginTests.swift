import Core
import CoreSupport
import OrderedCollections
import Repository
import Support
import Testing
import XMLRPC

/// A plugin that throws or answers nonsense has the effect on a call that it has in the Python core.
@Suite struct FailingPluginTests {
  private struct Case {
    let requirement: String
    let error: any Error
    let call: String
    let parameters: [Value]
    let answer: String
    let line: String?

    init(
      _ requirement: String, _ error: any Error = Boom(), _ call: String = "GetConfig", _ parameters: [Value] = [],
      gives answer: String, logs line: String? = nil
    ) {
      self.requirement = requirement
      self.error = error
      self.call = call
      self.parameters = parameters
      self.answer = answer
      self.line = line
    }
  }

  private static let whole =
    "<Configuration version=\"2.0\" revision=\"7\"><Bundle name=\"b\"><Path name=\"/fast\" by=\"fast\"/></Bundle></Configuration>"
  private static let statistics: [Value] = [
    "<upload-statistics><Node name=\"one\"><Statistics state=\"clean\" version=\"2.0\"/></Node></upload-statistics>"
  ]
  private static let probeData: [Value] = [
    "<ProbeData><probe-data name=\"p\" source=\"Fake\">x</probe-data></ProbeData>"
  ]

  private static var cases: [Case] {
    [
      // A connector keeps the client from being known.
      Case("additionalGroups", gives: "fault 1 boom", logs: "error GetConfig: boom"),
      Case("additionalData", gives: "fault 1 boom"),
      Case(
        "additionalGroups", MetadataConsistencyError("torn"), "GetProbes",
        gives: "fault -32500 Critical failure: Client metadata resolution error for 10.0.0.1: torn",
        logs: "error Client metadata resolution error for 10.0.0.1: torn [MetadataConsistencyError]"),
      Case(
        "additionalData", MetadataRuntimeError("unread"), "GetDecisionList", ["whitelist"],
        gives: "fault -32500 Critical failure: Metadata system runtime failure for 10.0.0.1: unread"),
      // A structure: no configuration. A validator: only ValidationError refuses.
      Case(
        "buildStructures", gives: "<error type=\"structure error\"/>", logs: "error Error in GetStructures: boom"),
      Case(
        "validateStructures", gives: whole, logs: "error Plugin Fake: unexpected structure validation failure: boom"),
      Case(
        "validateStructures", ValidationError("no"), gives: "fault 1 no",
        logs: "error Plugin Fake structure validation failed: no"),
      Case("validateGoals", gives: whole, logs: "error Plugin Fake: unexpected goal validation failure: boom"),
      Case(
        "validateGoals", ValidationError("no"), gives: "fault 1 no",
        logs: "error Plugin Fake goal validation failed: no"),
      // Hooks, statistics, decisions, revisions: one line in the log.
      Case("startClientRun", gives: whole, logs: "error Fake: Error invoking hook start_client_run: boom"),
      Case("endClientRun", gives: whole, logs: "error Fake: Error invoking hook end_client_run: boom"),
      Case(
        "endStatistics", Boom(), "RecvStats", statistics, gives: "true",
        logs: "error Fake: Error invoking hook end_statistics: boom"),
      Case(
        "processStatistics", Boom(), "RecvStats", statistics, gives: "true",
        logs: "error Plugin Fake failed to process stats from one: boom"),
      Case(
        "getDecisions", Boom(), "GetDecisionList", ["whitelist"], gives: "[]",
        logs: "error Plugin: Fake failed to generate decision list: boom"),
      Case(
        "getRevision", gives: whole.replacing("\"7\"", with: "\"-1\""),
        logs: "warning Error getting revision from Fake: boom"),
      // Probes: the client gets a fault.
      Case(
        "getProbes", Boom(), "GetProbes",
        gives: "fault -32500 Critical failure: Error determining probes for one: boom"),
      Case(
        "receiveData", Boom(), "RecvProbeData", probeData,
        gives: "fault -32500 Critical failure: Failed to process probe data from client one: boom"),
      // An ACL that fails denies.
      Case(
        "checkACL address", gives: "denied",
        logs: "error Unexpected error checking ACLs for 10.0.0.1 for GetConfig: boom"),
      Case(
        "checkACL metadata", gives: "denied", logs: "error Unexpected error checking ACLs for one for GetConfig: boom"),
    ]
  }

  @Test func aPluginThatThrowsFailsWhatItsInterfaceFails() async throws {
    for given in Self.cases {
      try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
        fixture.fake.failures[given.requirement] = given.error
        if given.requirement == "checkACL metadata" { fixture.fake.decision = .undecided }
        let answer = await fixture.ask(given.call, given.parameters)
        #expect(answer == given.answer, "\(given.requirement)")
        if let line = given.line { #expect(fixture.log.has(line), "\(line) in \(fixture.log.lines)") }
        // The failure has no effect on the next call.
        fixture.fake.failures = [:]
        fixture.fake.decision = .allow
        fixture.core.revisionMayHaveChanged()
        #expect(await fixture.ask("GetConfig") == Self.whole, "\(given.requirement)")
      }
    }
  }

  @Test func anEntryThatCannotBeBoundFailsAlone() async throws {
    let cases: [(name: String, failure: String, line: String)] = [
      ("/plugin", "bind error: sorry", "error Failed to bind entry Path:/plugin: sorry"),
      ("/boom", "bind error: boom", "error Unexpected failure binding entry Path:/boom: boom"),
      ("/own", "own words", "error Failed to bind entry Path:/own: sorry"),
      (
        "/nobody", "no matching generator",
        "error Failed to bind entry Path:/nobody: No matching generator: Path:/nobody"
      ),
      ("/slow", "bind error: slow", "error Unexpected failure binding entry Path:/slow: slow"),
      (
        "/two", "bind error: Path /two served by multiple generators: Fake, Other",
        "error Path /two served by multiple generators: Fake, Other"
      ),
      (
        "/control",
        "bind error: All strings must be XML compatible: Unicode or ASCII, no NULL bytes or control characters",
        "debug Binding structure b for one"
      ),
    ]
    struct Slow: Error, CustomStringConvertible { let description = "slow" }
    for (name, failure, line) in cases {
      try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
        fixture.core.initPlugin(OtherFakePlugin.self)
        let other = try fixture.plugin(OtherFakePlugin.self)
        let fake = fixture.fake
        fake.binders["Path:/plugin"] = .later { _, _ in throw PluginExecutionError("sorry") }
        fake.binders["Path:/boom"] = .now { _, _ in throw Boom() }
        fake.binders["Path:/own"] = .now { entry, _ in
          entry["failure"] = "own words"
          throw PluginExecutionError("sorry")
        }
        fake.binders["Path:/control"] = .now { entry, _ in entry.text = "\u{1}" }
        for plugin in [fake, other] { plugin.binders["Path:/two"] = .now { _, _ in } }
        fake.handled = ["Path:/slow"]
        fake.failures["handleEntry"] = Slow()
        fake.structures = { _ in [FakePlugin.bundle("b", ["/fast", name])] }
        let answer = await fixture.ask("GetConfig")
        #expect(answer.contains("<Path name=\"/fast\" by=\"fast\"/>"), "\(name)")
        #expect(answer.contains("<Path name=\"\(name)\" failure=\"\(failure)\"/>"), "\(name): \(answer)")
        #expect(fixture.log.has(line), "\(line) in \(fixture.log.lines)")
      }
    }
  }

  @Test func anAlternativeSourceThatFailsFallsBack() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let bundle = FakePlugin.bundle("b", ["/fast"])
      bundle.children[0]["altsrc"] = "/absent"
      fixture.fake.structures = { _ in [bundle] }
      let answer = await fixture.ask("GetConfig")
      #expect(answer.contains("name=\"/fast\"") && answer.contains("by=\"fast\""), "\(answer)")
      #expect(
        fixture.log.has(
          "error Failed binding entry Path:/fast with altsrc /absent: No matching generator: Path:/absent"))
      #expect(fixture.log.has("error Falling back to Path:/fast"))
    }
  }

  @Test func nonsenseIsSentOnOrLeftOut() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let fake = fixture.fake
      // Groups that nobody defines, and one that groups.xml has.
      fake.groups = [.named(""), .defined(MetadataGroup(name: "base", bundles: ["hostile"])), .named("unknown")]
      // A structure without a name, an entry without a name, an entry that only says that it is bound.
      fake.structures = { _ in
        let nameless = Element("Bundle")
        nameless.children = [Element("Path"), Element("BoundPath", ["name": "/b"])]
        let hollow = Element("Bundle", ["name": "hollow"])
        hollow.children = [Element("Bound")]
        return [nameless, hollow, Element("Odd", ["name": "odd"])]
      }
      fake.revision = ""
      fake.decisions = [(tag: "", name: nil)]
      fake.probes = [Element("probe")]
      let answer = await fixture.ask("GetConfig")
      #expect(
        answer
          == "<Configuration version=\"2.0\" revision=\"\"><Bundle><Path failure=\"no matching generator\"/>"
          + "<Path name=\"/b\"/></Bundle><Odd name=\"odd\"/></Configuration>")
      #expect(fixture.log.has("warning Refusing to clobber predefined group base"))
      #expect(fixture.log.lines.contains { $0.hasPrefix("error error in BindStructure") })
      #expect(try await !fixture.core.buildMetadata("one").bundles.contains("hostile"))
      #expect(await fixture.ask("GetDecisionList", ["blacklist"]) == "[[, nil]]")
      #expect(await fixture.ask("GetProbes") == "<probes><probe/></probes>")
    }
  }

  @Test func onlyOneConnectorDefinesAGroup() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      fixture.core.initPlugin(OtherFakePlugin.self)
      let other = try fixture.plugin(OtherFakePlugin.self)
      fixture.fake.groups = [.defined(MetadataGroup(name: "made", bundles: ["mine"]))]
      other.groups = [.defined(MetadataGroup(name: "made", bundles: ["theirs"]))]
      #expect(try await fixture.core.buildMetadata("one").bundles.contains("mine"))
      #expect(fixture.log.has("warning Refusing to clobber dynamic group made defined by Fake"))
      fixture.fake.groups = [.defined(MetadataGroup(name: "made", bundles: ["new"]))]
      let again = try await fixture.core.buildMetadata("two")
      #expect(again.bundles.contains("new") && !again.bundles.contains("theirs"))
    }
  }
}

import Core
import CoreSupport
import EventLoop
import Identity
import OrderedCollections
import Server
import Support
import Testing
import XMLRPC

/// The core with another Metadata plugin than ours, by its interface alone: a good one, and ones that throw, wait, or
/// answer nonsense.
@Suite struct MetadataInterfaceTests {
  private static let statistics: [Value] = [
    "<u><Node name=\"one\"><Statistics state=\"clean\" version=\"2.0\"/></Node></u>"
  ]
  private static let data: [Value] = [
    "<ProbeData><probe-data name=\"p\" source=\"Fake\">x</probe-data></ProbeData>"
  ]

  @Test func aClientsRunNeedsNothingOfOurs() async throws {
    try await RepositoryFixture.runWithFakeMetadata { (fixture: RepositoryFixture) async throws in
      let address = ClientAddress(ip: "10.0.0.1", port: 1)
      let decision = await fixture.network.authenticate(
        certificate: "cn", user: "root", password: "x", address: address
      ).value
      #expect(decision == .admitted(Caller("one", at: address)))
      fixture.fake.groups = [.named("wanted")]
      fixture.fake.data = FakeData(text: "d")
      #expect(await fixture.ask("DeclareVersion", ["1.4"]) == "true")
      #expect(await fixture.ask("GetProbes") == "<probes/>")
      #expect(await fixture.ask("RecvProbeData", Self.data) == "true")
      #expect(await fixture.ask("AssertProfile", ["base"]) == "true")
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("one"))
      #expect(await fixture.ask("GetDecisionList", ["whitelist"]) == "[]")
      #expect(await fixture.ask("RecvStats", Self.statistics) == "true")
      let metadata = try await fixture.core.buildMetadata("one")
      #expect(metadata.groups == ["base", "wanted"] && (metadata[connector: "Fake"] as? FakeData)?.text == "d")
      #expect(fixture.fakeMetadata.calls.first == "authenticateConnection 10.0.0.1 cn root x")
      #expect(
        fixture.fakeMetadata.calls.contains("setVersion one") && fixture.fakeMetadata.calls.contains("setProfile one"))
      fixture.fakeMetadata.isAdmitted = false
      let refusal = await fixture.network.authenticate(certificate: nil, user: "root", password: "x", address: address)
        .value
      #expect(refusal == .refused)
    }
  }

  @Test func whatItThrowsIsTheFaultOfThePythonCore() async throws {
    let resolution = "fault -32500 Critical failure: Client metadata resolution error for"
    let runtime = "fault -32500 Critical failure: Metadata system runtime failure for 10.0.0.1: unread"
    let calls: [(String, [Value])] = [
      ("GetConfig", []), ("GetProbes", []), ("RecvProbeData", Self.data), ("RecvStats", Self.statistics),
      ("GetDecisionList", ["whitelist"]), ("DeclareVersion", ["1"]), ("AssertProfile", ["p"]),
    ]
    var table: [(requirement: String, error: any Error, call: (String, [Value]), answer: String)] = []
    for call in calls {
      // These two build no metadata.
      if call.0 == "DeclareVersion" || call.0 == "AssertProfile" { continue }
      table.append(("initialMetadata", Boom(), call, "fault 1 boom"))
      table.append(("initialMetadata", MetadataConsistencyError("torn"), call, "\(resolution) one: torn"))
      table.append(("initialMetadata", MetadataRuntimeError("unread"), call, runtime))
    }
    for (requirement, call, text) in [
      ("setVersion", ("DeclareVersion", ["1"] as [Value]), "Unable to set version for one"),
      ("setProfile", ("AssertProfile", ["p"]), "Unable to assert profile for one"),
    ] {
      table.append((requirement, Boom(), call, "fault 1 boom"))
      for error in [MetadataConsistencyError("torn") as any Error, MetadataRuntimeError("torn")] {
        table.append((requirement, error, call, "fault -32500 Critical failure: \(text): torn"))
      }
    }
    for given in table {
      try await RepositoryFixture.runWithFakeMetadata { (fixture: RepositoryFixture) async throws in
        fixture.fakeMetadata.failures[given.requirement] = given.error
        let answer = await fixture.ask(given.call.0, given.call.1)
        #expect(answer == given.answer, "\(given.requirement) \(given.call.0)")
        #expect(fixture.log.lines.contains { $0.hasPrefix("error ") }, "\(given.requirement) \(given.call.0)")
        fixture.fakeMetadata.failures = [:]
        #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("one"))
      }
    }
  }

  @Test func whileItWaitsOthersAreAnswered() async throws {
    let calls: [(String, String, [Value])] = [
      ("initialMetadata", "GetProbes", []), ("initialMetadata", "GetConfig", []),
      ("setVersion", "DeclareVersion", ["1"]), ("setProfile", "AssertProfile", ["p"]),
    ]
    for (requirement, call, parameters) in calls {
      try await RepositoryFixture.runWithFakeMetadata { (fixture: RepositoryFixture) async throws in
        let gate = Gate()
        fixture.fakeMetadata.gates[requirement] = gate
        var answer: String?
        let held = Task { answer = await fixture.ask(call, parameters) }
        #expect(await fixture.wait { gate.count == 1 }, "\(requirement)")
        #expect(await fixture.ask("GetConfig", client: 2) == RepositoryFixture.whole("two"), "\(requirement)")
        #expect(answer == nil, "\(requirement)")
        gate.open()
        await held.value
        #expect(answer?.hasPrefix("fault") == false, "\(requirement)")
      }
    }
    try await RepositoryFixture.runWithFakeMetadata { (fixture: RepositoryFixture) async throws in
      let gate = Gate()
      fixture.fakeMetadata.gates["authenticateConnection"] = gate
      let addresses = ["10.0.0.1", "10.0.0.2"].map { ClientAddress(ip: $0, port: 1) }
      var decision: AuthenticationDecision?
      let held = Task {
        decision = await fixture.network.authenticate(certificate: nil, user: "", password: "", address: addresses[0])
          .value
      }
      #expect(await fixture.wait { gate.count == 1 })
      let other = await fixture.network.authenticate(certificate: nil, user: "", password: "", address: addresses[1])
        .value
      #expect(other.caller?.client == "two")
      #expect(decision == nil)
      gate.open()
      await held.value
      #expect(decision?.caller?.client == "one")
    }
  }

  @Test func nonsenseStaysWithItsClient() async throws {
    try await RepositoryFixture.runWithFakeMetadata { (fixture: RepositoryFixture) async throws in
      let metadata = fixture.fakeMetadata
      // Bundles that nobody has.
      metadata.answer = { FakeMetadataPlugin.metadata($0, bundles: ["b", "none", ""]) }
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("one"))
      #expect(fixture.log.has("error Client one configuration missing bundles: none:"))
      // Metadata of another client than requested: legal for an alias, and the client gets it.
      metadata.answer = { _ in FakeMetadataPlugin.metadata("somebody") }
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("somebody"))
      // One object for all clients: connectors' additions stay in it, and no client gets another's answer.
      let shared = FakeMetadataPlugin.metadata("shared")
      metadata.answer = { _ in shared }
      fixture.fake.groups = [.named("g")]
      fixture.core.expireMetadataCache()
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("shared"))
      metadata.answer = nil
      #expect(await fixture.ask("GetConfig", client: 2) == RepositoryFixture.whole("two"))
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("shared"), "kept: nothing has changed")
      fixture.core.expireMetadataCache()
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("one"))
      // The plugin drops the groups of connectors.
      metadata.groupsMerged = { metadata, _ in metadata.groups = [] }
      #expect(try await fixture.core.buildMetadata("two").groups.isEmpty)
      // A client without a cached answer gets none through the fast path.
      let call = MethodCall(method: "GetConfig", params: [])
      #expect(fixture.network.dispatchFromCache(call, from: Caller("unknown")) == nil)
    }
  }

  @Test func ofSeveralTheFirstCounts() async throws {
    try await RepositoryFixture.runWithFakeMetadata { (fixture: RepositoryFixture) async throws in
      fixture.core.initPlugin(EarlyMetadataPlugin.self)
      try fixture.core.loadPlugins()
      #expect(fixture.core.metadata.name == "EarlyMetadata")
      #expect(fixture.log.has("error Multiple Metadata plugins loaded; using EarlyMetadata"))
      #expect(await fixture.ask("GetConfig") == RepositoryFixture.whole("one"))
      #expect(fixture.fakeMetadata.calls.isEmpty)
    }
  }
}

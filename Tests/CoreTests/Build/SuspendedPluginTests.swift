import Core
import CoreSupport
import Identity
import Repository
import Support
import Testing
import XMLRPC

/// A plugin that waits for long holds up its own request and nobody else's.
@Suite struct SuspendedPluginTests {
  @Test func aThousandAreAnsweredWhileOneWaits() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let gate = Gate()
      fixture.fake.binders["Path:/held"] = .later { entry, metadata in
        if metadata.hostname == "one" { await gate.wait() }
        entry["by"] = "held"
      }
      fixture.fake.structures = { _ in [FakePlugin.bundle("b", ["/fast", "/held"])] }
      var first: String?
      let held = Task { first = await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      let others = (0..<1000).map { _ in Task { await fixture.ask("GetConfig", client: 2) } }
      var answers: Set<String> = []
      for other in others { answers.insert(await other.value) }
      #expect(answers.count == 1 && answers.first?.contains("by=\"held\"") == true)
      #expect(first == nil && gate.count == 1)
      gate.open()
      await held.value
      #expect(first == answers.first)
    }
  }

  @Test func everyInterfaceMayWait() async throws {
    let statistics: [Value] = ["<u><Node name=\"one\"><Statistics state=\"clean\" version=\"2.0\"/></Node></u>"]
    let data: [Value] = ["<ProbeData><probe-data name=\"p\" source=\"Fake\">x</probe-data></ProbeData>"]
    let cases: [(String, String, [Value])] = [
      ("additionalGroups", "GetConfig", []), ("additionalData", "GetProbes", []), ("buildStructures", "GetConfig", []),
      ("validateStructures", "GetConfig", []), ("handlesEntry", "GetConfig", []), ("handleEntry", "GetConfig", []),
      ("validateGoals", "GetConfig", []), ("startClientRun", "GetConfig", []), ("endClientRun", "GetConfig", []),
      ("getProbes", "GetProbes", []), ("receiveData", "RecvProbeData", data),
      ("processStatistics", "RecvStats", statistics), ("endStatistics", "RecvStats", statistics),
      ("getDecisions", "GetDecisionList", ["whitelist"]), ("Ask", "Fake.Ask", ["x"]),
    ]
    for (requirement, call, parameters) in cases {
      try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
        fixture.fake.handled = ["Path:/slow"]
        fixture.fake.structures = { _ in [FakePlugin.bundle("b", ["/fast", "/slow"])] }
        let gate = Gate()
        fixture.fake.gates[requirement] = gate
        let caller = ClientAddress(ip: "127.0.0.1", port: 9)
        var answer: String?
        let held = Task {
          let outcome = await fixture.core.dispatch(MethodCall(method: call, params: parameters), from: caller)
          answer = outcome.line
        }
        #expect(await fixture.wait { gate.count == 1 }, "\(requirement)")
        #expect(await fixture.ask("GetConfig", client: 2).contains("by=\"Fake slowly\""), "\(requirement)")
        #expect(answer == nil, "\(requirement)")
        gate.open()
        await held.value
        fixture.fake.gates = [:]
        let outcome = await fixture.core.dispatch(MethodCall(method: call, params: parameters), from: caller)
        let again = outcome.line
        #expect(answer == again, "\(requirement)")
      }
    }
  }

  @Test func aShutdownWaitsForNoPlugin() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let gate = Gate()
      fixture.fake.gates["buildStructures"] = gate
      var answer: String?
      let held = Task { answer = await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      fixture.core.shutdown()
      #expect(fixture.log.lines.last == "info Core: All plugins shut down" && answer == nil)
      gate.open()
      await held.value
      #expect(answer?.hasPrefix("<Configuration") == true)
    }
  }
}

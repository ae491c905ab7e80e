import CoreSupport
import EventLoop
import Repository
import Support
import Testing
import XMLRPC

@testable import Core

/// No answer is made of two states of the repository, nor told with another's revision.
@Suite struct OneStateTests {
  /// A bundle that shows the client's groups, read before the build waits, and a file, read after it.
  private static func show(_ bench: FakeBench) {
    bench.fake.structures = { metadata in
      let text = (try? bench.bench.text("note")) ?? ""
      return [FakeBench.bundle("b", metadata.groups.sorted() + [text])]
    }
  }

  private static func edit(_ bench: FakeBench, _ name: String) {
    bench.bench.repository.write(name, to: "note")
    bench.bench.edit(
      "Metadata/groups.xml",
      "<Groups><Group name='base' profile='true' public='true'><Group name='\(name)'/></Group></Groups>")
  }

  @Test(arguments: ["buildStructures", "validateStructures", "validateGoals", "additionalData", "startClientRun"])
  func anEditDuringABuildIsWhollyInTheAnswerOrNotAtAll(requirement: String) async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      Self.show(bench)
      Self.edit(bench, "old")
      let gate = Gate()
      bench.fake.gates[requirement] = gate
      var answer = ""
      let asked = Task { answer = await bench.ask("GetConfig") }
      #expect(await bench.wait { gate.count == 1 })
      bench.fake.calls = []
      Self.edit(bench, "new")
      gate.open()
      await asked.value
      // The groups and the file are those after the edit.
      #expect(answer.contains("<Path name=\"new\"") && !answer.contains("\"old\""), "\(answer)")
      // The hooks of a run are called once.
      #expect(bench.fake.calls.count { $0.hasPrefix("startClientRun") } == (requirement.hasPrefix("add") ? 1 : 0))
      #expect(bench.fake.calls.count { $0.hasPrefix("endClientRun") } == 1)
      let again = await bench.ask("GetConfig")
      #expect(answer == again)
    }
  }

  @Test(arguments: [("GetProbes", "getProbes"), ("GetDecisionList", "getDecisions")])
  func otherAnswersAreMadeOfOneStateToo(method: String, requirement: String) async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      let gate = Gate()
      bench.fake.gates[requirement] = gate
      let parameters: [Value] = method == "GetProbes" ? [] : ["whitelist"]
      let asked = Task { await bench.ask(method, parameters) }
      #expect(await bench.wait { gate.count == 1 })
      Self.edit(bench, "new")
      gate.open()
      _ = await asked.value
      #expect(bench.fake.calls.count { $0.hasPrefix("\(requirement) ") } == 2)
    }
  }

  @Test func aBuildThatIsOvertakenAgainAndAgainHoldsTheEdits() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      Self.edit(bench, "0")
      var builds = 0
      bench.fake.structures = { metadata in
        builds += 1
        // An edit during each build, also the last one.
        Self.edit(bench, "\(builds)")
        return [FakeBench.bundle("b", metadata.groups.sorted())]
      }
      let answer = await bench.ask("GetConfig")
      #expect(builds == ServerCore.overtakenLimit + 1)
      #expect(answer.contains("<Path name=\"\(ServerCore.overtakenLimit)\""), "\(answer)")
      // What was held back is delivered by now.
      #expect(!bench.core.fileMonitor.isHeld)
      #expect(await bench.isMember(of: "\(builds)"))
    }
  }

  @Test func whoAsksWhileEditsAreHeldSeesThem() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      Self.edit(bench, "0")
      let gate = Gate()
      var builds = 0
      bench.fake.structures = { metadata in
        builds += 1
        if metadata.hostname == "one", builds <= ServerCore.overtakenLimit { Self.edit(bench, "\(builds)") }
        if builds == ServerCore.overtakenLimit { bench.fake.gates["buildStructures"] = gate }
        return [FakeBench.bundle("b", metadata.groups.sorted())]
      }
      let first = Task { await bench.ask("GetConfig") }
      #expect(await bench.wait { gate.count == 1 })
      #expect(bench.core.fileMonitor.isHeld)
      Self.edit(bench, "late")
      var second = ""
      let asked = Task { second = await bench.ask("GetConfig", client: 2) }
      for _ in 0..<20 { await bench.core.loop.nextIteration() }
      #expect(second == "")
      gate.open()
      #expect(await first.value.contains("<Path name=\"\(ServerCore.overtakenLimit)\""))
      await asked.value
      #expect(second.contains("<Path name=\"late\""), "\(second)")
    }
  }

  @Test func editsDoNotWaitForEverForAnAnswer() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      Self.edit(bench, "0")
      bench.core.holdLimit = .zero
      let gate = Gate()
      var builds = 0
      bench.fake.structures = { metadata in
        builds += 1
        if builds <= ServerCore.overtakenLimit { Self.edit(bench, "\(builds)") }
        if builds == ServerCore.overtakenLimit { bench.fake.gates["buildStructures"] = gate }
        return [FakeBench.bundle("b", metadata.groups.sorted())]
      }
      let asked = Task { await bench.ask("GetConfig") }
      #expect(await bench.wait { gate.count == 1 })
      #expect(await bench.wait { !bench.core.fileMonitor.isHeld })
      Self.edit(bench, "late")
      gate.open()
      #expect(await asked.value.hasPrefix("fault -32500 Critical failure: The repository keeps changing"))
      // Without an edit it is the answer all the same.
      bench.fake.gates = [:]
      #expect(await bench.ask("GetConfig").contains("<Path name=\"late\""))
    }
  }

  @Test func oneLookUpOfTheRevisionIsWaitedForByAll() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      #expect(await bench.ask("GetConfig").contains("revision=\"7\""))
      bench.fake.calls = []
      let gate = Gate()
      bench.fake.gates["getRevision"] = gate
      bench.fake.revision = "8"
      Self.edit(bench, "new")
      var answers: [String] = []
      let asked = (1...4).map { number in
        Task { answers.append(await bench.ask("GetConfig", client: number % 2 + 1)) }
      }
      #expect(await bench.wait { gate.count == 1 })
      for _ in 0..<20 { await bench.core.loop.nextIteration() }
      #expect(gate.count == 1 && answers.isEmpty)
      gate.open()
      for task in asked { await task.value }
      #expect(answers.count == 4 && answers.allSatisfy { $0.contains("revision=\"8\"") })
      #expect(bench.fake.calls.count { $0 == "getRevision" } == 1)
    }
  }

  @Test func anEditDuringTheLookUpHasItsOwnRevision() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      Self.show(bench)
      Self.edit(bench, "old")
      _ = await bench.ask("GetConfig")
      let gate = Gate()
      bench.fake.gates["getRevision"] = gate
      bench.fake.revision = "8"
      Self.edit(bench, "middle")
      let asked = Task { await bench.ask("GetConfig") }
      #expect(await bench.wait { gate.count == 1 })
      bench.fake.calls = []
      Self.edit(bench, "new")
      gate.open()
      let answer = await asked.value
      #expect(answer.contains("<Path name=\"new\"") && bench.fake.calls.contains("getRevision"), "\(answer)")
    }
  }

  @Test func aCommitDuringABuildIsInTheAnswer() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      let gate = Gate()
      bench.fake.gates["validateStructures"] = gate
      let asked = Task { await bench.ask("GetConfig") }
      #expect(await bench.wait { gate.count == 1 })
      bench.fake.revision = "8"
      bench.core.revisionMayHaveChanged()
      gate.open()
      #expect(await asked.value.contains("revision=\"8\""))
      // A kept answer of another revision is not given.
      bench.fake.revision = "9"
      bench.core.revisionMayHaveChanged()
      #expect(await bench.ask("GetConfig").contains("revision=\"9\""))
    }
  }
}

extension FakeBench {
  /// Whether the first client is in a group.
  fileprivate func isMember(of group: String) async -> Bool {
    (try? await core.buildMetadata("one"))?.groups.contains(group) ?? false
  }
}

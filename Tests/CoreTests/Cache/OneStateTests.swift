import CoreSupport
import EventLoop
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

/// No answer is made of two states of the repository, nor told with another's revision.
@Suite struct OneStateTests {
  /// A bundle that shows the client's groups, read before the build waits, and a file, read after it.
  private static func show(_ fixture: RepositoryFixture) {
    fixture.fake.structures = { metadata in
      let text = (try? fixture.text("note")) ?? ""
      return [FakePlugin.bundle("b", metadata.groups.sorted() + [text])]
    }
  }

  private static func edit(_ fixture: RepositoryFixture, _ name: String) {
    fixture.repository.write(name, to: "note")
    fixture.edit(
      "Metadata/groups.xml",
      "<Groups><Group name='base' profile='true' public='true'><Group name='\(name)'/></Group></Groups>")
  }

  @Test(arguments: ["buildStructures", "validateStructures", "validateGoals", "additionalData", "startClientRun"])
  func anEditDuringABuildIsWhollyInTheAnswerOrNotAtAll(requirement: String) async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      Self.show(fixture)
      Self.edit(fixture, "old")
      let gate = Gate()
      fixture.fake.gates[requirement] = gate
      var answer = ""
      let asked = Task { answer = await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      fixture.fake.calls = []
      Self.edit(fixture, "new")
      gate.open()
      await asked.value
      // The groups and the file are those after the edit.
      #expect(answer.contains("<Path name=\"new\"") && !answer.contains("\"old\""), "\(answer)")
      // The hooks of a run are called once.
      #expect(fixture.fake.calls.count { $0.hasPrefix("startClientRun") } == (requirement.hasPrefix("add") ? 1 : 0))
      #expect(fixture.fake.calls.count { $0.hasPrefix("endClientRun") } == 1)
      let again = await fixture.ask("GetConfig")
      #expect(answer == again)
    }
  }

  @Test(arguments: [("GetProbes", "getProbes"), ("GetDecisionList", "getDecisions")])
  func otherAnswersAreMadeOfOneStateToo(method: String, requirement: String) async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let gate = Gate()
      fixture.fake.gates[requirement] = gate
      let parameters: [Value] = method == "GetProbes" ? [] : ["whitelist"]
      let asked = Task { await fixture.ask(method, parameters) }
      #expect(await fixture.wait { gate.count == 1 })
      Self.edit(fixture, "new")
      // Probes that were made before an edit of groups alone stand for clients with the same groups after it.
      fixture.core.repositoryChanged()
      gate.open()
      _ = await asked.value
      #expect(fixture.fake.calls.count { $0.hasPrefix("\(requirement) ") } == 2)
    }
  }

  /// What is asked of metadata is recorded for one configuration: two at once do not share it.
  @Test(arguments: [MetadataCacheMode.off, .aggressive])
  func twoConfigurationsOfAClientAtOnceHaveTheirOwnMetadata(mode: MetadataCacheMode) async throws {
    func set(_ settings: inout Settings) { settings.clientMetadataCache = mode }
    try await RepositoryFixture.runWithFake(settings: set) { (fixture: RepositoryFixture) async throws in
      let core = fixture.core
      _ = await fixture.ask("GetConfig")
      let gate = Gate()
      fixture.fake.gates["startClientRun"] = gate
      var made: [Composition] = []
      let tasks = (0..<2).map { _ in Task { made.append(try await core.composeConfiguration("one")) } }
      #expect(await fixture.wait { gate.count == 2 })
      let other = try await core.buildMetadata("one")
      gate.open()
      for task in tasks { try await task.value }
      #expect(made.count == 2 && made[0].metadata !== made[1].metadata)
      #expect(made.allSatisfy { $0.metadata !== other && $0.metadata?.isInUse == false })
      #expect(made[0].document == made[1].document)
    }
  }

  /// A bundle that is missing has the answer made again, not those after it is there.
  @Test func answersAreKeptOnceTheirBundlesAreThere() async throws {
    var settings = RepositoryFixture.settings("Cfg")
    settings.clientMetadataCache = .aggressive
    let files = RepositoryFixture.files([
      "Metadata/groups.xml": "<Groups><Group name='base' profile='true'><Bundle name='late'/></Group></Groups>"
    ])
    try await RepositoryFixture.run(files: files, settings: settings) { (fixture: RepositoryFixture) async throws in
      let core = fixture.core
      @MainActor func ask() async throws -> String {
        fixture.monitor.processPending()
        return String(decoding: try await core.configurationBytes("one.example.com").bytes(), as: UTF8.self)
      }
      for _ in 0..<2 { #expect(try await !ask().contains("late")) }
      #expect(core.answerCache.hits == 0)
      fixture.edit("Bundler/late.xml", "<Bundle><BoundService name='s'/></Bundle>")
      for _ in 0..<3 { #expect(try await ask().contains("late")) }
      #expect(core.answerCache.hits == 2)
    }
  }

  /// An alias comes before a client's own name, also where the client of that name was asked for before.
  @Test func aliasesOfOtherClientsAreInTheNextAnswer() async throws {
    let files = RepositoryFixture.files([
      "Metadata/groups.xml": """
      <Groups><Group name='base' profile='true'><Bundle name='b1'/></Group>
        <Group name='other' profile='true'><Bundle name='b2'/></Group></Groups>
      """,
      "Bundler/b1.xml": "<Bundle/>", "Bundler/b2.xml": "<Bundle/>",
    ])
    try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg")) {
      (fixture: RepositoryFixture) async throws in
      @MainActor func ask() async throws -> String {
        fixture.monitor.processPending()
        return String(decoding: try await fixture.core.configurationBytes("one.example.com").bytes(), as: UTF8.self)
      }
      let first = try await ask()
      #expect(first.contains("b1"))
      let old = try fixture.text("Metadata/clients.xml")
      fixture.edit(
        "Metadata/clients.xml",
        old.replacing(
          "<Client name=\"two.example.com\"",
          with: """
            <Client name="two.example.com" profile="other"><Alias name="one.example.com"/></Client>
            <Client name="three.example.com"
            """))
      #expect(try await ask().contains("b2"))
      fixture.edit("Metadata/clients.xml", old)
      #expect(try await ask() == first)
    }
  }

  @Test func aBuildThatIsOvertakenAgainAndAgainHoldsTheEdits() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      Self.edit(fixture, "0")
      var builds = 0
      fixture.fake.structures = { metadata in
        builds += 1
        // An edit during each build, also the last one.
        Self.edit(fixture, "\(builds)")
        return [FakePlugin.bundle("b", metadata.groups.sorted())]
      }
      let answer = await fixture.ask("GetConfig")
      #expect(builds == ServerCore.retryLimit + 1)
      #expect(answer.contains("<Path name=\"\(ServerCore.retryLimit)\""), "\(answer)")
      // The edits that were held back have been delivered.
      #expect(!fixture.core.fileMonitor.isHeld)
      #expect(await fixture.isMember(of: "\(builds)"))
    }
  }

  @Test func whoAsksWhileEditsAreHeldSeesThem() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      Self.edit(fixture, "0")
      let gate = Gate()
      var builds = 0
      fixture.fake.structures = { metadata in
        builds += 1
        if metadata.hostname == "one", builds <= ServerCore.retryLimit { Self.edit(fixture, "\(builds)") }
        if builds == ServerCore.retryLimit { fixture.fake.gates["buildStructures"] = gate }
        return [FakePlugin.bundle("b", metadata.groups.sorted())]
      }
      let first = Task { await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      #expect(fixture.core.fileMonitor.isHeld)
      Self.edit(fixture, "late")
      var second = ""
      let asked = Task { second = await fixture.ask("GetConfig", client: 2) }
      for _ in 0..<20 { await fixture.core.loop.nextIteration() }
      #expect(second == "")
      gate.open()
      #expect(await first.value.contains("<Path name=\"\(ServerCore.retryLimit)\""))
      await asked.value
      #expect(second.contains("<Path name=\"late\""), "\(second)")
    }
  }

  @Test func editsDoNotWaitForEverForAnAnswer() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      Self.edit(fixture, "0")
      fixture.core.holdLimit = .zero
      let gate = Gate()
      var builds = 0
      fixture.fake.structures = { metadata in
        builds += 1
        if builds <= ServerCore.retryLimit { Self.edit(fixture, "\(builds)") }
        if builds == ServerCore.retryLimit { fixture.fake.gates["buildStructures"] = gate }
        return [FakePlugin.bundle("b", metadata.groups.sorted())]
      }
      let asked = Task { await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      #expect(await fixture.wait { !fixture.core.fileMonitor.isHeld })
      Self.edit(fixture, "late")
      gate.open()
      #expect(await asked.value.hasPrefix("fault -32500 Critical failure: The repository keeps changing"))
      // The answer is the same without an edit.
      fixture.fake.gates = [:]
      #expect(await fixture.ask("GetConfig").contains("<Path name=\"late\""))
    }
  }

  @Test func oneLookUpOfTheRevisionIsWaitedForByAll() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      #expect(await fixture.ask("GetConfig").contains("revision=\"7\""))
      fixture.fake.calls = []
      let gate = Gate()
      fixture.fake.gates["getRevision"] = gate
      fixture.fake.revision = "8"
      Self.edit(fixture, "new")
      var answers: [String] = []
      let asked = (1...4).map { number in
        Task { answers.append(await fixture.ask("GetConfig", client: number % 2 + 1)) }
      }
      #expect(await fixture.wait { gate.count == 1 })
      for _ in 0..<20 { await fixture.core.loop.nextIteration() }
      #expect(gate.count == 1 && answers.isEmpty)
      gate.open()
      for task in asked { await task.value }
      #expect(answers.count == 4 && answers.allSatisfy { $0.contains("revision=\"8\"") })
      #expect(fixture.fake.calls.count { $0 == "getRevision" } == 1)
    }
  }

  @Test func anEditDuringTheLookUpHasItsOwnRevision() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      Self.show(fixture)
      Self.edit(fixture, "old")
      _ = await fixture.ask("GetConfig")
      let gate = Gate()
      fixture.fake.gates["getRevision"] = gate
      fixture.fake.revision = "8"
      Self.edit(fixture, "middle")
      let asked = Task { await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      fixture.fake.calls = []
      Self.edit(fixture, "new")
      gate.open()
      let answer = await asked.value
      #expect(answer.contains("<Path name=\"new\"") && fixture.fake.calls.contains("getRevision"), "\(answer)")
    }
  }

  @Test func aCommitDuringABuildIsInTheAnswer() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let gate = Gate()
      fixture.fake.gates["validateStructures"] = gate
      let asked = Task { await fixture.ask("GetConfig") }
      #expect(await fixture.wait { gate.count == 1 })
      fixture.fake.revision = "8"
      fixture.core.revisionMayHaveChanged()
      gate.open()
      #expect(await asked.value.contains("revision=\"8\""))
      // A kept answer of another revision is not given.
      fixture.fake.revision = "9"
      fixture.core.revisionMayHaveChanged()
      #expect(await fixture.ask("GetConfig").contains("revision=\"9\""))
    }
  }
}

extension RepositoryFixture {
  /// Whether the first client is in a group.
  fileprivate func isMember(of group: String) async -> Bool {
    (try? await core.buildMetadata("one"))?.groups.contains(group) ?? false
  }
}

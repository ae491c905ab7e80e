import CoreSupport
import Glibc
import Repository
import Support
import Testing

@testable import Core
@testable import Templates

/// Templates that cost their process, and what waits behind them.
@Suite(.serialized) struct TemplateSuspectsTests {
  private let endless = "{% python\nwhile True:\n    pass\n%}\n"
  private let one = "[templates]\nprocesses = 1\n"
  private let short = "[templates]\nprocesses = 1\ntimeout = 0.5\n"

  @Test func aTemplateThatUsedUpItsTimeFailsAtOnceThen() async throws {
    try await RepositoryFixture.run(templates: ["hang": endless], conf: short) { fixture async throws in
      let first = try await fixture.rendered("/hang")
      #expect(first.hasSuffix("took longer than 0.5 s ([templates] timeout); it is tried again after 30 s"))
      let started = fixture.core.templates.pool.startCount
      #expect(try await fixture.rendered("/hang") == first)
      #expect(try await fixture.rendered("/hang", of: "two.example.com") == first)
      #expect(fixture.core.templates.pool.startCount == started, "nothing was rendered")
    }
  }

  @Test func anEditEndsTheSuspicion() async throws {
    let props = "{% python\nwhile 'wait' in metadata.Properties['a.json'].json: pass\n%}\nfine"
    try await RepositoryFixture.run(
      templates: ["hang": endless, "props": props], files: ["Properties/a.json": "[\"wait\"]"], plugins: ["Properties"],
      conf: one + "timeout = 3\n"
    ) { fixture async throws in
      #expect(try await fixture.rendered("/hang").contains("took longer"))
      fixture.edit("Cfg/hang/hang.genshi", "fine")
      #expect(try await fixture.rendered("/hang") == "fine")
      #expect(try await fixture.rendered("/props").contains("took longer"))
      fixture.edit("Properties/a.json", "[]")
      #expect(try await fixture.rendered("/props") == "\nfine")
      #expect(fixture.core.templates.pool.suspects.refusal(of: job("/x"), "one", generation: 0) == nil)
    }
  }

  @Test func anEditOfAFileThatATemplateHungOnEndsTheSuspicion() async throws {
    let text = "{% python\nwhile open(repo + '/Data/state').read() != 'go': pass\n%}\\\nfine"
    try await RepositoryFixture.run(
      templates: ["hang": text], files: ["Data/state": "wait"], conf: one + "timeout = 3\n"
    ) {
      fixture async throws in
      #expect(try await fixture.rendered("/hang").contains("took longer"))
      fixture.edit("Data/state", "go")
      #expect(try await fixture.rendered("/hang") == "fine")
    }
  }

  @Test func aTemplateThatHangsForOneClientIsRenderedForOthers() async throws {
    // Process numbers: no result is used again.
    let text = "{% python\nimport os\nos.getpid()\nwhile metadata.hostname == 'two.example.com': pass\n%}\\\nfine"
    try await RepositoryFixture.run(templates: ["hang": text], conf: short) { fixture async throws in
      #expect(try await fixture.rendered("/hang") == "fine")
      #expect(try await fixture.rendered("/hang", of: "two.example.com").contains("it is tried again after 30 s"))
      #expect(try await fixture.rendered("/hang") == "fine")
      let started = fixture.core.templates.pool.startCount
      #expect(try await fixture.rendered("/hang", of: "two.example.com").contains("it is tried again after 30 s"))
      #expect(fixture.core.templates.pool.startCount == started)
    }
  }

  @Test func whatWaitsBehindASlowTemplateIsGivenToAnotherProcess() async throws {
    let signal = TemporaryDirectory()
    let wait = "{% python\nimport os\nwhile not os.path.exists('\(signal.path)/go'): pass\n%}\\\nwaited"
    try await RepositoryFixture.run(templates: ["a": "a", "wait": wait, "z": "z"], conf: one) { fixture async throws in
      // The slow one ends when the one behind it is done: with one process for both it never would.
      fixture.core.templates.onReport = { path, _ in if path.hasSuffix("/z.genshi") { _ = signal.write("", to: "go") } }
      let configuration = try await fixture.configuration(of: "one.example.com")
      let entries = configuration.children.flatMap(\.children)
      #expect(entries.compactMap { $0["failure"] } == [])
      #expect(Set(entries.compactMap(\.text)) == ["a", "waited", "z"])
      // From now on nothing is put behind it.
      let started = fixture.core.templates.pool.startCount
      #expect(try await fixture.rendered("/wait", of: "two.example.com") == "waited")
      #expect(try await fixture.rendered("/z", of: "two.example.com") == "z")
      #expect(fixture.core.templates.pool.startCount == started)
      #expect(fixture.core.templates.processIDs.count == 1, "the spare process is gone")
    }
  }

  @Test func otherClientsDoNotWaitForASlowTemplate() async throws {
    let signal = TemporaryDirectory()
    let wait = "{% python\nimport os\nwhile not os.path.exists('\(signal.path)/go'): pass\n%}\\\nwaited"
    try await RepositoryFixture.run(templates: ["wait": wait, "z": "z"], conf: one) { fixture async throws in
      let slow = Task { try await fixture.rendered(template: "Cfg/wait/wait.genshi") }
      while fixture.core.templates.pool.processIDs.isEmpty { await Task.yield() }
      let other = try await fixture.rendered(template: "Cfg/z/z.genshi", of: "two.example.com")
      #expect(other == "z")
      _ = signal.write("", to: "go")
      #expect(try await slow.value == "waited")
    }
  }

  @Test func aTemplateThatEatsMemoryCostsNoOtherAnything() async throws {
    var templates = ["eat": "{% python\nx = 'x' * (1 << 31)\n%}\n"]
    for name in ["a", "b", "x", "y", "z"] { templates[name] = name }
    try await RepositoryFixture.run(templates: templates, conf: one + "memory = 256m\n") { fixture async throws in
      let configuration = try await fixture.configuration(of: "one.example.com")
      let failed = configuration.children.flatMap(\.children).filter { $0["failure"] != nil }
      #expect(failed.compactMap(\.name) == ["/eat"])
      let started = fixture.core.templates.pool.startCount
      #expect(try await fixture.rendered("/eat", of: "two.example.com").contains("more memory than 256 MiB"))
      #expect(fixture.core.templates.pool.startCount == started)
    }
  }

  @Test func aTemplateIsNotBlamedForTheMemoryThatAnotherHolds() async throws {
    let leak = "{% python\nimport builtins\nbuiltins.held = bytearray(200 << 20)\n%}\\\nleak"
    let need = "{% python\nx = bytearray(200 << 20)\n%}\\\nneed"
    try await RepositoryFixture.run(templates: ["leak": leak, "need": need], conf: one + "memory = 400m\n") {
      fixture async throws in
      #expect(try await fixture.rendered("/leak") == "leak")
      #expect(try await fixture.rendered("/need") == "need")
      #expect(fixture.core.templates.pool.suspects.isEmpty)
    }
  }

  // MARK: The rules

  private func job(_ path: String, _ text: String = "x", isProven: Bool = false) -> TemplateJob {
    let version = TemplateSource.Version(number: 1, bytes: Array(text.utf8))
    var job = TemplateJob(kind: .genshi, path: path, version: version, name: nil, limitBytes: 1)
    job.isProven = isProven
    return job
  }

  @Test func theBackOffDoubles() {
    var suspects = SuspectTemplates()
    let texts = (0..<6).map { _ in suspects.failed(job("/a"), "one", generation: 1, "slow") }
    #expect(texts == [30, 60, 120, 240, 480, 600].map { "slow; it is tried again after \($0) s" })
    #expect(suspects.refusal(of: job("/a"), "two", generation: 1) == texts.last)
    #expect(suspects.refusal(of: job("/a", "new"), "two", generation: 1) == nil)
    #expect(suspects.refusal(of: job("/b"), "two", generation: 1) == nil)
    suspects.ended(job("/a"), "one")
    #expect(suspects.isEmpty)
  }

  @Test func whenTheTimeIsOverItIsTriedApart() {
    var suspects = SuspectTemplates()
    suspects.firstPause = .zero
    _ = suspects.failed(job("/a"), "one", generation: 1, "slow")
    #expect(suspects.refusal(of: job("/a"), "one", generation: 1) == nil)
    #expect(suspects.isSuspect(job("/a"), "one") && suspects.isSuspect(job("/a"), "two"))
  }

  @Test func aProvenTemplateFailsForThoseClientsAloneThatItFailedFor() {
    var suspects = SuspectTemplates()
    let proven = job("/a", isProven: true)
    _ = suspects.failed(proven, "one", generation: 1, "slow")
    #expect(suspects.refusal(of: proven, "one", generation: 1) != nil)
    #expect(suspects.refusal(of: proven, "two", generation: 1) == nil && !suspects.isSuspect(proven, "two"))
    _ = suspects.failed(proven, "two", generation: 1, "slow")
    #expect(suspects.refusal(of: proven, "three", generation: 1) == nil && suspects.isSuspect(proven, "three"))
    suspects.ended(proven, "three")
    #expect(suspects.refusal(of: proven, "four", generation: 1) == nil && !suspects.isSuspect(proven, "four"))
    #expect(suspects.refusal(of: proven, "two", generation: 1) != nil)
  }

  @Test func aChangeElsewhereHasItTriedTwice() {
    var suspects = SuspectTemplates()
    for count in 1...3 {
      _ = suspects.failed(job("/a"), "one", generation: count, "slow")
      #expect((suspects.refusal(of: job("/a"), "one", generation: 9) == nil) == (count < 3))
    }
  }
}

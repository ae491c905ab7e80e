import CoreSupport
import Glibc
import Identity
import Repository
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Templates

/// Bounds on what a template may ask, watch and leave behind: reaching one costs nobody else anything.
@Suite(.serialized) struct TemplateBoundsTests {
  private let one = "[templates]\nprocesses = 1\n"

  @Test func whatCannotBeSentFailsItsTemplateAlone() async throws {
    for (argument, reason) in [
      ("[1 << 80]", "an integer beyond 64 bits"), ("[str(i) for i in range(300000)]", "more than a message may have"),
      ("[frozenset()]", "a value of type frozenset"), ("['x' * (3 << 20)]", "more than a message may have"),
    ] {
      let text = "${len(metadata.query.names_by_groups(\(argument)))}"
      try await RepositoryFixture.run(templates: ["a": "a", "t": text, "z": "z"], conf: one) { fixture async throws in
        let failure = try await fixture.rendered("/t")
        #expect(failure.contains(reason), "\(argument): \(failure)")
        #expect(try await fixture.rendered("/z") == "z")
        // It costs no process. A spare one may have been started on a busy machine.
        #expect(fixture.core.templates.pool.suspects.isEmpty)
        #expect(!fixture.log.lines.contains { $0.contains("error renderer ") }, "\(fixture.log.lines)")
      }
    }
  }

  /// The cache of results bounds their contents, whatever parts of answers were made with them.
  @Test func partsHoldNoContentsOfForgottenResults() async throws {
    try await RepositoryFixture.run(
      templates: ["t": "${metadata.Probes['v']}"], files: ["Probes/v": "#!/bin/sh\n"], plugins: ["Probes"],
      conf: one + "cache_size = 100k\n"
    ) { fixture async throws in
      let (core, kept) = (fixture.core, fixture.core.answerCache)
      let client = Caller("one.example.com", at: ClientAddress(ip: "127.0.0.1", port: 1024))
      for turn in 0..<12 {
        let text = "\(turn) " + String(repeating: "x", count: 30_000)
        _ = try await core.recvProbeData(
          client, "<probe-data><probe-data name='v' source='Probes'>\(text)</probe-data></probe-data>")
        let answer = try await core.configurationBytes(client.client).bytes()
        #expect(String(decoding: answer, as: UTF8.self).contains("&gt;\(turn) xxx"))
      }
      #expect((1...3).contains(core.templates.cacheCount.results))
      #expect(kept.partCount == core.templates.cacheCount.results)
      #expect(kept.count == 1 && kept.heldBytes < 10_000)
      // Now they are held for the answer alone.
      core.templates.kept.removeAll()
      #expect(kept.partCount == 0 && kept.count == 1 && (30_000..<40_000).contains(kept.heldBytes))
      kept.removeAll()
      #expect(kept.heldBytes == 0 && kept.structureCount == 0)
    }
  }

  @Test func questionsAreBounded() async throws {
    let limit = RendererSettings.questionLimit
    defer { RendererSettings.questionLimit = limit }
    RendererSettings.questionLimit = 100
    let text = "${[metadata.query.all_groups() for i in range(%d)] and 'fine'}"
    try await RepositoryFixture.run(
      templates: ["few": text.replacing("%d", with: "100"), "many": text.replacing("%d", with: "101")], conf: one
    ) { fixture async throws in
      #expect(try await fixture.rendered("/many").contains("the template asks more than 100 questions"))
      #expect(try await fixture.rendered("/few") == "fine")
    }
  }

  @Test(.timeLimit(.minutes(1))) func theTimeOfAnswersIsBounded() async throws {
    try await RepositoryFixture.run(templates: [:], conf: one + "timeout = 0.5\n") { fixture async throws in
      let metadata = try await fixture.core.buildMetadata("one.example.com")
      let version = TemplateSource.Version(number: 1, bytes: Array("${metadata.query.all_groups()}".utf8))
      let job = TemplateJob(kind: .genshi, path: "/t", version: version, name: "/t", limitBytes: 100)
      let batch = fixture.core.templates.pool.render(
        [job], client: (1, metadata.templateForm), generation: 1, watchSerial: 0, helperSerial: nil, parent: nil)
      var failure: String?
      while let event = await batch.next() {
        // Its question is not answered.
        if case .result(_, .failed(let failed)) = event { failure = failed.description }
      }
      #expect(
        failure?.hasPrefix("the answers to the template's questions took longer than 0.5 s ([templates] timeout)")
          == true,
        "\(failure ?? "no failure")")
    }
  }

  @Test func aProcessWithAThreadIsReplaced() async throws {
    let thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    try await RepositoryFixture.run(
      templates: ["a": "{% python\n\(thread)\n%}\\\na", "z": "${__import__('time').time() and 'z'}"], conf: one
    ) {
      fixture async throws in
      let log = fixture.log
      for count in 1...2 {
        let entries = try await fixture.configuration(of: "one.example.com").children.flatMap(\.children)
        #expect(entries.compactMap { $0["failure"] ?? $0.text } == ["a", "z"])
        // The first process left a thread and ended; the second rendered what waited, and is used again.
        #expect(fixture.core.templates.pool.startCount == count + 1)
      }
      #expect(fixture.core.templates.pool.suspects.isEmpty)
      #expect(log.lines.contains { $0.hasSuffix(": \(fixture.repository.path)/Cfg/a/a.genshi left a thread behind") })
    }
  }

  @Test func whatWasForgottenIsToldAgain() async throws {
    let limit = TemplateFiles.limit
    defer { TemplateFiles.limit = limit }
    TemplateFiles.limit = 8
    // Of a template that fails nothing is kept: its files are watched because it told of them.
    var templates = ["fails": "{% python\nimport os\nos.path.exists(repo + '/Data/x')\n1 / 0\n%}"]
    for number in 0..<9 { templates["t\(number)"] = "${__import__('os').path.exists(repo + '/Data/\(number)')}" }
    try await RepositoryFixture.run(templates: templates, conf: one) { fixture async throws in
      @MainActor func isWatched() async throws -> Bool {
        _ = try? await fixture.rendered(template: "Cfg/fails/fails.genshi")
        let before = fixture.core.repositoryGeneration
        fixture.edit("Data/x", "\(before)")
        return fixture.core.repositoryGeneration != before
      }
      #expect(try await isWatched())
      let forgotten = fixture.core.templates.files.forgottenCount
      for number in 0..<9 { _ = try await fixture.rendered(template: "Cfg/t\(number)/t\(number).genshi") }
      #expect(fixture.core.templates.files.forgottenCount > forgotten)
      #expect(try await isWatched())
      #expect(fixture.core.templates.pool.startCount == 1)
    }
  }

  @Test func noTemplateHasTheFilesOfOthersForgotten() async throws {
    let limit = TemplateFiles.limit
    defer { TemplateFiles.limit = limit }
    TemplateFiles.limit = 8
    let greedy = "${[__import__('os').path.exists(repo + '/Data/%s-%d' % (metadata.hostname, i)) for i in range(5)][0]}"
    let templates = ["greedy": greedy, "modest": "${__import__('os').path.exists(repo + '/Data/own')}"]
    try await RepositoryFixture.run(templates: templates, conf: one) { fixture async throws in
      #expect(try await fixture.rendered(template: "Cfg/modest/modest.genshi") == "False")
      for client: ClientName in ["one.example.com", "two.example.com"] {
        #expect(try await fixture.rendered(template: "Cfg/greedy/greedy.genshi", of: client) == "False")
      }
      #expect(fixture.core.templates.files.forgottenCount == 0)
      #expect(fixture.core.templates.cacheCount == (1, 0), "what is not watched is not kept")
      #expect(try await fixture.rendered(template: "Cfg/modest/modest.genshi") == "False")
      #expect(fixture.core.templates.cacheCount == (1, 1))
      fixture.edit("Data/own", "")
      #expect(try await fixture.rendered(template: "Cfg/modest/modest.genshi") == "True")
    }
  }

  @Test func whereTooManyFilesAreWatchedAllAreForgotten() async throws {
    let limit = TemplateFiles.limit
    defer { TemplateFiles.limit = limit }
    TemplateFiles.limit = 8
    let text = "{% python\nimport os\n%}${os.path.exists(repo + '/Data/%s')}"
    var templates = ["plain": "${metadata.profile}"]
    for number in 0..<12 { templates["t\(number)"] = text.replacing("%s", with: "\(number)") }
    try await RepositoryFixture.run(templates: templates, conf: one) { fixture async throws in
      for number in 0..<12 {
        #expect(try await fixture.rendered(template: "Cfg/t\(number)/t\(number).genshi") == "False")
        // Results that depend on no files are kept.
        if number == 0 { #expect(try await fixture.rendered(template: "Cfg/plain/plain.genshi") == "base") }
      }
      #expect(fixture.core.templates.cacheCount == (5, 0))
      #expect(try await fixture.rendered(template: "Cfg/t11/t11.genshi") == "False")
      #expect(try await fixture.rendered(template: "Cfg/plain/plain.genshi") == "base")
      #expect(fixture.core.templates.cacheCount == (5, 2))
      fixture.edit("Data/11", "")
      #expect(try await fixture.rendered(template: "Cfg/t11/t11.genshi") == "True")
      fixture.edit("Data/3", "")
      #expect(try await fixture.rendered(template: "Cfg/t3/t3.genshi") == "True")
    }
  }
}

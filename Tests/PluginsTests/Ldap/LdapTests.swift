import CoreSupport
import EventLoop
import Identity
import Repository
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins

/// Data of LDAP servers for templates: what is asked, when it is asked again, and what it costs.
@Suite(.serialized) struct LdapTests {
  private let one: ClientName = "one.example.com"

  private func answer(_ fixture: RepositoryFixture, of client: ClientName = "one.example.com") async throws -> String {
    fixture.monitor.processPending()
    return String(decoding: try await fixture.core.configurationBytes(client).bytes(), as: UTF8.self)
      .replacing("&gt;", with: ">").replacing("&lt;", with: "<")
  }

  @Test func resultsAreWhatTemplatesOfBcfg2Expect() async throws {
    let template = """
      ${metadata.Ldap['Users']['name']} ${metadata.Ldap.Users.dn} ${type(metadata.Ldap['Users']['name']).__name__} \\
      ${repr(metadata.Ldap['Users']['photo'])} ${repr(sorted(metadata.Ldap))} ${'Users' in metadata.Ldap} \\
      ${'No' in metadata.Ldap} ${repr(metadata.Ldap.get('No'))} ${len(metadata.Ldap)}
      """
    try await LdapFixture.run(templates: ["t": template, "k": "${metadata.Ldap['No']}"], state: "name Änn") {
      fixture, _ async throws in
      #expect(
        try await fixture.rendered("/t")
          == "Änn cn=x,dc=example str [b'\\xff\\xd8'] ['Others', 'Users'] True False None 2")
      #expect(fixture.searches() == ["(host=one.example.com)"], "asked once, and Others not at all")
      #expect(try await fixture.rendered("/k").hasPrefix("failed: bind error: Cfg: Error rendering /k: "))
      _ = fixture.log.take()
      // A query applies to those for which it says so.
      #expect(try await fixture.rendered("/t", of: "two.example.com").hasSuffix("['Users'] True False None 1"))
      #expect(fixture.searches() == ["(host=two.example.com)"])
    }
  }

  @Test func whatIsTheSameRebuildsNothing() async throws {
    try await LdapFixture.run(templates: ["t": "${metadata.Ldap['Users']['name']}", "u": "plain ${metadata.profile}"]) {
      fixture, set async throws in
      let core = fixture.core
      #expect(try await answer(fixture).contains(">Ann<"))
      #expect(fixture.searches() == ["(host=one.example.com)"])
      let (made, rendered) = (core.answerCache.counts[.structures]?.made, core.templates.renderedCount)
      // Each run asks once; the answer stays.
      #expect(try await answer(fixture).contains(">Ann<"))
      #expect(fixture.searches() == ["(host=one.example.com)"])
      #expect(core.answerCache.configurationHits == 1 && core.answerCache.counts[.structures]?.made == made)
      #expect(core.templates.renderedCount == rendered)
      // Another result renders what asked for it, and nothing else.
      set("name Eve")
      #expect(try await answer(fixture).contains(">Eve<"))
      #expect(fixture.searches() == ["(host=one.example.com)"])
      #expect(core.templates.renderedCount == rendered + 1)
      // Back to what was rendered before.
      set("name Ann")
      #expect(try await answer(fixture).contains(">Ann<"))
      #expect(core.templates.renderedCount == rendered + 1)
    }
  }

  @Test func keptUntilToldOtherwise() async throws {
    try await LdapFixture.run(templates: ["t": "${metadata.Ldap['Users']['name']}"], ldap: "cache = true") {
      fixture, set async throws in
      #expect(try await answer(fixture).contains(">Ann<"))
      set("name Eve")
      #expect(try await answer(fixture).contains(">Ann<"))
      fixture.edit("Bundler/more.xml", "<Bundle/>")
      #expect(try await answer(fixture).contains(">Ann<"))
      #expect(fixture.searches() == ["(host=one.example.com)"])
      for (arguments, count) in [
        (["No"], 0), (["Users", "two.example.com"], 0), (["", "two.example.com"], 0),
        (["Users", "one.example.com"], 1),
        ([], 0),
      ] as [([Value], Int64)] {
        #expect(try await fixture.call("Ldap.expire_cache", arguments) == .int(count))
      }
      #expect(try await answer(fixture).contains(">Eve<"))
      #expect(try await fixture.call("Ldap.expire_cache") == .int(1))
      await #expect(throws: ParameterError.self) { try await fixture.call("Ldap.expire_cache", ["a", "b", "c"]) }
    }
  }

  @Test func neverKeptIsAskedForEachConfiguration() async throws {
    let template = "${metadata.Ldap['Users']['name']} ${metadata.Ldap['Users']['name']}"
    try await LdapFixture.run(templates: ["t": template], ldap: "cache = false") { fixture, set async throws in
      for name in ["Ann", "Eve"] {
        set("name \(name)")
        #expect(try await answer(fixture).contains(">\(name) \(name)<"))
        #expect(!fixture.searches().isEmpty)
      }
      #expect(try fixture.plugin(LdapPlugin.self).table.keys.isEmpty)
    }
  }

  @Test func aQueryThatFailsGivesNone() async throws {
    let configuration =
      LdapFixture.configuration + """
        class Broken(Users):
            def process_result(self, metadata):
                raise ValueError('no good: ' + conn.bindpw)
        class Strange(Users):
            def process_result(self, metadata):
                return object()
        class Unprepared(Users):
            def is_applicable(self, metadata):
                return metadata.nothing
        __queries__ += ['Broken', 'Strange', 'Unprepared', 'Absent']

        """
    let templates = [
      "n": "${repr(metadata.Ldap['Broken'])} ${repr(metadata.Ldap['Strange'])} ${'Unprepared' in metadata.Ldap}",
      "f": "${metadata.Ldap['Broken']['name']}",
    ]
    try await LdapFixture.run(templates: templates, configuration: configuration) { fixture, set async throws in
      #expect(try await fixture.rendered("/n") == "None None False")
      #expect(try await fixture.rendered("/f").hasPrefix("failed: bind error: Cfg: Error rendering /f: "))
      let lines = fixture.log.lines
      for text in [
        "Exception during processing of query named 'Broken', query results will be empty and may cause bind failures: ValueError: no good: *** (",
        "query named 'Strange', query results will be empty and may cause bind failures: PluginExecutionError: a value of type object cannot be given to templates",
        "Exception during preparation of query named 'Unprepared'. Query will be ignored.: AttributeError",
        "config.py exports Absent, but has no such attribute",
      ] {
        #expect(lines.contains { $0.contains(text) }, "\(text)\n\(lines)")
      }
      // What failed is asked for again in the next run.
      _ = fixture.log.take()
      set("refuse")
      fixture.core.templates.queries.replace()
      _ = try await answer(fixture)
      #expect(
        fixture.log.lines.contains {
          $0.hasSuffix(": INVALID_CREDENTIALS: Invalid credentials: *** (ldap://localhost:389, bind as cn=admin)")
        }, "\(fixture.log.lines)")
      // And so is a search that the LDAP server refuses.
      _ = fixture.log.take()
      set("wrong")
      _ = try await answer(fixture)
      #expect(
        fixture.log.lines.contains {
          $0.hasSuffix(
            ": FILTER_ERROR: Bad search filter (ldap://localhost:389, base dc=example, filter (host=one.example.com))")
        }, "\(fixture.log.lines)")
    }
  }

  @Test func aServerThatIsDownIsAskedAgain() async throws {
    let template = "${repr(metadata.Ldap['Users'] and metadata.Ldap['Users']['name'])}"
    for (failures, text, retries) in [(2, "Ann", ["1/3", "2/3"]), (4, "None", ["1/3", "2/3", "3/3"])] {
      try await LdapFixture.run(templates: ["t": template], state: "down \(failures)") { fixture, set async throws in
        // The name of an entry is the state's rest.
        #expect(try await fixture.rendered("/t") == (text == "Ann" ? "'\(failures)'" : text))
        let told = fixture.log.lines.compactMap { line in
          line.firstRange(of: "Retry ").map { String(line[$0.upperBound...].prefix(3)) }
        }
        #expect(told == retries)
        #expect(
          fixture.log.lines.contains { $0.hasSuffix("LdapConnection: Server ldap://localhost:389 down.") }
            == (failures == 4))
      }
    }
  }

  @Test func oneThatHangsKeepsNobodyWaiting() async throws {
    let patience = AwaitedQueries.patience
    AwaitedQueries.patience = .zero
    defer { AwaitedQueries.patience = patience }
    try await LdapFixture.run(
      templates: ["t": "${repr(metadata.Ldap['Users'])}", "u": "plain"], ldap: "timeout = 1\nprocesses = 1",
      state: "hang"
    ) { fixture, set async throws in
      let slow = Task { try await fixture.rendered("/t") }
      while fixture.core.templates.queryProcessIDs.isEmpty { await fixture.loop.nextIteration() }
      // There is one process for templates.
      #expect(try await fixture.rendered(template: "Cfg/u/u.genshi", of: "two.example.com") == "plain")
      #expect(try await slow.value == "None")
      #expect(fixture.log.lines.contains { $0.contains("the query took longer than 1 s ([ldap] timeout)") })
      set("name Ann")
      // The next request is tried at once.
      #expect(try await answer(fixture).contains("Ann"))
    }
  }

  @Test func aTemplateWaitsOutsideOfItsProcess() async throws {
    let patience = AwaitedQueries.patience
    AwaitedQueries.patience = .zero
    defer { AwaitedQueries.patience = patience }
    // Neither a handler that catches everything nor one template's wait for several queries changes that.
    let template = """
      {% python
      try:
          found = metadata.Ldap['Users']['name']
      except:
          found = 'caught'
      %}${found} ${metadata.Ldap['Others']['name']} ${metadata.query.by_name('two.example.com').Ldap['Users']['dn']}
      """
    for kind in ["t", "t.jinja2", "t.cheetah"] {
      let text = [
        "t": template, "t.jinja2": "{{ metadata.Ldap['Users'].name }}", "t.cheetah": "$metadata.Ldap['Users'].name",
      ]
      try await LdapFixture.run(templates: [kind: text[kind]!]) { fixture, _ async throws in
        let rendered = try await fixture.rendered("/t")
        #expect(
          rendered == (kind == "t" ? "Ann Ann cn=x,dc=example" : "Ann") || rendered == "Ann\n", "\(kind): \(rendered)")
      }
    }
  }

  @Test func anEditOfTheModuleCounts() async throws {
    try await LdapFixture.run(templates: ["t": "${metadata.Ldap['Users']['name']}"], ldap: "cache = true") {
      fixture, set async throws in
      #expect(try await answer(fixture).contains(">Ann<"))
      let good = LdapFixture.configuration
      fixture.edit("Ldap/config.py", good.replacing("['cn'][0]", with: "['cn'][0] + '!'"))
      #expect(try await answer(fixture).contains(">Ann!<"))
      // A broken one leaves the last good one, and is told of once, with its line.
      for (text, reason) in [
        (good + "x = (\n", "SyntaxError"), (good + "raise ValueError('of hunter-2')\n", "ValueError: of ***"),
        ("pass\n", "it has no __queries__ list"),
      ] {
        set("name \(reason.prefix(1))")
        fixture.edit("Ldap/config.py", text)
        for _ in 0..<2 { #expect(try await answer(fixture).contains(">\(reason.prefix(1))!<")) }
        let told = fixture.log.take().filter { $0.contains("Ldap: Failed to import") }
        #expect(told.count == 1 && told[0].contains("config.py: \(reason)"), "\(told)")
      }
    }
  }

  @Test func withoutAGoodModuleTheReasonIsTold() async throws {
    let template = ["t": "${metadata.Ldap['Users']}", "u": "plain"]
    for (configuration, module, reason) in [
      (nil, nil, "there is no "), ("x = (\n", nil, "SyntaxError"),
      (
        LdapFixture.configuration, "raise ImportError('none')",
        "python-ldap is not available: install the package python3-ldap"
      ),
    ] as [(String?, String?, String)] {
      try await LdapFixture.run(templates: template, configuration: configuration, module: module) {
        fixture, _ async throws in
        let failure = try await fixture.rendered("/t")
        #expect(failure.contains("Ldap: config.py cannot be used: ") && failure.contains(reason), "\(failure)")
        #expect(try await fixture.rendered("/u") == "plain")
      }
    }
  }

  /// Else each client would wait as long as the first one, and behind those before it.
  @Test func nobodyWaitsAgainWhereNobodyAnswers() async throws {
    try await LdapFixture.run(
      templates: ["t": "${repr(metadata.Ldap['Users'])}"], ldap: "retries = 0\nprocesses = 1\ntimeout = 180",
      state: "silent"
    ) { fixture, _ async throws in
      for client in ["one.example.com", "two.example.com"] as [ClientName] {
        #expect(try await fixture.rendered("/t", of: client) == "None")
      }
      let lines = fixture.log.take()
      #expect(lines.count { $0.contains("connect ldap://localhost:389") } == 1, "\(lines)")
      #expect(lines.count { $0.contains("LdapConnection: Server ldap://localhost:389 down") } == 2, "\(lines)")
    }
  }

  /// A picture in base64, say. What is looked for in the source takes time by its length alone.
  @Test func aModuleWithALongWordIsRead() async throws {
    let configuration = LdapFixture.configuration + "logo = '\(String(repeating: "A", count: 200_000))'\n"
    try await LdapFixture.run(templates: ["t": "${metadata.Ldap['Users']['name']}"], configuration: configuration) {
      fixture, _ async throws in
      #expect(try await fixture.rendered("/t") == "Ann")
    }
  }

  /// A check names the module as one that cannot be used, before a client asks.
  @Test func theModuleIsLoadedWhenItIsRead() async throws {
    try await LdapFixture.run(templates: [:], configuration: nil) { fixture, _ async throws in
      var failed: [String] = []
      fixture.core.templates.checks.gather()
      fixture.core.templates.onFailed = { path, reason in failed.append(reason) }
      fixture.edit("Ldap/config.py", "import nothing_of_this_name\n")
      await fixture.core.templates.checks.loadQueries()
      #expect(failed.count == 1 && failed[0].contains("No module named 'nothing_of_this_name' ("), "\(failed)")
      #expect(failed.first?.contains("line 1)") ?? false)
      fixture.core.templates.checks.end()
    }
  }

  @Test func theModuleOf13GivesAllOrNothing() async throws {
    let configuration = """
      from Bcfg2.Server.Plugins.Ldap import LdapConnection, LdapQuery, LdapSubQuery, register_query
      conn = LdapConnection('localhost', 389, 'cn=admin', 'hunter-2')
      class Sub(LdapSubQuery):
          connection = conn
          def prepare_query(self, metadata, word):
              self.filter = word
      @register_query
      class Users(LdapQuery):
          name = 'users'
          connection = conn
          def process_result(self, metadata):
              return [self.result[0][1]['cn'][0], Sub().get_result(metadata, word='a\\\\b')[0][0]]

      """
    let broken = """
      @register_query
      class Broken(LdapQuery):
          name = 'broken'

      """
    for (text, expected, searches) in [
      (configuration, "{'users': ['Ann', 'cn=x,']}", ["(objectClass=*)", "a\\\\b"]),
      (configuration + broken, "{}", ["(objectClass=*)", "a\\\\b"]),
    ] {
      try await LdapFixture.run(
        templates: ["t": "${repr(dict(metadata.Ldap))}"], configuration: text,
        conf: "[server]\ncompatibility = 1.3\n"
      ) { fixture, set async throws in
        #expect(try await fixture.rendered("/t") == expected)
        #expect(fixture.searches() == searches)
        if text == configuration {
          set("name Eve")
          #expect(try await answer(fixture).contains("Eve"))
        }
      }
    }
  }
}

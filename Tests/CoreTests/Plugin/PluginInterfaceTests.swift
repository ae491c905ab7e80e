import Core
import CoreSupport
import EventLoop
import Identity
import OrderedCollections
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

/// Every interface, used by the core or by a tool as its document says.
@Suite struct PluginInterfaceTests {
  private static func configuration(_ revision: String, _ inner: String) -> String {
    "<Configuration version=\"2.0\" revision=\"\(revision)\">\(inner)</Configuration>"
  }

  @Test func aConfigurationGoesThroughEveryInterfaceInOrder() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let fake = fixture.fake
      fake.handled = ["Path:/slow"]
      fake.binders["Path:/later"] = .later { [fake] entry, metadata in
        await fake.core.loop.nextIteration()
        entry["by"] = "later \(metadata.hostname)"
      }
      fake.groups = [.named("wanted"), .defined(MetadataGroup(name: "made", bundles: ["missing"]))]
      fake.data = FakeData(text: "x")
      fake.structures = { metadata in
        #expect(metadata.groups == ["base", "wanted", "made"])
        #expect((metadata[connector: "Fake"] as? FakeData)?.text == "x")
        return [FakePlugin.bundle("b", ["/slow", "/later", "/fast"])]
      }
      fake.validate = { $0[0].children.append(Element("BoundAction", ["name": "added"])) }
      fake.goal = { $0.children[0]["goal"] = "met" }
      let answer = await fixture.ask("GetConfig")
      #expect(
        answer
          == Self.configuration(
            "7",
            "<Bundle name=\"b\" goal=\"met\"><Path name=\"/fast\" by=\"fast\"/>"
              + "<Path name=\"/later\" by=\"later one\"/><Path name=\"/slow\" by=\"Fake slowly\"/>"
              + "<Action name=\"added\"/></Bundle>"))
      #expect(
        fake.calls == [
          "additionalGroups one", "additionalData one", "getRevision", "startClientRun one", "buildStructures one",
          "validateStructures one", "handlesEntry one", "handleEntry one", "validateGoals one", "endClientRun one",
        ])
      #expect(fixture.log.has("error Client one configuration missing bundles: missing"))
      #expect(
        fixture.log.lines.contains { $0.hasPrefix("info Generated config for one in ") && $0.hasSuffix("seconds") })
      #expect(fake.entryNames(tag: "Path") == ["/fast", "/later"])
    }
  }

  @Test func pluginsAreAskedBySortOrderThenByName() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      fixture.core.initPlugin(OtherFakePlugin.self)
      fixture.core.initPlugin(EarlyFakePlugin.self)
      #expect(fixture.core.plugins(of: (any Decision).self).map(\.name) == ["Early", "Fake", "Other"])
      for plugin in fixture.core.plugins.values {
        (plugin as? FakePlugin)?.decisions = [(tag: "Package", name: plugin.name)]
      }
      #expect(
        await fixture.ask("GetDecisionList", ["whitelist"])
          == "[[Package, whitelist Early], [Package, whitelist Fake], [Package, whitelist Other]]")
    }
  }

  @Test func probesGoOutAndTheirDataComesBack() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let probe = Element("probe", ["name": "p", "source": "Fake", "interpreter": "/bin/sh"])
      probe.text = "uname & date"
      fixture.fake.probes = [probe]
      #expect(
        await fixture.ask("GetProbes")
          == "<probes><probe name=\"p\" source=\"Fake\" interpreter=\"/bin/sh\">uname &amp; date</probe></probes>")
      let report =
        "<ProbeData><probe-data name=\"p\" source=\"Fake\">Linux</probe-data><probe-data name=\"q\" source=\"No\"/></ProbeData>"
      #expect(await fixture.ask("RecvProbeData", [.string(report)]) == "true")
      #expect(fixture.fake.received.map(\.text) == ["Linux"])
      #expect(fixture.log.has("warning Failed to locate plugin No"))
    }
  }

  @Test func statisticsGoToPluginsAndTheStateToTheLog() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let report =
        "<upload-statistics><Node name=\"one\"><Statistics state=\"dirty\" version=\"2.0\"/></Node></upload-statistics>"
      #expect(await fixture.ask("RecvStats", [.string(report)]) == "true")
      #expect(fixture.fake.received.count == 1 && fixture.fake.calls.last == "endStatistics one")
      #expect(fixture.log.has("info Client one reported state dirty"))
      // Statistics of an old client are not for plugins.
      #expect(await fixture.ask("RecvStats", [.string(report.replacing("2.0", with: "1.0"))]) == "true")
      #expect(fixture.fake.received.count == 1)
    }
  }

  @Test func oneDenialIsEnough() async throws {
    let cases: [(ACLDecision, Bool, ACLDecision, String)] = [
      (.allow, false, .allow, "[]"), (.deny, true, .allow, "denied"), (.undecided, true, .allow, "[]"),
      (.undecided, false, .allow, "denied"), (.allow, true, .deny, "denied"), (.undecided, true, .deny, "denied"),
    ]
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      fixture.core.initPlugin(OtherFakePlugin.self)
      let other = try fixture.plugin(OtherFakePlugin.self)
      for (address, metadata, second, expected) in cases {
        fixture.fake.decision = address
        fixture.fake.isAllowedByMetadata = metadata
        other.decision = second
        #expect(await fixture.ask("GetDecisionList", ["blacklist"]) == expected, "\(address) \(metadata) \(second)")
      }
      #expect(fixture.log.has("warning Client one failed metadata ACL checks for GetDecisionList"))
      #expect(fixture.log.has("warning Client 10.0.0.1 failed IP-based ACL checks for GetDecisionList"))
    }
  }

  @Test func methodsOfPluginsGetNoAddressAndAreNotForEverybody() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      #expect(await fixture.ask("Fake.Ask", ["x"]) == "denied")
      let local = ClientAddress(ip: "127.0.0.1", port: 1)
      let outcome = await fixture.core.dispatch(MethodCall(method: "Fake.Ask", params: ["x"]), from: local)
      #expect(outcome.line == "[x]")
      let none = await fixture.core.dispatch(MethodCall(method: "Fake.Nothing", params: []), from: local)
      #expect(none.line == "fault -32601 Unknown method Fake.Nothing")
      let wrong = await fixture.core.dispatch(MethodCall(method: "Fake.Ask", params: []), from: local)
      #expect(wrong.line == "fault 1 Ask() takes exactly 2 arguments (1 given)")
    }
  }

  @Test func cachesExpireByKind() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      fixture.core.expireCaches(of: (any Connector).self, key: "one")
      fixture.core.expireCaches(of: (any Metadata).self)
      fixture.core.expireCaches(of: (any Generator).self)
      #expect(fixture.fake.expired == ["one", nil])
    }
  }

  @Test func whatAClientHasIsPulledIntoTheRepository() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let core = fixture.core
      let fake = fixture.fake
      fake.binders["Path:/extra"] = .now { _, _ in }
      core.initPlugin(OtherFakePlugin.self)
      let other = try fixture.plugin(OtherFakePlugin.self)
      let extra = try await core.extraEntries(of: "one")
      #expect(extra.map(\.name) == ["/extra"])
      @MainActor func pull(_ name: String = "/extra", _ choose: ([String]) -> String? = { $0.first }) async -> String {
        do {
          return try await core.pull("one", tag: "Path", name: name, choosing: choose) ?? "none"
        } catch {
          return "\(error)"
        }
      }
      #expect(await pull() == "H_one")
      #expect(fake.received.map(\.name) == ["/extra"] && other.received.isEmpty)
      #expect(await pull("/extra") { $0.last } == "all")
      #expect(await pull("/extra") { _ in nil } == "none")
      #expect(await pull("/nobody") == "Got wrong numbers of matching generators for entry:[]")
      other.binders["Path:/extra"] = .now { _, _ in }
      #expect(await pull() == "Got wrong numbers of matching generators for entry:[Fake, Other]")
      other.binders = [:]
      // The next source is asked where the first has not got the entry.
      fake.failures["getCurrentEntry"] = PluginExecutionError("not here")
      #expect(await pull() == "H_one")
      other.failures["getCurrentEntry"] = PluginExecutionError("nor here")
      #expect(await pull() == "Pull Source failure; could not fetch current state: nor here")
      fake.failures["getCurrentEntry"] = Boom()
      #expect(await pull() == "boom")
      fake.failures = [:]
      for requirement in ["acceptChoices", "acceptPullData"] {
        fake.failures = [requirement: PluginExecutionError("no")]
        #expect(await pull() == "Configuration upload not supported by plugin Fake: no")
        fake.failures = [requirement: Boom()]
        #expect(await pull() == "boom")
      }
      fake.failures = ["getExtra": Boom()]
      await #expect(throws: Boom.self) { try await core.extraEntries(of: "one") }
      // One that waits for long holds up nobody.
      let gate = Gate()
      fake.failures = [:]
      fake.gates["getCurrentEntry"] = gate
      let held = Task { await pull() }
      #expect(await fixture.wait { gate.count == 1 })
      #expect(await fixture.ask("GetConfig", client: 2).hasPrefix("<Configuration"))
      gate.open()
      #expect(await held.value == "H_one")
    }
  }

  @Test func aPullEndsInCfg() async throws {
    let files = RepositoryFixture.twoClients.merging([
      "Cfg/extra/extra": "old\n", "Rules/r.xml": "<Rules priority='1'/>",
    ]) { $1 }
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Cfg", "Rules"]
    try await RepositoryFixture.run(files: files, settings: settings) { (fixture: RepositoryFixture) async throws in
      await #expect(throws: PluginExecutionError.self) {
        _ = try await fixture.core.pull("one", tag: "Path", name: "/extra")
      }
      fixture.core.initPlugin(FakePlugin.self)
      try fixture.plugin(FakePlugin.self).pulled = { $0.text = "pulled\n" }
      let path = try await fixture.core.pull("one", tag: "Path", name: "/extra") { $0.last }
      #expect(path == fixture.repository.file("Cfg/extra/extra.H_one"))
      let entry = Element("Path", ["name": "/extra"])
      try await fixture.core.bind(entry, try await fixture.core.buildMetadata("one"))
      #expect(entry.text == "pulled\n")
      fixture.edit("Rules/r.xml", "<Rules priority='1'><Path name='/ruled'/></Rules>")
      do {
        _ = try await fixture.core.pull("one", tag: "Path", name: "/ruled")
        Issue.record("Rules takes nothing")
      } catch {
        #expect("\(error)" == "Configuration upload not supported by plugin Rules")
      }
    }
  }

  @Test func templatesGetTheVariablesOfEveryProvider() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      let core = fixture.core
      let metadata = try await core.buildMetadata("one")
      let entry = Element("Path", ["name": "/t"])
      @MainActor func text(_ variables: [String: any ConnectorData]) -> String? {
        (variables["fake"] as? FakeData)?.text
      }
      #expect(text(try core.templateData(entry: entry, metadata: metadata, template: "t")) == "Fake /t t")
      #expect(text(try core.xmlTemplateData(path: "p", metadata: metadata)) == "Fake p")
      core.initPlugin(EarlyFakePlugin.self)
      let variables = try core.templateData(
        entry: entry, metadata: metadata, template: "t", reserved: ["metadata", "Fake"])
      #expect(text(variables) == "Early /t t" && variables.keys.sorted() == ["Early", "fake"])
      #expect(fixture.log.has("warning Duplicate template variable fake provided by both Fake and Early"))
      #expect(fixture.log.has("warning Duplicate template variable Fake provided by both Fake and the renderer"))
      for name in ["templateData", "xmlTemplateData"] { fixture.fake.failures[name] = Boom() }
      #expect(throws: Boom.self) { try core.templateData(entry: entry, metadata: metadata, template: "t") }
      #expect(throws: Boom.self) { try core.xmlTemplateData(path: "p", metadata: metadata) }
    }
  }

  @Test func aProviderThatThrowsFailsTheTemplateAlone() async throws {
    final class Renderer: XMLTemplateRenderer {
      unowned let core: ServerCore
      init(_ core: ServerCore) { self.core = core }
      func render(path: String, _ metadata: ClientMetadata) async throws -> Element {
        let variables = try core.xmlTemplateData(path: path, metadata: metadata, reserved: ["metadata", "repo"])
        let bundle = Element("Bundle")
        bundle.children = [
          Element("BoundPath", ["name": "/v", "keys": variables.keys.sorted().joined(separator: " ")])
        ]
        return bundle
      }
    }
    let files = RepositoryFixture.files(
      bundle: "<BoundPath name='/plain'/>",
      ["Bundler/t.xml": "<Bundle xmlns:py='http://genshi.edgewall.org/' name='${x}'/>"])
    let groups = files["Metadata/groups.xml"]!.replacing("<Group name=\"web\"/>", with: "<Bundle name=\"t\"/>")
    try await RepositoryFixture.run(
      files: files.merging(["Metadata/groups.xml": groups]) { $1 }, settings: RepositoryFixture.settings()
    ) { (fixture: RepositoryFixture) async throws in
      fixture.core.initPlugin(FakePlugin.self)
      let renderer = Renderer(fixture.core)
      fixture.core.xmlTemplateRenderer = renderer
      #expect(try await fixture.entry("/v")?["keys"] == "Fake fake")
      try fixture.plugin(FakePlugin.self).failures["xmlTemplateData"] = Boom()
      #expect(try await fixture.entries() == ["Path:/plain"])
    }
  }

  @Test func aRevisionIsAskedForAgainAfterAChange() async throws {
    try await RepositoryFixture.runWithFake { (fixture: RepositoryFixture) async throws in
      _ = await fixture.ask("GetConfig")
      _ = await fixture.ask("GetConfig")
      #expect(fixture.fake.calls.filter { $0 == "getRevision" }.count == 1)
      fixture.fake.revision = "8"
      fixture.edit(
        "Metadata/groups.xml", RepositoryFixture.twoClients["Metadata/groups.xml"]! + "<!-- edited -->")
      #expect(await fixture.ask("GetConfig").contains("revision=\"8\""))
    }
  }
}

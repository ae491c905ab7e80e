import EventLoop
import Support
import Testing
import XMLRPC

@testable import Server

/// Every interface, used by the core or by a tool as its document says.
@Suite struct PluginInterfaceTests {
  private static func configuration(_ revision: String, _ inner: String) -> String {
    "<Configuration version=\"2.0\" revision=\"\(revision)\">\(inner)</Configuration>"
  }

  @Test func aConfigurationGoesThroughEveryInterfaceInOrder() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      let fake = bench.fake
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
        return [FakeBench.bundle("b", ["/slow", "/later", "/fast"])]
      }
      fake.validate = { $0[0].children.append(Element("BoundAction", ["name": "added"])) }
      fake.goal = { $0.children[0]["goal"] = "met" }
      let answer = await bench.ask("GetConfig")
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
      #expect(bench.log.has("error Client one configuration missing bundles: missing"))
      #expect(
        bench.log.lines.contains { $0.hasPrefix("info Generated config for one in ") && $0.hasSuffix("seconds") })
      #expect(fake.entryNames(tag: "Path") == ["/fast", "/later"])
    }
  }

  @Test func pluginsAreAskedBySortOrderThenByName() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      bench.core.initPlugin(OtherFakePlugin.self)
      bench.core.initPlugin(EarlyFakePlugin.self)
      #expect(bench.core.plugins(of: (any Decision).self).map(\.name) == ["Early", "Fake", "Other"])
      for plugin in bench.core.plugins.values {
        (plugin as? FakePlugin)?.decisions = [(tag: "Package", name: plugin.name)]
      }
      #expect(
        await bench.ask("GetDecisionList", ["whitelist"])
          == "[[Package, whitelist Early], [Package, whitelist Fake], [Package, whitelist Other]]")
    }
  }

  @Test func probesGoOutAndTheirDataComesBack() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      let probe = Element("probe", ["name": "p", "source": "Fake", "interpreter": "/bin/sh"])
      probe.text = "uname & date"
      bench.fake.probes = [probe]
      #expect(
        await bench.ask("GetProbes")
          == "<probes><probe name=\"p\" source=\"Fake\" interpreter=\"/bin/sh\">uname &amp; date</probe></probes>")
      let report =
        "<ProbeData><probe-data name=\"p\" source=\"Fake\">Linux</probe-data><probe-data name=\"q\" source=\"No\"/></ProbeData>"
      #expect(await bench.ask("RecvProbeData", [.string(report)]) == "true")
      #expect(bench.fake.received.map(\.text) == ["Linux"])
      #expect(bench.log.has("warning Failed to locate plugin No"))
    }
  }

  @Test func statisticsGoToPluginsAndTheStateToTheLog() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      let report =
        "<upload-statistics><Node name=\"one\"><Statistics state=\"dirty\" version=\"2.0\"/></Node></upload-statistics>"
      #expect(await bench.ask("RecvStats", [.string(report)]) == "true")
      #expect(bench.fake.received.count == 1 && bench.fake.calls.last == "endStatistics one")
      #expect(bench.log.has("info Client one reported state dirty"))
      // Statistics of an old client are not for plugins.
      #expect(await bench.ask("RecvStats", [.string(report.replacing("2.0", with: "1.0"))]) == "true")
      #expect(bench.fake.received.count == 1)
    }
  }

  @Test func oneDenialIsEnough() async throws {
    let cases: [(ACLDecision, Bool, ACLDecision, String)] = [
      (.allow, false, .allow, "[]"), (.deny, true, .allow, "denied"), (.undecided, true, .allow, "[]"),
      (.undecided, false, .allow, "denied"), (.allow, true, .deny, "denied"), (.undecided, true, .deny, "denied"),
    ]
    try await FakeBench.run { (bench: FakeBench) async throws in
      bench.core.initPlugin(OtherFakePlugin.self)
      let other = try bench.bench.plugin(OtherFakePlugin.self)
      for (address, metadata, second, expected) in cases {
        bench.fake.decision = address
        bench.fake.isAllowedByMetadata = metadata
        other.decision = second
        #expect(await bench.ask("GetDecisionList", ["blacklist"]) == expected, "\(address) \(metadata) \(second)")
      }
      #expect(bench.log.has("warning Client one failed metadata ACL checks for GetDecisionList"))
      #expect(bench.log.has("warning Client 10.0.0.1 failed IP-based ACL checks for GetDecisionList"))
    }
  }

  @Test func methodsOfPluginsGetNoAddressAndAreNotForEverybody() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      #expect(await bench.ask("Fake.Ask", ["x"]) == "denied")
      let local = ClientAddress(ip: "127.0.0.1", port: 1)
      let outcome = await bench.core.dispatch(MethodCall(method: "Fake.Ask", params: ["x"]), from: local)
      #expect(FakeBench.text(outcome) == "[x]")
      let none = await bench.core.dispatch(MethodCall(method: "Fake.Nothing", params: []), from: local)
      #expect(FakeBench.text(none) == "fault -32601 Unknown method Fake.Nothing")
      let wrong = await bench.core.dispatch(MethodCall(method: "Fake.Ask", params: []), from: local)
      #expect(FakeBench.text(wrong) == "fault 1 Ask() takes exactly 2 arguments (1 given)")
    }
  }

  @Test func cachesExpireByKind() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      bench.core.expireCaches(of: (any Connector).self, key: "one")
      bench.core.expireCaches(of: (any Metadata).self)
      bench.core.expireCaches(of: (any Generator).self)
      #expect(bench.fake.expired == ["one", nil])
    }
  }

  @Test func toolsFindTemplateDataPullSourcesAndPullTargets() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      let metadata = try await bench.core.buildMetadata("one")
      let entry = Element("Path", ["name": "/t"])
      let provider = try #require(bench.core.plugins(of: (any TemplateDataProvider).self).first)
      #expect(
        (try provider.templateData(entry: entry, metadata: metadata, template: "t")["fake"] as? FakeData)?.text
          == "/t t")
      #expect((try provider.xmlTemplateData(path: "p", metadata: metadata)["fake"] as? FakeData)?.text == "p")
      let source = try #require(bench.core.plugins(of: (any PullSource).self).first)
      let extra = try await source.getExtra("one")
      #expect(extra.map(\.name) == ["/extra"])
      let current = try await source.getCurrentEntry("one", tag: extra[0].tag, name: extra[0].name)
      let target = try #require(bench.core.plugins(of: (any PullTarget).self).first)
      let choices = try target.acceptChoices(current, metadata)
      #expect(choices == ["H_one", "all"])
      try await target.acceptPullData(specificTo: choices[0], current)
      #expect(bench.fake.received.map(\.name) == ["/extra"])
      for name in ["templateData", "acceptChoices", "getExtra"] { bench.fake.failures[name] = Boom() }
      #expect(throws: Boom.self) { try provider.templateData(entry: entry, metadata: metadata, template: "t") }
      #expect(throws: Boom.self) { try target.acceptChoices(current, metadata) }
      await #expect(throws: Boom.self) { try await source.getExtra("one") }
    }
  }

  @Test func aRevisionIsAskedForAgainAfterAChange() async throws {
    try await FakeBench.run { (bench: FakeBench) async throws in
      _ = await bench.ask("GetConfig")
      _ = await bench.ask("GetConfig")
      #expect(bench.fake.calls.filter { $0 == "getRevision" }.count == 1)
      bench.fake.revision = "8"
      bench.bench.edit("Metadata/groups.xml", FakeBench.metadata["Metadata/groups.xml"]! + "<!-- edited -->")
      #expect(await bench.ask("GetConfig").contains("revision=\"8\""))
    }
  }
}

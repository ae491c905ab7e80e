import Core
import CoreSupport
import EventLoop
import Glibc
import Identity
import Repository
import ServerSettings
import Support
import Templates
import Testing
import XMLRPC

@testable import Plugins

@Suite struct ProbesTests {
  private static let metadata = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\"><Group name=\"web\"/></Group></Groups>",
    "Metadata/clients.xml": """
    <Clients><Client name="one" profile="base" version="1.4.0"/><Client name="two" profile="base"/></Clients>
    """,
  ]
  private static var settings: Settings {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Probes"]
    settings[ProbesOptions.standard.layout] = .file
    return settings
  }

  private func files(_ more: [String: String]) -> [String: String] { Self.metadata.merging(more) { $1 } }

  private func output(_ probe: String?, _ text: String?) -> Element {
    let element = Element("probe-data", probe.map { ["name": $0, "source": "Probes"] } ?? ["source": "Probes"])
    element.text = text
    return element
  }

  /// `name interpreter text` of each probe.
  private func probes(_ fixture: RepositoryFixture, _ client: ClientName) async throws -> [String] {
    let metadata = try await fixture.core.buildMetadata(client)
    return try await fixture.plugin(ProbesPlugin.self).getProbes(metadata).map {
      "\($0["name"] ?? "-") \($0["interpreter"] ?? "-") \($0.text ?? "-")"
    }
  }

  @Test func aFilesNameTellsItsProbeAndWhoGetsIt() {
    let cases: [(String, String?, Specificity?)] = [
      ("a", "a", .all), ("under_score-9", "under_score-9", .all),
      ("a.H_one.example.com", "a", .host("one.example.com")),
      ("a.G05_web", "a", .group("web", priority: 5)), ("a.G100_web", "a.G100_web", .group("web", priority: 100)),
      ("a.G5_web", "a.G5_web", .group("web", priority: 5)), ("a.sh", nil, nil), (".hidden", nil, nil), ("a~", nil, nil),
      ("a.G05_", nil, nil), ("", nil, nil),
    ]
    for (file, probe, specificity) in cases {
      let parsed = ProbeSet.parse(file)
      #expect(parsed?.probe == probe && parsed?.specificity == specificity, "\(file)")
    }
  }

  @Test func theMostSpecificProgramIsSent() async throws {
    let programs = [
      "Probes/a": "#! /bin/bash -e \nall", "Probes/a.G10_web": "web", "Probes/a.G20_web": "more",
      "Probes/a.H_two": "two",
      "Probes/a.G90_absent": "no", "Probes/b": "#!/bin/sh\ngrüße",
    ]
    try await RepositoryFixture.run(files: files(programs), settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      #expect(try await probes(fixture, "one") == ["a /bin/sh more", "b /bin/sh #!/bin/sh\ngrüße"])
      // A client that declared no version gets only ASCII.
      #expect(try await probes(fixture, "two") == ["a /bin/sh two"])
      for name in ["a.G10_web", "a.G20_web", "b"] { unlink(fixture.repository.file("Probes/\(name)")) }
      fixture.edit("Probes/c", "#!/usr/bin/perl -w\n1")
      #expect(
        try await probes(fixture, "one")
          == ["a /bin/bash -e  #! /bin/bash -e \nall", "c /usr/bin/perl -w #!/usr/bin/perl -w\n1"])
      fixture.edit("Probes/c", "bell \u{7}")
      #expect(try await probes(fixture, "one").last == "c /usr/bin/perl -w #!/usr/bin/perl -w\n1")
    }
  }

  @Test(arguments: [
    ("group:one\ndata\ngroup: two \n", ["one", "two"], "data\n"), ("group:a:b\n", ["a:b"], ""),
    ("group:a b\n", ["a"], ""), ("group:\nrest\n", [], "group:\nrest\n"),
    (" group:x\nGROUP:y", [], " group:x\nGROUP:y"),
    ("group:\ttab\r\nx\r\n", ["tab"], "x\r\n"), ("group:denied\nx", [], "x"), ("group:one\ngroup:one", ["one"], ""),
    ("plain", [], "plain"),
  ])
  func groupLinesAreTakenOut(_ text: String, _ groups: [String], _ rest: String) async throws {
    var settings = Self.settings
    settings[ProbesOptions.standard.allowedGroups] = ["o.e|two", "a(:b)?", "tab"]
    try await RepositoryFixture.run(files: files([:]), settings: settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(ProbesPlugin.self)
      let metadata = try await fixture.core.buildMetadata("one")
      try await plugin.receiveData(metadata, [output("p", text)])
      let now = try await fixture.core.buildMetadata("one")
      #expect(now.groups == NameSet(groups + ["base", "web"]))
      let data = now[connector: "Probes"] as? ProbeDataSet
      #expect(data?["p"]?.text == rest)
    }
  }

  @Test func probesWhoseNamesLookTheSameAreTwo() {
    let report = ProbeReport(timestamp: "1", probes: [("Kernel", "own"), ("\u{212A}ernel", "other")], groups: [])
    let data = ProbeDataSet(timestamp: report.timestamp, body: report.body)
    #expect(data["Kernel"]?.text == "own" && data["\u{212A}ernel"]?.text == "other")
    #expect(data.templateItem("Kernel") == "own" && data.templateKeys.count == 2)
    let alone = ProbeReport(timestamp: "1", probes: [("\u{212A}ernel", "other")], groups: [])
    #expect(ProbeDataSet(timestamp: "1", body: alone.body).templateItem("Kernel") == nil)
  }

  @Test func secondColonEndsAGroupWithTheOlderServer() async throws {
    var settings = Self.settings
    settings.compatibility = .v1_3
    try await RepositoryFixture.run(files: files([:]), settings: settings) {
      (fixture: RepositoryFixture) async throws in
      let metadata = try await fixture.core.buildMetadata("one")
      try await fixture.plugin(ProbesPlugin.self).receiveData(
        metadata, [output("p", "group: a b :c\ngroup:\u{A0}d\u{2003}\n")])
      #expect(try await fixture.core.buildMetadata("one").groups.isSuperset(of: ["a b", "d"]))
    }
  }

  @Test func reportsAreInProbedXMLBeforeTheyAreAnswered() async throws {
    try await RepositoryFixture.run(files: files([:]), settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(ProbesPlugin.self)
      #expect(try fixture.text("Probes/probed.xml") == "<Probed/>\n")
      let one = try await fixture.core.buildMetadata("one")
      let two = try await fixture.core.buildMetadata("two")
      let data = [output("b", "group:g\n<a href=\"x\">\t&\r\né"), output("a", nil), output(nil, "nameless")]
      let first = Task { try await plugin.receiveData(two, data) }
      let second = Task { try await plugin.receiveData(one, [output("x", "1")]) }
      try await first.value
      try await second.value
      let text = try fixture.text("Probes/probed.xml").replacing(#/timestamp="\d+"/#, with: "timestamp=\"T\"")
      #expect(
        text == """
          <Probed>
            <Client name="one" timestamp="T">
              <Probe name="x" value="1"/>
            </Client>
            <Client name="two" timestamp="T">
              <Probe name="a" value=""/>
              <Probe name="b" value="&lt;a href=&quot;x&quot;&gt;&#9;&amp;&#13;&#10;é"/>
              <Group name="g"/>
            </Client>
          </Probed>

          """)
      try await plugin.receiveData(two, [])
      #expect(try fixture.text("Probes/probed.xml").contains("<Client name=\"two\" timestamp=\"") == true)
      #expect(try fixture.text("Probes/probed.xml").contains("<Group") == false)
    }
  }

  @Test func whatIsThereAtTheStartAndWhatIsEditedCounts() async throws {
    let given = """
      <Probed><Client name="one" timestamp="1"><Probe name="a" value="kept&#10;x"/><Group name="old"/></Client></Probed>
      """
    try await RepositoryFixture.run(files: files(["Probes/probed.xml": given]), settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      let metadata = try await fixture.core.buildMetadata("one")
      #expect(metadata.groups.contains("old"))
      let data = metadata[connector: "Probes"] as? ProbeDataSet
      #expect(data?.timestamp == "1" && data?["a"]?.text == "kept\nx" && data?["b"] == nil)
      fixture.edit("Probes/probed.xml", "<Probed><Client")
      #expect(try await fixture.core.buildMetadata("one").groups.contains("old"))
      fixture.edit("Probes/probed.xml", "<Probed><Client name=\"one\"><Group name=\"new\"/></Client></Probed>")
      #expect(try await fixture.core.buildMetadata("one").groups == ["base", "web", "new"])
      // The monitor has not reported it yet: the file is read before it is written.
      fixture.repository.write("<Probed><Client name=\"gone\"/></Probed>", to: "Probes/probed.xml")
      try await fixture.plugin(ProbesPlugin.self).receiveData(metadata, [output("a", "1")])
      #expect(try fixture.text("Probes/probed.xml").contains("  <Client name=\"gone\" timestamp=\"0\"/>\n"))
    }
  }

  @Test func sameReportWaitsForTheEnd() async throws {
    try await RepositoryFixture.run(files: files([:]), settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(ProbesPlugin.self)
      let metadata = try await fixture.core.buildMetadata("one")
      try await plugin.receiveData(metadata, [output("a", "1")])
      let text = try fixture.text("Probes/probed.xml")
      let path = fixture.repository.file("Probes/probed.xml")
      var before = stat()
      var after = stat()
      #expect(stat(path, &before) == 0)
      try await plugin.receiveData(metadata, [output("a", "1")])
      #expect(stat(path, &after) == 0 && after.st_ino == before.st_ino)
      plugin.shutdown()
      #expect(stat(path, &after) == 0 && after.st_ino != before.st_ino)
      #expect(try fixture.text("Probes/probed.xml").utf8.count == text.utf8.count)
    }
  }

  @Test func aReportThatCannotBeWrittenIsRefused() async throws {
    try await RepositoryFixture.run(files: files([:]), settings: Self.settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(ProbesPlugin.self)
      let metadata = try await fixture.core.buildMetadata("one")
      let disk = HeldSynchronizer(isHolding: false)
      fixture.core.loop.fileWriter.synchronizer = disk
      disk.failure = ENOSPC
      await #expect(throws: FileWriteError.self) { try await plugin.receiveData(metadata, [output("a", "group:x")]) }
      #expect(try fixture.text("Probes/probed.xml") == "<Probed/>\n")
      #expect(try await fixture.core.buildMetadata("one").groups == ["base", "web"])
      // Reported again, it is written.
      disk.failure = 0
      try await plugin.receiveData(metadata, [output("a", "1")])
      #expect(try fixture.text("Probes/probed.xml").contains("value=\"1\""))
    }
  }

  @Test func linesCostNoMemoryOfTheirOwn() {
    // A million lines: one array for the rest, and none if no line names a group.
    let text = String(repeating: "\n", count: 1 << 20)
    var groups: [String] = []
    var output = ProbeOutput(text, compatibility: .v1_4) { groups.append($0) }
    #expect(output.data == text && output.lineCount == (1 << 20) + 1 && groups.isEmpty && output.groupCount == 0)
    output = ProbeOutput(text + "group:a\n" + text, compatibility: .v1_4) { groups.append($0) }
    #expect(output.data == text + text && output.groupCount == 1 && groups == ["a"])
    #expect(ProbeOutput("", compatibility: .v1_4) { _ in }.lineCount == 1)
  }

  /// The limit that a report exceeds; nil if it is accepted.
  private func exceeded(_ fixture: RepositoryFixture, _ data: [Element]) async throws -> LimitExceeded? {
    let metadata = try await fixture.core.buildMetadata("one")
    do {
      try await fixture.plugin(ProbesPlugin.self).receiveData(metadata, data)
      return nil
    } catch let error as LimitExceeded {
      return error
    }
  }

  @Test func whatIsKeptForAClientIsBounded() async throws {
    let conf = """
      [probes]
      layout = file
      client_bytes = 2k
      client_lines = 100
      client_probes = 3
      client_groups = 2
      """
    var settings = try Settings(conf: conf, path: "test.conf")
    settings.plugins = Self.settings.plugins
    settings.password = Self.settings.password
    try await RepositoryFixture.run(files: files([:]), settings: settings) {
      (fixture: RepositoryFixture) async throws in
      func text(_ byte: String, _ count: Int) -> String { String(repeating: byte, count: count) }
      #expect(try await exceeded(fixture, [output("a", text("x", 1900))]) == nil)
      let kept = try fixture.text("Probes/probed.xml")
      #expect(
        try await exceeded(fixture, [output("a", text("x", 1200)), output("b", text("x", 1200))])
          == LimitExceeded("[probes] client_bytes", 2048))
      // Counted as written: a line feed takes five bytes.
      #expect(
        try await exceeded(fixture, [output("a", text(text("\n", 10) + "xxxx", 50))])
          == LimitExceeded("[probes] client_lines", 100))
      #expect(
        try await exceeded(fixture, [output("a", text("\"", 500))]) == LimitExceeded("[probes] client_bytes", 2048))
      #expect(
        try await exceeded(fixture, (0..<4).map { output("a\($0)", "") }) == LimitExceeded("[probes] client_probes", 3))
      #expect(
        try await exceeded(fixture, [output(text("n", 1025), "")]) == LimitExceeded("argumentBytes", 1024))
      // Nothing of a refused report is stored.
      #expect(try fixture.text("Probes/probed.xml") == kept)
      #expect(try await exceeded(fixture, [output("a", "group:x\ngroup:y\ngroup:z\n")]) == nil)
      #expect(try await fixture.core.buildMetadata("one").groups == ["base", "web", "x", "y"])
    }
  }
}

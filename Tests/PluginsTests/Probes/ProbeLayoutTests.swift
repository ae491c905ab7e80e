import CoreSupport
import EventLoop
import Glibc
import Identity
import Repository
import ServerSettings
import Support
import Testing

@testable import Core
@testable import Plugins

/// `[probes] layout`: where probe data is stored, and the effect of others' edits there.
@Suite struct ProbeLayoutTests {
  private static let metadata = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\" default=\"true\"/></Groups>",
    "Metadata/clients.xml":
      "<Clients><Client name=\"one\" profile=\"base\"/><Client name=\"two\" profile=\"base\"/></Clients>",
  ]

  private func run(
    _ files: [String: String] = [:], layout: ProbeStore.Layout = .client,
    _ body: (RepositoryFixture, ProbesPlugin) async throws -> Void
  ) async throws {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Probes"]
    settings[ProbesOptions.standard.layout] = layout
    try await RepositoryFixture.run(files: Self.metadata.merging(files) { $1 }, settings: settings) {
      (fixture: RepositoryFixture) async throws in
      try await body(fixture, try fixture.plugin(ProbesPlugin.self))
    }
  }

  private func report(_ fixture: RepositoryFixture, _ client: ClientName, _ text: String) async throws {
    let element = Element("probe-data", ["name": "p", "source": "Probes"])
    element.text = text
    let metadata = try await fixture.core.buildMetadata(client)
    try await fixture.plugin(ProbesPlugin.self).receiveData(metadata, [element])
  }

  private func value(_ fixture: RepositoryFixture, _ client: ClientName) async throws -> String? {
    (try await fixture.core.buildMetadata(client)[connector: "Probes"] as? ProbeDataSet)?["p"]?.text
  }

  private func groups(_ fixture: RepositoryFixture, _ client: ClientName) async throws -> Set<String> {
    Set(try await fixture.core.buildMetadata(client).groups).subtracting(["base"])
  }

  private static func client(_ name: String, _ time: Int, _ text: String) -> String {
    "<Client name=\"\(name)\" timestamp=\"\(time)\"><Probe name=\"p\" value=\"\(text)\"/></Client>"
  }

  /// probed.xml as other programs read it, after the copy is written.
  private func copied(_ fixture: RepositoryFixture) async throws -> [String: String] {
    let store = try fixture.plugin(ProbesPlugin.self).store
    while store.isWriting == true || store.isCopying == true { await fixture.core.loop.nextIteration() }
    let root = try ProbedFile.parse(Array(try fixture.text("Probes/probed.xml").utf8))
    return Dictionary(uniqueKeysWithValues: root.children.map { ($0.name ?? "", $0.children.first?["value"] ?? "") })
  }

  // MARK: Reports

  @Test func aReportIsInItsClientsFileAndInTheCopy() async throws {
    try await run {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      try await report(fixture, "one", "group:g\n<&\"\n")
      try await report(fixture, "two", "2")
      let text = try fixture.text("Probes/probed.d/one.xml").replacing(#/timestamp="\d+"/#, with: "timestamp=\"T\"")
      #expect(
        text == """
            <Client name="one" timestamp="T">
              <Probe name="p" value="&lt;&amp;&quot;&#10;"/>
              <Group name="g"/>
            </Client>

          """)
      #expect(try await copied(fixture) == ["one": "<&\"\n", "two": "2"])
      #expect(fixture.repository.names(in: "Probes/probed.d") == ["one.xml", "two.xml"])
      // The monitor reports the server's own writes: nothing changes.
      let changes = fixture.core.ownChanges
      let generations = fixture.core.clientGenerations
      fixture.monitor.processPending()
      #expect(fixture.core.ownChanges == changes && fixture.core.clientGenerations == generations)
    }
  }

  @Test func aReportCostsItsOwnSize() async throws {
    let large = String(repeating: "x", count: ProbeStore.copiedAtOnceBytes)
    try await run(["Probes/probed.xml": "<Probed>\(Self.client("large", 1, large))</Probed>"]) {
      (fixture: RepositoryFixture, plugin: ProbesPlugin) async throws in
      let copy = try fixture.text("Probes/probed.xml")
      let disk = HeldSynchronizer(isHolding: false)
      fixture.core.loop.fileWriter.synchronizer = disk
      try await report(fixture, "one", "1")
      #expect(disk.begun == 2 && disk.begunFolders == 1)
      let tasks = (0..<30).map { number in Task { try await report(fixture, "client\(number)", "\(number)") } }
      for task in tasks { try await task.value }
      // New clients are written to clients.xml first; their reports share the folder's synchronization.
      #expect(fixture.repository.names(in: "Probes/probed.d").count == 32)
      #expect(try fixture.text("Probes/probed.xml") == copy)
      // The copy is written on request, and at the end.
      _ = try await plugin.rmi["write_probed_xml"]?.call([])
      #expect(try await copied(fixture).count == 32)
      try await report(fixture, "one", "2")
      plugin.shutdown()
      #expect(try await copied(fixture)["one"] == "2")
    }
  }

  @Test func reportsOfOneIterationShareTheFoldersSynchronization() async throws {
    let clients = (0..<30).map { "<Client name=\"client\($0)\" profile=\"base\"/>" }.joined()
    try await run(["Metadata/clients.xml": "<Clients>\(clients)</Clients>"]) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      var ended = 0
      for number in 0..<30 {
        Task {
          try await report(fixture, "client\(number)", "\(number)")
          ended += 1
        }
      }
      // The copy is one more write.
      while disk.heldCount < 31 { await fixture.core.loop.nextIteration() }
      disk.release()
      while disk.heldCount < 2 { await fixture.core.loop.nextIteration() }
      #expect(disk.begun == 33 && disk.begunFolders == 2 && ended == 0)
      disk.isHolding = false
      disk.release()
      while ended < 30 { await fixture.core.loop.nextIteration() }
      #expect(disk.begun == 33)
    }
  }

  @Test func aReportThatCannotBeWrittenIsRefused() async throws {
    try await run {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      try await report(fixture, "one", "group:old")
      let disk = HeldSynchronizer(isHolding: false)
      fixture.core.loop.fileWriter.synchronizer = disk
      disk.failure = EIO
      await #expect(throws: FileWriteError.self) { try await report(fixture, "one", "group:new") }
      #expect(try await groups(fixture, "one") == ["old"])
      disk.failure = 0
      try await report(fixture, "one", "group:new")
      #expect(try await groups(fixture, "one") == ["new"])
    }
  }

  @Test(arguments: [ProbeStore.Layout.client, .file])
  func othersAreServedWhileTheDiskIsWaitedFor(layout: ProbeStore.Layout) async throws {
    try await run(layout: layout) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      var order: [String] = []
      let slow = Task {
        try await report(fixture, "one", "1")
        order.append("slow")
      }
      while disk.heldCount == 0 { await fixture.core.loop.nextIteration() }
      for number in 0..<1000 {
        #expect(try await value(fixture, "two") == nil)
        order.append("\(number)")
      }
      disk.isHolding = false
      disk.release()
      try await slow.value
      #expect(order.count == 1001 && order.last == "slow")
      #expect(try await value(fixture, "one") == "1")
    }
  }

  @Test func namesBecomeFilesOfTheFolder() throws {
    #expect(ProbedFolder.fileName(of: "a.example.com") == "a.example.com.xml")
    let long = try ClientName(recorded: String(repeating: "é", count: 127))
    let other = try ClientName(recorded: String(repeating: "é", count: 126) + "e")
    for name in [long, other] {
      let file = ProbedFolder.fileName(of: name)
      #expect(file.utf8.count <= 255 && file.hasSuffix(".xml"))
    }
    #expect(ProbedFolder.fileName(of: long) != ProbedFolder.fileName(of: other))
  }

  // MARK: Edits

  @Test func anEditOfAClientsFileCountsAtOnce() async throws {
    try await run {
      (fixture: RepositoryFixture, plugin: ProbesPlugin) async throws in
      plugin.store.removalDelay = .zero
      try await report(fixture, "one", "1")
      fixture.edit("Probes/probed.d/one.xml", Self.client("one", 5, "edited"))
      #expect(try await value(fixture, "one") == "edited")
      fixture.edit("Probes/probed.d/two.xml", Self.client("two", 5, "new"))
      #expect(try await value(fixture, "two") == "new")
      // A file of another client, or a broken one, is ignored.
      fixture.edit("Probes/probed.d/two.xml", Self.client("one", 6, "wrong"))
      fixture.edit("Probes/probed.d/one.xml", "<Client")
      #expect(try await value(fixture, "one") == "edited")
      #expect(try await value(fixture, "two") == "new")
      // A report does not overwrite an unreadable file.
      try await report(fixture, "one", "2")
      #expect(try fixture.text("Probes/probed.d/one.xml.broken") == "<Client")
      #expect(try await value(fixture, "one") == "2")
      unlink(fixture.repository.file("Probes/probed.d/one.xml"))
      fixture.monitor.processPending()
      while try await value(fixture, "one") != nil { await fixture.core.loop.nextIteration() }
      #expect(fixture.repository.names(in: "Probes/probed.d") == ["one.xml.broken", "two.xml"])
      #expect(try await copied(fixture) == ["two": "new"])
    }
  }

  @Test func aLinkInTheFolderLeadsNowhere() async throws {
    try await run { (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      fixture.repository.write("kept", to: "elsewhere")
      #expect(symlink(fixture.repository.file("elsewhere"), fixture.repository.file("Probes/probed.d/one.xml")) == 0)
      await #expect(throws: ProbeStoreError.self) { try await report(fixture, "one", "1") }
      #expect(try fixture.text("elsewhere") == "kept")
      try await report(fixture, "two", "2")
      #expect(try await value(fixture, "two") == "2")
    }
  }

  @Test func anEditOfTheCopyCountsAtOnce() async throws {
    try await run {
      (fixture: RepositoryFixture, plugin: ProbesPlugin) async throws in
      try await report(fixture, "one", "1")
      try await report(fixture, "two", "2")
      #expect(try await copied(fixture).count == 2)
      fixture.edit("Probes/probed.xml", "<Probed>\(Self.client("one", 1, "edited"))</Probed>")
      #expect(try await value(fixture, "one") == "edited")
      #expect(try await value(fixture, "two") == nil)
      #expect(fixture.repository.names(in: "Probes/probed.d") == ["one.xml"])
      try await report(fixture, "two", "3")
      #expect(try await copied(fixture) == ["one": "edited", "two": "3"])
      #expect(try fixture.text("Probes/probed.d/one.xml").contains("edited"))
    }
  }

  @Test func anEditWhileTheDiskIsWaitedForIsNotLost() async throws {
    try await run(["Probes/probed.xml": "<Probed>\(Self.client("two", 1, "2"))</Probed>"], layout: .file) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      let task = Task { try await report(fixture, "one", "1") }
      while disk.heldCount == 0 { await fixture.core.loop.nextIteration() }
      fixture.repository.write("<Probed>\(Self.client("two", 1, "edited"))</Probed>", to: "Probes/probed.xml")
      disk.isHolding = false
      disk.release()
      try await task.value
      #expect(try await copied(fixture) == ["one": "1", "two": "edited"])
      #expect(try await value(fixture, "two") == "edited")
    }
    // The client's file has its report, which is newer than the edit.
    try await run(["Probes/probed.d/one.xml": Self.client("one", 1, "0")]) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      let task = Task { try await report(fixture, "one", "1") }
      while disk.heldCount < 2 { await fixture.core.loop.nextIteration() }
      fixture.edit("Probes/probed.d/one.xml", Self.client("one", 1, "edited"))
      disk.isHolding = false
      disk.release()
      try await task.value
      #expect(try await value(fixture, "one") == "1")
      #expect(try fixture.text("Probes/probed.d/one.xml").contains("value=\"1\""))
    }
  }

  // MARK: Starts

  @Test(arguments: 0...4)
  func takingOverCanBeCutOffAnywhere(step: Int) async throws {
    // The first files exist, one is being written, probed.xml is not replaced yet.
    let clients = (0..<4).map { Self.client("client\($0)", 7, "\($0)") }
    var files = ["Probes/probed.xml": "<Probed>\(clients.joined())</Probed>"]
    for number in 0..<step { files["Probes/probed.d/client\(number).xml"] = clients[number] }
    files["Probes/probed.d/.#atomic-write-0000000000000"] = "<Clie"
    try await run(files) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      for number in 0..<4 { #expect(try await value(fixture, "client\(number)") == "\(number)") }
      #expect(
        fixture.repository.names(in: "Probes/probed.d").filter { !$0.hasPrefix(".#") }
          == (0..<4).map { "client\($0).xml" })
      #expect(try await copied(fixture).count == 4)
    }
  }

  @Test func whatBcfg2sServerWroteMeanwhileIsTakenWhereItIsYounger() async throws {
    let files = [
      "Probes/probed.d/one.xml": Self.client("one", 5, "ours"),
      "Probes/probed.d/two.xml": Self.client("two", 5, "ours"),
      "Probes/probed.xml":
        "<Probed>\(Self.client("one", 6, "theirs"))\(Self.client("two", 4, "theirs"))\(Self.client("new", 1, "theirs"))</Probed>",
    ]
    try await run(files) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try await value(fixture, "one") == "theirs")
      #expect(try await value(fixture, "two") == "ours")
      #expect(try await value(fixture, "new") == "theirs")
      #expect(try await copied(fixture) == ["one": "theirs", "two": "ours", "new": "theirs"])
    }
  }

  @Test func aCopyOfOurOwnBringsNoClientBack() async throws {
    let kept = TemporaryDirectory()
    try await run {
      (fixture: RepositoryFixture, plugin: ProbesPlugin) async throws in
      try await report(fixture, "one", "1")
      try await report(fixture, "two", "2")
      plugin.shutdown()
      for name in ["probed.xml", "probed.d/one.xml", "probed.d/two.xml"] {
        kept.write(try fixture.text("Probes/\(name)"), to: name)
      }
    }
    func text(_ name: String) throws -> String {
      try kept.text(name)
    }
    // The administrator removed a client's file while no server ran.
    let copy = try text("probed.xml")
    let two = try text("probed.d/two.xml")
    try await run(["Probes/probed.xml": copy, "Probes/probed.d/two.xml": two]) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try await value(fixture, "one") == nil)
      #expect(try await copied(fixture) == ["two": "2"])
    }
    // The folder was not in the backup.
    try await run(["Probes/probed.xml": copy]) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try await value(fixture, "one") == "1")
      #expect(fixture.repository.names(in: "Probes/probed.d") == ["one.xml", "two.xml"])
    }
    // Killed after a client's file, before the copy.
    let newer = try text("probed.d/one.xml").replacing("value=\"1\"", with: "value=\"newer\"")
    try await run([
      "Probes/probed.xml": copy, "Probes/probed.d/two.xml": two, "Probes/probed.d/one.xml": newer,
    ]) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try await value(fixture, "one") == "newer")
      #expect(try await copied(fixture) == ["one": "newer", "two": "2"])
    }
  }

  @Test func theWayBackToOneFileLosesNothing() async throws {
    let files = [
      "Probes/probed.d/one.xml": Self.client("one", 5, "new"), "Probes/probed.d/two.xml": Self.client("two", 5, "2"),
      "Probes/probed.xml": "<Probed>\(Self.client("one", 4, "old"))\(Self.client("x", 1, "x"))</Probed>",
    ]
    try await run(files, layout: .file) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try await copied(fixture) == ["one": "new", "two": "2", "x": "x"])
      #expect(!fileExists(fixture.repository.file("Probes/probed.d")))
      try await report(fixture, "one", "newest")
      #expect(try await copied(fixture)["one"] == "newest")
      #expect(!fileExists(fixture.repository.file("Probes/probed.d")))
    }
  }

  @Test(arguments: [ProbeStore.Layout.client, .file], ["<Probed><Client name=\"lost\"", "", "<Probed>\u{1}</Probed>"])
  func anUnreadableStoreIsMovedAsideAndNotWrittenOver(layout: ProbeStore.Layout, text: String) async throws {
    let files = [
      "Probes/probed.xml": text, "Probes/probed.xml.broken": "an earlier one",
      "Probes/probed.d/one.xml": Self.client("one", 5, "1"),
    ]
    try await run(files, layout: layout) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try fixture.text("Probes/probed.xml.broken-2") == text)
      #expect(try fixture.text("Probes/probed.xml.broken") == "an earlier one")
      #expect(try await value(fixture, "one") == "1")
      try await report(fixture, "two", "2")
      #expect(try await copied(fixture) == ["one": "1", "two": "2"])
      #expect(try fixture.text("Probes/probed.xml.broken-2") == text)
    }
  }

  @Test func aBrokenFileOfAClientIsMovedAside() async throws {
    try await run([
      "Probes/probed.d/one.xml": "<Client name=\"one\"", "Probes/probed.d/two.xml": Self.client("two", 5, "2"),
    ]) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      #expect(try fixture.text("Probes/probed.d/one.xml.broken") == "<Client name=\"one\"")
      #expect(try await value(fixture, "two") == "2")
      try await report(fixture, "one", "1")
      #expect(fixture.repository.names(in: "Probes/probed.d") == ["one.xml", "one.xml.broken", "two.xml"])
    }
  }

  @Test(arguments: [ProbeStore.Layout.client, .file])
  func aStoreThatIsBrokenByHandIsMovedAsideByTheNextReport(layout: ProbeStore.Layout) async throws {
    try await run(layout: layout) {
      (fixture: RepositoryFixture, _: ProbesPlugin) async throws in
      try await report(fixture, "one", "1")
      fixture.edit("Probes/probed.xml", "<Probed><Client")
      #expect(try await value(fixture, "one") == "1")
      try await report(fixture, "two", "2")
      #expect(try await copied(fixture) == ["one": "1", "two": "2"])
      #expect(try fixture.text("Probes/probed.xml.broken") == "<Probed><Client")
    }
  }

  @Test func noMoreIsWrittenThanIsRead() async throws {
    try await run(layout: .file) {
      (fixture: RepositoryFixture, plugin: ProbesPlugin) async throws in
      try await report(fixture, "one", "1")
      let before = try fixture.text("Probes/probed.xml")
      plugin.limitStore(to: before.utf8.count + 50)
      await #expect(throws: ProbeStoreError.self) {
        try await report(fixture, "two", String(repeating: "2", count: 100))
      }
      #expect(try fixture.text("Probes/probed.xml") == before)
      // Files that fit are still written, beside others that do not.
      let small = Task { try await report(fixture, "one", "2") }
      let large = Task { try await report(fixture, "two", String(repeating: "2", count: 100)) }
      try await small.value
      await #expect(throws: ProbeStoreError.self) { try await large.value }
      #expect(try await copied(fixture) == ["one": "2"])
    }
    try await run {
      (fixture: RepositoryFixture, plugin: ProbesPlugin) async throws in
      try await report(fixture, "one", "1")
      plugin.limitStore(to: 200)
      await #expect(throws: ProbeStoreError.self) {
        try await report(fixture, "two", String(repeating: "2", count: 200))
      }
      // The server's own writes, without the copy.
      try await report(fixture, "three", String(repeating: "3", count: 80))
      #expect(try await value(fixture, "three")?.utf8.count == 80)
    }
  }
}

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

/// `[probes] layout`: where probe data is, and what becomes of it when somebody else writes there.
@Suite struct ProbeLayoutTests {
  private static let metadata = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\" default=\"true\"/></Groups>",
    "Metadata/clients.xml":
      "<Clients><Client name=\"one\" profile=\"base\"/><Client name=\"two\" profile=\"base\"/></Clients>",
  ]

  private func run(
    _ files: [String: String] = [:], layout: String = "client",
    _ body: (CoreBench, ProbesPlugin) async throws -> Void
  ) async throws {
    var settings = CoreBench.settings
    settings.plugins = ["Metadata", "Probes"]
    settings.probesLayout = layout
    try await CoreBench.run(files: Self.metadata.merging(files) { $1 }, settings: settings) {
      (bench: CoreBench) async throws in
      try await body(bench, try bench.plugin(ProbesPlugin.self))
    }
  }

  private func report(_ bench: CoreBench, _ client: ClientName, _ text: String) async throws {
    let element = Element("probe-data", ["name": "p", "source": "Probes"])
    element.text = text
    let metadata = try await bench.core.buildMetadata(client)
    try await bench.plugin(ProbesPlugin.self).receiveData(metadata, [element])
  }

  private func value(_ bench: CoreBench, _ client: ClientName) async throws -> String? {
    (try await bench.core.buildMetadata(client)[connector: "Probes"] as? ProbeDataSet)?["p"]?.text
  }

  private func groups(_ bench: CoreBench, _ client: ClientName) async throws -> Set<String> {
    Set(try await bench.core.buildMetadata(client).groups).subtracting(["base"])
  }

  private static func client(_ name: String, _ time: Int, _ text: String) -> String {
    "<Client name=\"\(name)\" timestamp=\"\(time)\"><Probe name=\"p\" value=\"\(text)\"/></Client>"
  }

  /// What other programs make of probed.xml, once the copy is made.
  private func copied(_ bench: CoreBench) async throws -> [String: String] {
    let store = try bench.plugin(ProbesPlugin.self).store
    while store?.isWriting == true || store?.isCopying == true { await bench.core.loop.nextIteration() }
    let root = try ProbedFile.parse(Array(try bench.text("Probes/probed.xml").utf8))
    return Dictionary(uniqueKeysWithValues: root.children.map { ($0.name ?? "", $0.children.first?["value"] ?? "") })
  }

  // MARK: Reports

  @Test func aReportIsInItsClientsFileAndInTheCopy() async throws {
    try await run {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      try await report(bench, "one", "group:g\n<&\"\n")
      try await report(bench, "two", "2")
      let text = try bench.text("Probes/probed.d/one.xml").replacing(#/timestamp="\d+"/#, with: "timestamp=\"T\"")
      #expect(
        text == """
            <Client name="one" timestamp="T">
              <Probe name="p" value="&lt;&amp;&quot;&#10;"/>
              <Group name="g"/>
            </Client>

          """)
      #expect(try await copied(bench) == ["one": "<&\"\n", "two": "2"])
      #expect(bench.repository.names(in: "Probes/probed.d") == ["one.xml", "two.xml"])
      // The monitor tells of the server's own writes: nothing is new.
      let changes = bench.core.ownChanges
      let generations = bench.core.clientGenerations
      bench.monitor.processPending()
      #expect(bench.core.ownChanges == changes && bench.core.clientGenerations == generations)
    }
  }

  @Test func aReportCostsItsOwnSize() async throws {
    let large = String(repeating: "x", count: ProbeStore.copiedAtOnceBytes)
    try await run(["Probes/probed.xml": "<Probed>\(Self.client("large", 1, large))</Probed>"]) {
      (bench: CoreBench, plugin: ProbesPlugin) async throws in
      let copy = try bench.text("Probes/probed.xml")
      let disk = HeldSynchronizer(isHolding: false)
      bench.core.loop.fileWriter.synchronizer = disk
      try await report(bench, "one", "1")
      #expect(disk.begun == 2 && disk.begunFolders == 1)
      let tasks = (0..<30).map { number in Task { try await report(bench, "client\(number)", "\(number)") } }
      for task in tasks { try await task.value }
      // Clients that are new are in clients.xml first; their reports share the folder's synchronization.
      #expect(bench.repository.names(in: "Probes/probed.d").count == 32)
      #expect(try bench.text("Probes/probed.xml") == copy)
      // The copy comes when it is asked for, and at the end.
      _ = try await plugin.rmi["write_probed_xml"]?.call([])
      #expect(try await copied(bench).count == 32)
      try await report(bench, "one", "2")
      plugin.shutdown()
      #expect(try await copied(bench)["one"] == "2")
    }
  }

  @Test func reportsOfOneIterationShareTheFoldersSynchronization() async throws {
    let clients = (0..<30).map { "<Client name=\"client\($0)\" profile=\"base\"/>" }.joined()
    try await run(["Metadata/clients.xml": "<Clients>\(clients)</Clients>"]) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      bench.core.loop.fileWriter.synchronizer = disk
      var ended = 0
      for number in 0..<30 {
        Task {
          try await report(bench, "client\(number)", "\(number)")
          ended += 1
        }
      }
      // The copy is one more.
      while disk.heldCount < 31 { await bench.core.loop.nextIteration() }
      disk.release()
      while disk.heldCount < 2 { await bench.core.loop.nextIteration() }
      #expect(disk.begun == 33 && disk.begunFolders == 2 && ended == 0)
      disk.isHolding = false
      disk.release()
      while ended < 30 { await bench.core.loop.nextIteration() }
      #expect(disk.begun == 33)
    }
  }

  @Test func aReportThatCannotBeWrittenIsRefused() async throws {
    try await run {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      try await report(bench, "one", "group:old")
      let disk = HeldSynchronizer(isHolding: false)
      bench.core.loop.fileWriter.synchronizer = disk
      disk.failure = EIO
      await #expect(throws: FileWriteError.self) { try await report(bench, "one", "group:new") }
      #expect(try await groups(bench, "one") == ["old"])
      disk.failure = 0
      try await report(bench, "one", "group:new")
      #expect(try await groups(bench, "one") == ["new"])
    }
  }

  @Test(arguments: ["client", "file"])
  func othersAreServedWhileTheDiskIsWaitedFor(layout: String) async throws {
    try await run(layout: layout) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      bench.core.loop.fileWriter.synchronizer = disk
      var order: [String] = []
      let slow = Task {
        try await report(bench, "one", "1")
        order.append("slow")
      }
      while disk.heldCount == 0 { await bench.core.loop.nextIteration() }
      for number in 0..<1000 {
        #expect(try await value(bench, "two") == nil)
        order.append("\(number)")
      }
      disk.isHolding = false
      disk.release()
      try await slow.value
      #expect(order.count == 1001 && order.last == "slow")
      #expect(try await value(bench, "one") == "1")
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
      (bench: CoreBench, plugin: ProbesPlugin) async throws in
      plugin.store.removalDelay = .zero
      try await report(bench, "one", "1")
      bench.edit("Probes/probed.d/one.xml", Self.client("one", 5, "edited"))
      #expect(try await value(bench, "one") == "edited")
      bench.edit("Probes/probed.d/two.xml", Self.client("two", 5, "new"))
      #expect(try await value(bench, "two") == "new")
      // Another client's, or broken: not taken.
      bench.edit("Probes/probed.d/two.xml", Self.client("one", 6, "wrong"))
      bench.edit("Probes/probed.d/one.xml", "<Client")
      #expect(try await value(bench, "one") == "edited")
      #expect(try await value(bench, "two") == "new")
      // A report does not write over what cannot be read.
      try await report(bench, "one", "2")
      #expect(try bench.text("Probes/probed.d/one.xml.broken") == "<Client")
      #expect(try await value(bench, "one") == "2")
      unlink(bench.repository.file("Probes/probed.d/one.xml"))
      bench.monitor.processPending()
      while try await value(bench, "one") != nil { await bench.core.loop.nextIteration() }
      #expect(bench.repository.names(in: "Probes/probed.d") == ["one.xml.broken", "two.xml"])
      #expect(try await copied(bench) == ["two": "new"])
    }
  }

  @Test func aLinkInTheFolderLeadsNowhere() async throws {
    try await run { (bench: CoreBench, _: ProbesPlugin) async throws in
      bench.repository.write("kept", to: "elsewhere")
      #expect(symlink(bench.repository.file("elsewhere"), bench.repository.file("Probes/probed.d/one.xml")) == 0)
      await #expect(throws: ProbeStoreError.self) { try await report(bench, "one", "1") }
      #expect(try bench.text("elsewhere") == "kept")
      try await report(bench, "two", "2")
      #expect(try await value(bench, "two") == "2")
    }
  }

  @Test func anEditOfTheCopyCountsAtOnce() async throws {
    try await run {
      (bench: CoreBench, plugin: ProbesPlugin) async throws in
      try await report(bench, "one", "1")
      try await report(bench, "two", "2")
      #expect(try await copied(bench).count == 2)
      bench.edit("Probes/probed.xml", "<Probed>\(Self.client("one", 1, "edited"))</Probed>")
      #expect(try await value(bench, "one") == "edited")
      #expect(try await value(bench, "two") == nil)
      #expect(bench.repository.names(in: "Probes/probed.d") == ["one.xml"])
      try await report(bench, "two", "3")
      #expect(try await copied(bench) == ["one": "edited", "two": "3"])
      #expect(try bench.text("Probes/probed.d/one.xml").contains("edited"))
    }
  }

  @Test func anEditWhileTheDiskIsWaitedForIsNotLost() async throws {
    try await run(["Probes/probed.xml": "<Probed>\(Self.client("two", 1, "2"))</Probed>"], layout: "file") {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      bench.core.loop.fileWriter.synchronizer = disk
      let task = Task { try await report(bench, "one", "1") }
      while disk.heldCount == 0 { await bench.core.loop.nextIteration() }
      bench.repository.write("<Probed>\(Self.client("two", 1, "edited"))</Probed>", to: "Probes/probed.xml")
      disk.isHolding = false
      disk.release()
      try await task.value
      #expect(try await copied(bench) == ["one": "1", "two": "edited"])
      #expect(try await value(bench, "two") == "edited")
    }
    // A client's own file is as its report says, which came later than what was edited there.
    try await run(["Probes/probed.d/one.xml": Self.client("one", 1, "0")]) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      let disk = HeldSynchronizer()
      bench.core.loop.fileWriter.synchronizer = disk
      let task = Task { try await report(bench, "one", "1") }
      while disk.heldCount < 2 { await bench.core.loop.nextIteration() }
      bench.edit("Probes/probed.d/one.xml", Self.client("one", 1, "edited"))
      disk.isHolding = false
      disk.release()
      try await task.value
      #expect(try await value(bench, "one") == "1")
      #expect(try bench.text("Probes/probed.d/one.xml").contains("value=\"1\""))
    }
  }

  // MARK: Starts

  @Test(arguments: 0...4)
  func takingOverCanBeCutOffAnywhere(step: Int) async throws {
    // The first files are there, one is being written, probed.xml is not yet replaced.
    let clients = (0..<4).map { Self.client("client\($0)", 7, "\($0)") }
    var files = ["Probes/probed.xml": "<Probed>\(clients.joined())</Probed>"]
    for number in 0..<step { files["Probes/probed.d/client\(number).xml"] = clients[number] }
    files["Probes/probed.d/.#atomic-write-0000000000000"] = "<Clie"
    try await run(files) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      for number in 0..<4 { #expect(try await value(bench, "client\(number)") == "\(number)") }
      #expect(
        bench.repository.names(in: "Probes/probed.d").filter { !$0.hasPrefix(".#") }
          == (0..<4).map { "client\($0).xml" })
      #expect(try await copied(bench).count == 4)
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
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try await value(bench, "one") == "theirs")
      #expect(try await value(bench, "two") == "ours")
      #expect(try await value(bench, "new") == "theirs")
      #expect(try await copied(bench) == ["one": "theirs", "two": "ours", "new": "theirs"])
    }
  }

  @Test func aCopyOfOurOwnBringsNoClientBack() async throws {
    let kept = TemporaryDirectory()
    try await run {
      (bench: CoreBench, plugin: ProbesPlugin) async throws in
      try await report(bench, "one", "1")
      try await report(bench, "two", "2")
      plugin.shutdown()
      for name in ["probed.xml", "probed.d/one.xml", "probed.d/two.xml"] {
        kept.write(try bench.text("Probes/\(name)"), to: name)
      }
    }
    func text(_ name: String) throws -> String {
      String(decoding: try AtomicFile.readFile(kept.file(name), limitBytes: 1 << 20), as: UTF8.self)
    }
    // The administrator has removed a client's file while no server ran.
    let copy = try text("probed.xml")
    let two = try text("probed.d/two.xml")
    try await run(["Probes/probed.xml": copy, "Probes/probed.d/two.xml": two]) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try await value(bench, "one") == nil)
      #expect(try await copied(bench) == ["two": "2"])
    }
    // The folder was not in the backup.
    try await run(["Probes/probed.xml": copy]) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try await value(bench, "one") == "1")
      #expect(bench.repository.names(in: "Probes/probed.d") == ["one.xml", "two.xml"])
    }
    // Killed between a client's file and the copy.
    let newer = try text("probed.d/one.xml").replacing("value=\"1\"", with: "value=\"newer\"")
    try await run([
      "Probes/probed.xml": copy, "Probes/probed.d/two.xml": two, "Probes/probed.d/one.xml": newer,
    ]) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try await value(bench, "one") == "newer")
      #expect(try await copied(bench) == ["one": "newer", "two": "2"])
    }
  }

  @Test func theWayBackToOneFileLosesNothing() async throws {
    let files = [
      "Probes/probed.d/one.xml": Self.client("one", 5, "new"), "Probes/probed.d/two.xml": Self.client("two", 5, "2"),
      "Probes/probed.xml": "<Probed>\(Self.client("one", 4, "old"))\(Self.client("x", 1, "x"))</Probed>",
    ]
    try await run(files, layout: "file") {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try await copied(bench) == ["one": "new", "two": "2", "x": "x"])
      #expect(!fileExists(bench.repository.file("Probes/probed.d")))
      try await report(bench, "one", "newest")
      #expect(try await copied(bench)["one"] == "newest")
      #expect(!fileExists(bench.repository.file("Probes/probed.d")))
    }
  }

  @Test(arguments: ["client", "file"], ["<Probed><Client name=\"lost\"", "", "<Probed>\u{1}</Probed>"])
  func anUnreadableStoreIsMovedAsideAndNotWrittenOver(layout: String, text: String) async throws {
    let files = [
      "Probes/probed.xml": text, "Probes/probed.xml.broken": "an earlier one",
      "Probes/probed.d/one.xml": Self.client("one", 5, "1"),
    ]
    try await run(files, layout: layout) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try bench.text("Probes/probed.xml.broken-2") == text)
      #expect(try bench.text("Probes/probed.xml.broken") == "an earlier one")
      #expect(try await value(bench, "one") == "1")
      try await report(bench, "two", "2")
      #expect(try await copied(bench) == ["one": "1", "two": "2"])
      #expect(try bench.text("Probes/probed.xml.broken-2") == text)
    }
  }

  @Test func aBrokenFileOfAClientIsMovedAside() async throws {
    try await run([
      "Probes/probed.d/one.xml": "<Client name=\"one\"", "Probes/probed.d/two.xml": Self.client("two", 5, "2"),
    ]) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      #expect(try bench.text("Probes/probed.d/one.xml.broken") == "<Client name=\"one\"")
      #expect(try await value(bench, "two") == "2")
      try await report(bench, "one", "1")
      #expect(bench.repository.names(in: "Probes/probed.d") == ["one.xml", "one.xml.broken", "two.xml"])
    }
  }

  @Test(arguments: ["client", "file"])
  func aStoreThatIsBrokenByHandIsMovedAsideByTheNextReport(layout: String) async throws {
    try await run(layout: layout) {
      (bench: CoreBench, _: ProbesPlugin) async throws in
      try await report(bench, "one", "1")
      bench.edit("Probes/probed.xml", "<Probed><Client")
      #expect(try await value(bench, "one") == "1")
      try await report(bench, "two", "2")
      #expect(try await copied(bench) == ["one": "1", "two": "2"])
      #expect(try bench.text("Probes/probed.xml.broken") == "<Probed><Client")
    }
  }

  @Test func noMoreIsWrittenThanIsRead() async throws {
    try await run(layout: "file") {
      (bench: CoreBench, plugin: ProbesPlugin) async throws in
      try await report(bench, "one", "1")
      let before = try bench.text("Probes/probed.xml")
      plugin.limitStore(to: before.utf8.count + 50)
      await #expect(throws: ProbeStoreError.self) {
        try await report(bench, "two", String(repeating: "2", count: 100))
      }
      #expect(try bench.text("Probes/probed.xml") == before)
      // What fits is written still, also beside what does not.
      let small = Task { try await report(bench, "one", "2") }
      let large = Task { try await report(bench, "two", String(repeating: "2", count: 100)) }
      try await small.value
      await #expect(throws: ProbeStoreError.self) { try await large.value }
      #expect(try await copied(bench) == ["one": "2"])
    }
    try await run {
      (bench: CoreBench, plugin: ProbesPlugin) async throws in
      try await report(bench, "one", "1")
      plugin.limitStore(to: 200)
      await #expect(throws: ProbeStoreError.self) {
        try await report(bench, "two", String(repeating: "2", count: 200))
      }
      // Of its own, without the copy.
      try await report(bench, "three", String(repeating: "3", count: 80))
      #expect(try await value(bench, "three")?.utf8.count == 80)
    }
  }
}

import EventLoop
import Glibc
import Identity
import Support
import Testing

@testable import Plugins

/// A deleted folder of clients' files, with more data than each report copies; and files that cannot be
/// written beside others that can.
@Suite(.serialized) struct ProbeRestoringTests {
  private func run(_ body: (Reactor) async throws -> Void) async throws {
    try await LoopDriver.withLoop(body)
  }

  private static let pad = String(repeating: "x", count: ProbeStore.copiedAtOnceBytes)

  /// Clients one, two and three with data `1`, of which two's is large.
  private func largeSite(_ loop: Reactor) async throws -> ProbeSite {
    let site = ProbeSite(on: loop)
    for name in ["one", "three"] as [ClientName] { try await site.report(name, "1") }
    try await site.report("two", Self.pad)
    await site.quiet()
    try await site.store.copy()
    return site
  }

  /// Continues the held disk step by step.
  private func step(_ site: ProbeSite, _ loop: Reactor, until condition: () -> Bool) async {
    while !condition() {
      await site.wait { site.disk.heldCount > 0 || condition() }
      site.disk.release()
      await loop.nextIteration()
    }
  }

  private func clientFiles(_ site: ProbeSite) -> [String] { site.files.filter { $0.hasSuffix(".xml") } }

  /// What a start after `kill -9` at this moment finds.
  private func knownAfterKill(_ site: ProbeSite, _ loop: Reactor) throws -> [String: String] {
    let copy = TemporaryDirectory()
    copy.write(try site.text, to: "Probes/probed.xml")
    for name in clientFiles(site) {
      let bytes = try AtomicFile.readFile(site.folder.file("Probes/probed.d/\(name)"), limitBytes: 1 << 20)
      copy.write(String(decoding: bytes, as: UTF8.self), to: "Probes/probed.d/\(name)")
    }
    let store = ProbeStore(
      layout: .client, pluginFolder: copy.file("Probes"), isReadOnly: true, loop: loop, logger: site.store.logger)
    var known: [String: String] = [:]
    for client in store.table.names {
      known[client.text] = ProbeDataSet(timestamp: "0", body: try #require(store[client]).body)["p"]?.text
    }
    return known
  }

  // MARK: Deleted

  @Test func aSecondDeletionWhileTheFilesAreWrittenAgainLosesNothing() async throws {
    try await run { (loop: Reactor) async throws in
      let site = try await largeSite(loop)
      site.removeFolder()
      site.disk.isHolding = true
      var isAcknowledged = false
      let report = Task {
        try await site.report("one", "2", at: 101)
        isAcknowledged = true
      }
      await step(site, loop) { isAcknowledged }
      try await report.value
      site.removeFolder()
      // Other files that were written by now.
      let next = Task { try await site.report("three", "2", at: 102) }
      await step(site, loop) { !clientFiles(site).isEmpty }
      let known = try knownAfterKill(site, loop)
      #expect(known["one"] == "2" && known.count == 3)
      site.disk.isHolding = false
      site.disk.release()
      try await next.value
      await site.quiet()
      #expect(clientFiles(site) == ["one.xml", "three.xml", "two.xml"])
    }
  }

  @Test func aSecondDeletionAfterTheFilesWereWrittenAgainLosesNothing() async throws {
    try await run { (loop: Reactor) async throws in
      let site = try await largeSite(loop)
      site.removeFolder()
      try await site.report("one", "2", at: 101)
      await site.quiet()
      #expect(try site.text.contains("A copy of"), "a start would go by what is none")
      try await site.report("three", "2", at: 102)
      await site.quiet()
      site.removeFolder()
      site.disk.isHolding = true
      let report = Task { try await site.report("one", "3", at: 103) }
      await step(site, loop) { !clientFiles(site).isEmpty }
      #expect(clientFiles(site) == ["one.xml"])
      #expect(try knownAfterKill(site, loop) == ["one": "3", "two": Self.pad, "three": "2"])
      site.disk.isHolding = false
      site.disk.release()
      try await report.value
      await site.quiet()
    }
  }

  @Test func whereProbedXMLWasRemovedTooItIsWrittenFirst() async throws {
    try await run { (loop: Reactor) async throws in
      let site = try await largeSite(loop)
      site.remove("Probes/probed.xml")
      site.store.reloadIfChanged()
      site.removeFolder()
      site.disk.isHolding = true
      let report = Task { try await site.report("one", "2", at: 101) }
      await step(site, loop) { !clientFiles(site).isEmpty }
      #expect(try knownAfterKill(site, loop) == ["one": "2", "two": Self.pad, "three": "1"])
      site.disk.isHolding = false
      site.disk.release()
      try await report.value
      await site.quiet()
    }
  }

  /// Two reports within one second, and after the clock was set back.
  @Test(arguments: [100, 50])
  func whatWasReportedAfterADeletionCountsWhateverItsTimestamp(time: Int) async throws {
    try await run { (loop: Reactor) async throws in
      let site = try await largeSite(loop)
      site.removeFolder()
      site.disk.isHolding = true
      let report = Task { try await site.report("one", "2", at: time) }
      await step(site, loop) { !clientFiles(site).isEmpty }
      #expect(clientFiles(site) == ["one.xml"])
      #expect(try knownAfterKill(site, loop) == ["one": "2", "two": Self.pad, "three": "1"])
      site.disk.isHolding = false
      site.disk.release()
      try await report.value
      await site.quiet()
      #expect(clientFiles(site) == ["one.xml", "three.xml", "two.xml"])
      #expect(try knownAfterKill(site, loop) == ["one": "2", "two": Self.pad, "three": "1"])
      // Data forgotten since then does not return.
      site.remove("Probes/probed.d/three.xml")
      #expect(try knownAfterKill(site, loop) == ["one": "2", "two": Self.pad])
    }
  }

  @Test func aFolderThatIsDeletedUnderAReportRefusesNothing() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      for name in ["one", "two"] as [ClientName] { try await site.report(name, "1") }
      await site.quiet()
      var isDeleted = false
      site.store.onChange = { [unowned site] _, _ in
        // The file is replaced, but its folder is not on disk.
        if !isDeleted { site.removeFolder() }
        isDeleted = true
      }
      try await site.report("one", "2", at: 101)
      #expect(site.files.contains("one.xml"))
      await site.quiet()
      site.restart()
      #expect(try site.known == ["one": "2", "two": "1"])
    }
  }

  // MARK: One file among others

  @Test func aFileThatCannotBeWrittenRefusesItsOwnClientAlone() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(["Probes/probed.d/three.xml/in the way": ""], on: loop)
      let names: [ClientName] = ["four", "one", "three", "two"]
      for text in ["1", "2"] {
        let begun = site.disk.begun
        let reports = names.map { name in Task { try await site.report(name, text, at: 101) } }
        for (name, report) in zip(names, reports) {
          guard name == "three" else {
            try await report.value
            continue
          }
          let path = site.folder.file("Probes/probed.d/three.xml")
          await #expect(throws: FileWriteError.system(SystemError(call: "rename", errno: EISDIR, detail: path))) {
            try await report.value
          }
        }
        // Three files, the copy and two folders; then the copy again, since it was made for four.
        #expect(site.disk.begun - begun <= 8, "each was written by itself")
        await site.quiet()
        #expect(try site.known == ["four": text, "one": text, "two": text])
        #expect(try site.copied == ["four", "one", "two"])
        #expect(site.logged("Failed to write probe data of three: ") == 1)
      }
      site.restart()
      #expect(try site.known == ["four": "2", "one": "2", "two": "2"])
    }
  }

  @Test func anEditThatNobodyToldOfKeepsNothingAtTheEnd() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      for name in ["one", "two"] as [ClientName] { try await site.report(name, "1") }
      await site.quiet()
      // Only their timestamps changed.
      for name in ["one", "two"] as [ClientName] { try await site.report(name, "1", at: 200) }
      site.folder.write(ProbeSite.client("one", "edited"), to: "Probes/probed.d/one.xml")
      site.store.flush()
      #expect(site.logged("Failed to write") == 0)
      site.restart()
      #expect(try site.known == ["one": "edited", "two": "1"])
      #expect(try site.text.contains("edited") && site.text.contains("timestamp=\"200\""))
    }
  }
}

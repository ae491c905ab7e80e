import EventLoop
import Glibc
import Identity
import Repository
import Support
import Testing

@testable import Plugins

/// Acknowledged data is on disk and stays known, whatever fails or is deleted.
@Suite struct ProbeLossTests {
  private func run(_ body: (Reactor) async throws -> Void) async throws {
    try await LoopDriver.withLoop(body)
  }

  // MARK: Taking over

  /// A folder in place of a client's file plays a disk that accepts only some files.
  @Test func aTakeoverThatFailsInPartLosesNothing() async throws {
    try await run { (loop: Reactor) async throws in
      let old = "<Probed>\(ProbeSite.client("two", "2"))\(ProbeSite.client("three", "3"))</Probed>"
      let site = ProbeSite(["Probes/probed.xml": old, "Probes/probed.d/two.xml/in the way": ""], on: loop)
      #expect(site.logged("The probe data of 1 clients is not in") == 1)
      for text in ["1", "2"] {
        try await site.report("one", text)
        await site.quiet()
      }
      #expect(try site.text == old)
      #expect(site.lines() == [], "it was said")
      await #expect(throws: ProbeStoreError.self) { try await site.store.copy() }
      site.store.flush()
      #expect(try site.text == old)
      site.restart()
      #expect(try site.known == ["one": "2", "two": "2", "three": "3"])
      #expect(try site.text == old)

      site.remove("Probes/probed.d/two.xml/in the way")
      #expect(rmdir(site.folder.file("Probes/probed.d/two.xml")) == 0)
      _ = site.lines()
      try await site.report("one", "3")
      await site.quiet()
      #expect(site.files == ["one.xml", "three.xml", "two.xml"])
      #expect(try site.copied == ["one", "three", "two"])
      #expect(site.logged("The probe data of all clients is in") == 1)
      site.restart()
      #expect(try site.known == ["one": "3", "two": "2", "three": "3"])
    }
  }

  @Test func aTakeoverWithoutAFolderGoesOnWithTheNextReport() async throws {
    try await run { (loop: Reactor) async throws in
      let old = "<Probed>\(ProbeSite.client("two", "2"))\(ProbeSite.client("three", "3"))</Probed>"
      let site = ProbeSite(["Probes/probed.xml": old, "Probes/probed.d": "in the way"], on: loop)
      await #expect(throws: SystemError.self) { try await site.report("one", "1") }
      await #expect(throws: ProbeStoreError.self) { try await site.store.copy() }
      #expect(try site.text == old)
      #expect(try site.known == ["two": "2", "three": "3"])
      site.remove("Probes/probed.d")
      try await site.report("one", "1")
      await site.quiet()
      #expect(site.files == ["one.xml", "three.xml", "two.xml"])
      #expect(try site.copied == ["one", "three", "two"])
    }
  }

  @Test func aTakeoverGoesOnWithoutAReport() async throws {
    try await run { (loop: Reactor) async throws in
      let old = "<Probed>\(ProbeSite.client("two", "2"))</Probed>"
      let files = ["Probes/probed.xml": old, "Probes/probed.d": "in the way"]
      let site = ProbeSite(files, lateDelay: .milliseconds(1), on: loop)
      await site.wait { site.store.isWriting }
      await site.quiet()
      #expect(site.logged("is not in") == 1 && site.logged("is not in") == 0)
      site.remove("Probes/probed.d")
      await site.wait { site.files == ["two.xml"] }
      await site.quiet()
      #expect(site.logged("The probe data of all clients is in") == 1)
      #expect(try site.copied == ["two"])
    }
  }

  @Test func anEditCountsWhileATakeoverWaits() async throws {
    try await run { (loop: Reactor) async throws in
      let old = "<Probed>\(ProbeSite.client("two", "2"))\(ProbeSite.client("three", "3"))</Probed>"
      let site = ProbeSite(["Probes/probed.xml": old, "Probes/probed.d": "in the way"], on: loop)
      let edited = "<Probed>\(ProbeSite.client("two", "edited"))</Probed>"
      site.folder.write(edited, to: "Probes/probed.xml")
      site.store.fileChanged()
      #expect(try site.known == ["two": "edited"])
      await site.quiet()
      #expect(try site.text == edited)
      site.remove("Probes/probed.d")
      try await site.report("one", "1")
      await site.quiet()
      site.restart()
      #expect(try site.known == ["one": "1", "two": "edited"])
    }
  }

  /// The folder was not in the backup, and the disk is full again.
  @Test func whatOnlyACopyHasIsTakenWholeOrNotAtAll() async throws {
    try await run { (loop: Reactor) async throws in
      let first = ProbeSite(on: loop)
      try await first.report("one", "1")
      try await first.report("two", "2")
      await first.quiet()
      let files = ["Probes/probed.xml": try first.text, "Probes/probed.d/two.xml/in the way": ""]
      let site = ProbeSite(files, on: loop)
      #expect(site.files == ["one.xml", "two.xml"])
      #expect(try site.copied == ["one", "two"])
      site.restart()
      #expect(try site.known == ["one": "1", "two": "2"])
    }
  }

  @Test func aWayBackThatFailsLosesNothing() async throws {
    try await run { (loop: Reactor) async throws in
      let files = ["Probes/probed.d/one.xml": ProbeSite.client("one", "1")]
      let site = ProbeSite(on: loop)
      // A dangling link cannot be written through.
      let back = TemporaryDirectory()
      for (name, text) in files { back.write(text, to: name) }
      let link = back.file("Probes/probed.xml")
      #expect(symlink(back.file("nowhere/probed.xml"), link) == 0)
      let store = ProbeStore(
        layout: .file, pluginFolder: back.file("Probes"), isReadOnly: false, loop: loop, logger: site.store.logger)
      #expect(store["one"] != nil && back.names(in: "Probes/probed.d") == ["one.xml"])
      let report = ProbeReport(timestamp: "2", probes: [("p", "2")], groups: [])
      await #expect(throws: FileWriteError.self) { try await store.save(report, of: "two") }
      #expect(back.names(in: "Probes/probed.d") == ["one.xml"])
      #expect(unlink(link) == 0)
      try await store.save(report, of: "two")
      await store.writingEnd()
      #expect(!fileExists(back.file("Probes/probed.d")))
      let bytes = try AtomicFile.readFile(link, limitBytes: 1 << 20)
      #expect(try ProbedFile.parse(bytes).children.compactMap(\.name) == ["one", "two"])
    }
  }

  // MARK: Refused reports

  @Test func aRefusedReportIsInNoFile() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(["Probes/probed.d/one.xml/in the way": ""], on: loop)
      await #expect(throws: FileWriteError.self) { try await site.report("one", "refused") }
      try await site.report("two", "2")
      await site.quiet()
      #expect(try site.known == ["two": "2"])
      #expect(try site.copied == ["two"])
    }
  }

  @Test func theCopyCostsNoSecondWaitForTheDisk() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      site.disk.isHolding = true
      let first = Task { try await site.report("one", "1") }
      for count in [2, 2] {
        await site.wait { site.disk.heldCount == count }
        #expect(try !site.copied.contains("one") || site.disk.begun == 4)
        site.disk.release()
      }
      try await first.value
      #expect(site.disk.begun == 4)
      #expect(try site.copied == ["one"], "it is there when the client is answered")
    }
  }

  @Test func aCopyThatCannotBeWrittenRefusesNoReport() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      try await site.report("one", "1")
      await site.quiet()
      site.remove("Probes/probed.xml")
      site.folder.write("", to: "Probes/probed.xml/in the way")
      let aside = site.folder.file("Probes/probed.xml.broken")
      for number in 1...1000 { _ = symlink("/", number == 1 ? aside : "\(aside)-\(number)") }
      for text in ["2", "3"] {
        try await site.report("one", text)
        await site.quiet()
      }
      #expect(site.logged("the copy of") == 1, "it is said once")
      #expect(try site.known == ["one": "3"])
      site.remove("Probes/probed.xml/in the way")
      #expect(rmdir(site.folder.file("Probes/probed.xml")) == 0)
      try await site.report("one", "4")
      await site.quiet()
      #expect(try site.text.contains("\"4\""))
    }
  }

  @Test func aReportWhoseNameMayNotBeOnDiskIsWrittenAgain() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      try await site.report("one", "1")
      await site.quiet()
      site.disk.isHolding = true
      let report = Task { try await site.report("one", "2") }
      await site.wait { site.disk.heldCount == 2 }
      site.disk.release()
      // The file is replaced, but the folder's synchronization fails.
      await site.wait { site.disk.heldCount == 2 }
      site.disk.failure = EIO
      site.disk.isHolding = false
      site.disk.release()
      await #expect(throws: FileWriteError.self) { try await report.value }
      #expect(try site.known == ["one": "2"], "as the file says")
      site.disk.failure = 0
      let begun = site.disk.begun
      try await site.report("one", "2")
      #expect(site.disk.begun >= begun + 2, "it was acknowledged without waiting for the disk")
    }
  }

  // MARK: Deleted and missing

  @Test(arguments: [ProbeStore.Layout.client, .file])
  func whatWasDeletedIsWrittenBeforeItIsAcknowledgedAgain(layout: ProbeStore.Layout) async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(layout: layout, on: loop)
      try await site.report("one", "1")
      await site.quiet()
      let name = layout == .client ? "Probes/probed.d/one.xml" : "Probes/probed.xml"
      site.remove(name)
      // The file monitor has not reported it yet.
      try await site.report("one", "1", at: 101)
      #expect(fileExists(site.folder.file(name)))
    }
  }

  @Test func aFolderThatWasDeletedIsMadeAgainByTheNextReport() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      for name in ["one", "two", "three"] as [ClientName] { try await site.report(name, "1") }
      await site.quiet()
      site.removeFolder()
      try await site.report("one", "new")
      await site.quiet()
      #expect(site.files == ["one.xml", "three.xml", "two.xml"])
      #expect(site.logged("probed.d was deleted") == 1)
      #expect(try site.copied == ["one", "three", "two"])
      site.restart()
      #expect(try site.known == ["one": "new", "two": "1", "three": "1"])
    }
  }

  @Test func aFolderThatWasDeletedIsMadeAgainWithoutAReport() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      for name in ["one", "two", "three"] as [ClientName] { try await site.report(name, "1") }
      await site.quiet()
      site.store.removalDelay = .milliseconds(50)
      // The monitor reports the first files before the folder disappears.
      site.remove("Probes/probed.d/one.xml")
      site.store.clientFileChanged(named: "one.xml")
      site.removeFolder()
      for name in ["two.xml", "three.xml"] { site.store.clientFileChanged(named: name) }
      #expect(try site.known.count == 3)
      await site.wait { site.files.count == 3 }
      await site.quiet()
      #expect(try site.known.count == 3)
      #expect(try site.copied.count == 3)
    }
  }

  /// Killed while the files are written again.
  @Test func aFolderThatIsMadeAgainIsNotTakenForWhole() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      for name in ["one", "two", "three"] as [ClientName] { try await site.report(name, "1") }
      await site.quiet()
      site.removeFolder()
      site.disk.isHolding = true
      let report = Task { try await site.report("one", "new") }
      // probed.xml first, which has everything, then the client's file.
      while site.files.filter({ $0.hasSuffix(".xml") }).isEmpty {
        await site.wait { site.disk.heldCount > 0 }
        site.disk.release()
        await loop.nextIteration()
      }
      let copy = TemporaryDirectory()
      copy.write(try site.text, to: "Probes/probed.xml")
      for name in site.files.filter({ $0.hasSuffix(".xml") }) {
        let bytes = try AtomicFile.readFile(site.folder.file("Probes/probed.d/\(name)"), limitBytes: 1 << 20)
        copy.write(String(decoding: bytes, as: UTF8.self), to: "Probes/probed.d/\(name)")
      }
      site.disk.isHolding = false
      site.disk.release()
      try await report.value
      let store = ProbeStore(
        layout: .client, pluginFolder: copy.file("Probes"), isReadOnly: false, loop: loop, logger: site.store.logger)
      #expect(store.table.names == ["one", "three", "two"])
    }
  }

  @Test func nothingIsWrittenBesideAFolderThatIsAway() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      try await site.report("one", "1")
      await site.quiet()
      for (here, away) in [("Probes", "elsewhere"), ("Probes", "other")] {
        #expect(rename(site.folder.file(here), site.folder.file(away)) == 0)
        await #expect(throws: SystemError.self) { try await site.report("one", "new \(away)") }
        await #expect(throws: SystemError.self) { try await site.report("two", "2") }
        site.store.reloadIfChanged()
        site.store.clientFileChanged(named: "one.xml")
        site.store.settleRemovals()
        site.store.flush()
        #expect(site.folder.names() == [away])
        #expect(try site.known == ["one": "1"])
        #expect(rename(site.folder.file(away), site.folder.file(here)) == 0)
      }
      try await site.report("one", "2")
      await site.quiet()
      #expect(try site.known == ["one": "2"])
      #expect(try site.copied == ["one"])
    }
  }

  /// As if the folder were a file system of its own.
  @Test func aLinkThatLeadsNowhereIsAway() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      try await site.report("one", "1")
      await site.quiet()
      #expect(rename(site.folder.file("Probes/probed.d"), site.folder.file("target")) == 0)
      #expect(symlink(site.folder.file("target"), site.folder.file("Probes/probed.d")) == 0)
      try await site.report("one", "2")
      #expect(rename(site.folder.file("target"), site.folder.file("moved")) == 0)
      await #expect(throws: SystemError.self) { try await site.report("one", "3") }
      #expect(!fileExists(site.folder.file("target")))
      #expect(try site.known == ["one": "2"])
      #expect(rename(site.folder.file("moved"), site.folder.file("target")) == 0)
      try await site.report("one", "3")
      #expect(site.folder.names(in: "target") == ["one.xml"])
    }
  }

  // MARK: Edits while no server runs

  @Test func anEditOfTheCopyWhileNoServerRanCounts() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      try await site.report("one", "group:<&\"\t\n1")
      try await site.report("two", "2")
      try await site.report("three", "3")
      // Only its timestamp changed.
      try await site.report("one", "group:<&\"\t\n1", at: 200)
      site.store.flush()
      let lines = try site.text.split(separator: "\n", omittingEmptySubsequences: false)
      let kept = lines.split { $0.contains("name=\"two\"") }
      #expect(kept.count == 2)
      // The element without its first line, which the split removed.
      let edited = (kept[0] + kept[1].dropFirst(2)).joined(separator: "\n").replacing("\"3\"", with: "\"edited\"")
      site.folder.write(edited, to: "Probes/probed.xml")
      site.restart()
      #expect(try site.known == ["one": "group:<&\"\t\n1", "three": "edited"])
      #expect(site.files == ["one.xml", "three.xml"])
      #expect(site.logged("it counts, and 1 clients were removed from it") == 1)
      site.restart()
      #expect(try site.known == ["one": "group:<&\"\t\n1", "three": "edited"])
      #expect(try site.copied == ["one", "three"])
    }
  }

  @Test func anEditOfACopyThatWasOldRemovesNobody() async throws {
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      try await site.report("one", "1")
      try await site.report("two", "2")
      await site.quiet()
      let copy = try site.text
      // Killed before the copy was written.
      site.folder.write(ProbeSite.client("new", "3"), to: "Probes/probed.d/new.xml")
      let edited = copy.replacing("value=\"1\"", with: "value=\"edited\"")
      site.folder.write(edited, to: "Probes/probed.xml")
      site.restart()
      #expect(try site.known == ["one": "edited", "two": "2", "new": "3"])
      #expect(site.logged("the 1 clients that are in") == 1)
    }
  }

  // MARK: Names

  @Test func noTwoClientsShareAFile() async throws {
    let long = try ClientName(recorded: String(repeating: "a", count: 255))
    let file = ProbedFolder.fileName(of: long)
    // An attacker who knows how names are shortened.
    let same = try ClientName(recorded: String(file.dropLast(4)))
    let again = try ClientName(recorded: String(ProbedFolder.fileName(of: same).dropLast(4)))
    let short = try ClientName(recorded: "x-" + String(repeating: "0", count: 64))
    let names = [long, same, again, short]
    #expect(Set(names.map(ProbedFolder.fileName)).count == 4)
    #expect(names.allSatisfy { ProbedFolder.fileName(of: $0).utf8.count <= 255 })
    try await run { (loop: Reactor) async throws in
      let site = ProbeSite(on: loop)
      for (number, name) in names.enumerated() { try await site.report(name, "\(number)") }
      await site.quiet()
      site.restart()
      #expect(site.files.count == 4)
      #expect(try names.map { try site.known[$0.text] } == ["0", "1", "2", "3"])
    }
  }
}

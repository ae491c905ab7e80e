import Core
import CoreSupport
import EventLoop
import Glibc
import Identity
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

@Suite struct MetadataWritingTests {
  private static let groups = """
    <Groups><Group name="base" profile="true" default="true"/><Group name="open" profile="true" public="true"/>
    <Group name="shut" profile="true"/></Groups>
    """
  private static let clients = """
    <?xml version="1.0"?>
    <!-- kept -->
    <Clients version="3.0">
      <Client   profile='base'
                name="one"  address="127.0.0.1"/> <!-- one -->
      <Client name="TWO" profile="base"><Alias name="dos"/></Client>
    </Clients>

    """
  private static let files = ["Metadata/groups.xml": groups, "Metadata/clients.xml": clients]

  private func address(_ ip: String) -> ClientAddress { ClientAddress(ip: ip, port: 9) }

  @Test func layoutIsKept() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      try await plugin.setProfile("one", "open", address: nil, requirePublic: true)
      #expect(
        try fixture.text("Metadata/clients.xml") == Self.clients.replacing("profile='base'", with: "profile='open'"))
      #expect(try await fixture.core.buildMetadata("one").profile == "open")
      try await plugin.setVersion("dos", "1.4.0")
      #expect(try await fixture.core.buildMetadata("two").version == "1.4.0")
      #expect(
        try fixture.text("Metadata/clients.xml").contains("<Client name=\"TWO\" profile=\"base\" version=\"1.4.0\">"))
      // The server already knows what it wrote: the event of its own write changes nothing.
      let generation = try await fixture.core.buildMetadata("one").profile
      fixture.monitor.processPending()
      #expect(try await fixture.core.buildMetadata("one").profile == generation)
    }
  }

  @Test func aSaveThatIsUnderWayIsWaitedFor() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let half = String(Self.clients.prefix(Self.clients.count / 2))
      fixture.repository.write(half, to: "Metadata/clients.xml")
      let version = Task { try await plugin.setVersion("one", "1.4.0") }
      // The writer has found half a file, and waits.
      while plugin.writer.attempts == 0 { await fixture.core.loop.nextIteration() }
      fixture.repository.write(Self.clients.replacing("TWO", with: "THREE"), to: "Metadata/clients.xml")
      try await version.value
      let text = try fixture.text("Metadata/clients.xml")
      #expect(text.contains("version=\"1.4.0\"") && text.contains("THREE"))
      // One that has no end is left alone.
      plugin.writer.savingTurn = .zero
      fixture.repository.write(half, to: "Metadata/clients.xml")
      await #expect(throws: MetadataRuntimeError.self) { try await plugin.setVersion("one", "1.3.4") }
      #expect(try fixture.text("Metadata/clients.xml") == half)
    }
  }

  @Test func aVersionThatIsTooLongIsRefused() async throws {
    for (conf, limit) in [("", 64), ("[metadata]\nversion_bytes = 16\n", 16)] {
      var settings = try Settings(conf: conf, path: "test.conf")
      settings.plugins = ["Metadata"]
      settings.password = "foobat"
      try await RepositoryFixture.run(files: Self.files, settings: settings) {
        (fixture: RepositoryFixture) async throws in
        let fault = await #expect(throws: Fault.self) {
          try await fixture.core.declareVersion(Caller("one"), String(repeating: "1", count: limit + 1))
        }
        #expect(fault?.string.contains("[metadata] version_bytes") ?? false, "\(fault?.string ?? "")")
        #expect(try fixture.text("Metadata/clients.xml") == Self.clients)
        let fitting = String(repeating: "1", count: limit)
        #expect(try await fixture.core.declareVersion(Caller("one"), fitting) == .bool(true))
        #expect(try fixture.text("Metadata/clients.xml").contains("version=\"\(fitting)\""))
      }
    }
  }

  @Test func changesOfOneIterationAreAllWritten() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let tasks = (0..<20).map { number in Task { try await plugin.setVersion("new\(number)", "1.\(number)") } }
      for task in tasks { try await task.value }
      for number in 0..<20 {
        #expect(
          try fixture.text("Metadata/clients.xml").contains(
            "\n  <Client name=\"new\(number)\" profile=\"base\" version=\"1.\(number)\"/>\n"))
      }
      let list = await plugin.listClients()
      #expect(Set(list).count == 22 && list.count == 22)
      fixture.monitor.processPending()
      let again = await plugin.listClients()
      #expect(Set(again) == Set(list))
    }
  }

  @Test func profilesAreRefusedAsInBcfg2() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      for (profile, message) in [
        ("shut", "Cannot set client one to private group shut"), ("none", "Profile group none does not exist"),
      ] {
        let error = await #expect(throws: MetadataConsistencyError.self) {
          try await plugin.setProfile("one", profile, address: nil, requirePublic: true)
        }
        #expect(error?.description == message)
      }
      #expect(try fixture.text("Metadata/clients.xml") == Self.clients)
    }
  }

  @Test func aNewClientThatAuthenticatedIsBoundToItsAddress() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let decision = await plugin.authenticateConnection(
        certificate: nil, user: "new", password: "foobat", address: address("127.0.0.3")
      ).value
      let caller = try #require(decision.caller)
      #expect(caller.gaveName)
      _ = try await fixture.core.assertProfile(caller, "open")
      #expect(
        try fixture.text("Metadata/clients.xml").contains(
          "<Client name=\"new\" profile=\"open\" uuid=\"new\" address=\"127.0.0.3\"/>"))
      #expect(try await plugin.resolveClient(ClientAddress(ip: "127.0.0.3", port: 1)) == "new")
    }
  }

  @Test func whatAnAdministratorSavedMeanwhileStays() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      // The monitor has not reported it yet.
      fixture.repository.write(
        Self.clients.replacing("<Client name=\"TWO\"", with: "<Client name=\"three\"/><Client name=\"TWO\""),
        to: "Metadata/clients.xml")
      try await plugin.setVersion("one", "1.3.3")
      let text = try fixture.text("Metadata/clients.xml")
      #expect(text.contains("name=\"three\"") && text.contains("version=\"1.3.3\""))
      #expect(await plugin.listClients() == ["one", "three", "two"])
    }
  }

  @Test func whatAnAdministratorSavesWhileTheDiskIsWaitedForStays() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      let task = Task { try await plugin.setVersion("one", "1.3.3") }
      while disk.heldCount == 0 { await fixture.core.loop.nextIteration() }
      fixture.edit(
        "Metadata/clients.xml",
        Self.clients.replacing("<Client name=\"TWO\"", with: "<Client name=\"three\"/><Client name=\"TWO\""))
      disk.isHolding = false
      disk.release()
      try await task.value
      let text = try fixture.text("Metadata/clients.xml")
      #expect(text.contains("name=\"three\"") && text.contains("version=\"1.3.3\""))
      #expect(await plugin.listClients() == ["one", "three", "two"])
      #expect(try await fixture.core.buildMetadata("one").version == "1.3.3")
    }
  }

  @Test func aFileThatKeepsChangingIsNotReplaced() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      let task = Task { try await plugin.setVersion("one", "1.3.3") }
      for attempt in 1...FileWriter.attemptLimit {
        while disk.begun < attempt { await fixture.core.loop.nextIteration() }
        fixture.edit("Metadata/clients.xml", "\(Self.clients)<!-- \(attempt) -->\n")
        disk.release()
      }
      await #expect(throws: MetadataRuntimeError.self) { try await task.value }
      #expect(try fixture.text("Metadata/clients.xml") == "\(Self.clients)<!-- \(FileWriter.attemptLimit) -->\n")
      #expect(fixture.repository.names(in: "Metadata") == ["clients.xml", "groups.xml"])
    }
  }

  @Test func aSlowDiskDelaysOnlyWhoWaitsForIt() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let disk = HeldSynchronizer()
      fixture.core.loop.fileWriter.synchronizer = disk
      var order: [String] = []
      let slow = Task {
        try await plugin.setVersion("one", "1.3.3")
        order.append("slow")
      }
      while disk.heldCount == 0 { await fixture.core.loop.nextIteration() }
      for number in 0..<1000 {
        #expect(try await fixture.core.buildMetadata("two").profile == "base")
        order.append("\(number)")
      }
      disk.isHolding = false
      disk.release()
      try await slow.value
      #expect(order.count == 1001 && order.last == "slow")
    }
  }

  /// As many clients as when all machines of a site start at once.
  @Test func versionsOfManyClientsAreOneChangeOfTheFile() async throws {
    let count = 10_000
    let clients = (0..<count).map { "  <Client name=\"client\($0)\" profile=\"base\"/>\n" }.joined()
    let files = ["Metadata/groups.xml": Self.groups, "Metadata/clients.xml": "<Clients>\n\(clients)</Clients>\n"]
    try await RepositoryFixture.run(files: files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let disk = HeldSynchronizer(isHolding: false)
      fixture.core.loop.fileWriter.synchronizer = disk
      let tasks = (0..<count).map { number in Task { try await plugin.setVersion("client\(number)", "1.4.0") } }
      for task in tasks { try await task.value }
      // Each scans the text once.
      #expect(plugin.writer.attempts == 1)
      // Synchronizations of the file and its folder.
      #expect(disk.begun == 2)
      let text = try fixture.text("Metadata/clients.xml")
      #expect(text == files["Metadata/clients.xml"]?.replacing("\"base\"/>", with: "\"base\" version=\"1.4.0\"/>"))
    }
  }

  @Test func aFileThatCannotBeParsedIsNotReplaced() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      fixture.repository.write("<Clients><Client", to: "Metadata/clients.xml")
      await #expect(throws: MetadataRuntimeError.self) { try await plugin.setVersion("one", "1.3.3") }
      #expect(try fixture.text("Metadata/clients.xml") == "<Clients><Client")
      #expect(try await fixture.core.buildMetadata("one").version == nil)
      fixture.repository.write(Self.clients, to: "Metadata/clients.xml")
      try await plugin.setVersion("one", "1.3.3")
      #expect(try await fixture.core.buildMetadata("one").version == "1.3.3")
    }
  }

  @Test func aClientOfAnIncludedFileIsEditedThere() async throws {
    let main = """
      <Clients xmlns:xi="http://www.w3.org/2001/XInclude">
        <Client name="one"/>
        <xi:include href="more/*.xml"/>
      </Clients>

      """
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": Self.groups, "Metadata/clients.xml": main,
      "Metadata/more/a.xml": "<Clients>\n  <Client name=\"inner\"/>\n</Clients>\n",
    ]) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      try await plugin.updateClient("inner", ["auth": "cert"])
      #expect(try fixture.text("Metadata/clients.xml") == main)
      #expect(
        try fixture.text("Metadata/more/a.xml") == "<Clients>\n  <Client name=\"inner\" auth=\"cert\"/>\n</Clients>\n")
      #expect(plugin.authentication(of: "inner") == "cert")
      try await plugin.removeClient("inner")
      #expect(await plugin.listClients() == ["one"])
    }
  }

  @Test func anIncludedFileThatCannotBeWrittenConcernsItsClientsAlone() async throws {
    let main = "<Clients xmlns:xi=\"http://www.w3.org/2001/XInclude\">\n  <Client name=\"one\"/>\n"
    try await RepositoryFixture.run(files: [
      "Metadata/groups.xml": Self.groups,
      "Metadata/clients.xml": main + "  <xi:include href=\"more/a.xml\"/>\n</Clients>\n",
      "Metadata/more/a.xml": "<Clients>\n  <Client name=\"inner\"/>\n</Clients>\n",
    ]) { (fixture: RepositoryFixture) async throws in
      let disk = HeldSynchronizer(isHolding: false)
      disk.failure = ENOSPC
      disk.failingFolder = fixture.repository.file("Metadata/more")
      fixture.core.loop.fileWriter.synchronizer = disk
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let inner = Task { try await plugin.updateClient("inner", ["auth": "cert"]) }
      let one = Task { try await plugin.updateClient("one", ["auth": "cert"]) }
      try await one.value
      let failure = await #expect(throws: MetadataRuntimeError.self) { try await inner.value }
      #expect(failure.map { "\($0)".contains("No space left on device") } ?? false)
      #expect(plugin.authentication(of: "one") == "cert" && plugin.authentication(of: "inner") != "cert")
      #expect(try fixture.text("Metadata/clients.xml").contains("<Client name=\"one\" auth=\"cert\"/>"))
    }
  }

  @Test func theFilesLinkAndModeStayAndFailuresAreTold() async throws {
    try await RepositoryFixture.run(files: ["Metadata/groups.xml": Self.groups, "real.xml": Self.clients]) {
      (fixture: RepositoryFixture) async throws in
      let path = fixture.repository.file("Metadata/clients.xml")
      unlink(path)
      symlink(fixture.repository.file("real.xml"), path)
      chmod(fixture.repository.file("real.xml"), 0o640)
      fixture.monitor.processPending()
      let plugin = try fixture.plugin(MetadataPlugin.self)
      try await plugin.setVersion("one", "1")
      var status = stat()
      #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
      #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o640)
      #expect(try fixture.text("real.xml").contains("version=\"1\""))
      unlink(path)
      mkdir(path, 0o755)
      await #expect(throws: MetadataRuntimeError.self) { try await plugin.setVersion("one", "2") }
      #expect(try await fixture.core.buildMetadata("one").version == "1")
    }
  }

  @Test func bootstrapEndsWithTheFirstStatistics() async throws {
    var settings = RepositoryFixture.settings
    settings.authentication = "bootstrap"
    try await RepositoryFixture.run(files: Self.files, settings: settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      try await plugin.endStatistics(try await fixture.core.buildMetadata("one"))
      #expect(plugin.authentication(of: "one") == "cert")
      #expect(plugin.authentication(of: "two") == "bootstrap")
      #expect(try fixture.text("Metadata/clients.xml").contains("address=\"127.0.0.1\" auth=\"cert\"/>"))
    }
  }

  @Test func administratorsListAndRemoveClients() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let list = try await plugin.rmi["list_clients"]?.call([])
      guard case .array(let names)? = list else { throw PluginInitError("no list") }
      #expect(names.count == 2)
      _ = try await plugin.rmi["remove_client"]?.call([.string("two")])
      #expect(await plugin.listClients() == ["one"])
      #expect(try fixture.text("Metadata/clients.xml").contains("TWO") == false)
      await #expect(throws: MetadataConsistencyError.self) {
        _ = try await plugin.rmi["remove_client"]?.call([.string("two")])
      }
    }
  }

  @Test func clientsAndGroupsAreCreatedWhereThereAreNone() async throws {
    try await RepositoryFixture.run(files: [:]) { (fixture: RepositoryFixture) async throws in
      #expect(try fixture.text("Metadata/clients.xml") == "<Clients/>\n")
      #expect(try fixture.text("Metadata/groups.xml") == "<Groups/>\n")
      fixture.edit("Metadata/groups.xml", Self.groups)
      #expect(try await fixture.core.buildMetadata("first").profile == "base")
      #expect(
        try fixture.text("Metadata/clients.xml")
          == "<Clients>\n  <Client name=\"first\" profile=\"base\"/>\n</Clients>\n"
      )
    }
  }

  @Test func initialMetadataIsKeptWithoutWhatConnectorsAdd() async throws {
    var settings = RepositoryFixture.settings
    settings.clientMetadataCache = .initial
    try await RepositoryFixture.run(files: Self.files, settings: settings) {
      (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let first = try await plugin.initialMetadata("one")
      plugin.mergeAdditionalGroups(first, ["extra"])
      #expect(try await plugin.initialMetadata("one").groups == ["base"])
      try await plugin.setProfile("one", "open", address: nil, requirePublic: true)
      #expect(try await plugin.initialMetadata("one").groups == ["open"])
    }
  }

  @Test func questionsAboutAllClientsAreAnswered() async throws {
    try await RepositoryFixture.run(files: Self.files) { (fixture: RepositoryFixture) async throws in
      let plugin = try fixture.plugin(MetadataPlugin.self)
      try await plugin.setProfile("one", "open", address: nil, requirePublic: true)
      #expect(await plugin.query.allClients() == ["one", "two"])
      #expect(try await plugin.query.names(inAll: ["base"]) == ["two"])
      #expect(try await plugin.query.names(withProfiles: ["open", "shut"]) == ["one"])
      #expect(plugin.query.allGroups() == ["base", "open", "shut"])
      #expect(try await plugin.query.all().count == 2)
    }
  }
}

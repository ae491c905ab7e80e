import Core
import CoreSupport
import EventLoop
import Glibc
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

/// A failed write is reported to its caller, and leaves no file behind.
@Suite struct FailedWriteTests {
  private func run(
    _ plugins: [String], _ files: [String: String], names: [String: String] = [:],
    _ body: (RepositoryFixture, HeldSynchronizer) async throws -> Void
  ) async throws {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Metadata"] + plugins
    try await RepositoryFixture.run(files: files, names: names, settings: settings) { fixture async throws in
      let disk = HeldSynchronizer(isHolding: false)
      fixture.core.loop.fileWriter.synchronizer = disk
      disk.failure = ENOSPC
      try await body(fixture, disk)
    }
  }

  private func data(_ source: String, _ text: String) -> Element {
    let element = Element("probe-data", ["name": source, "source": source])
    element.text = text
    return element
  }

  @Test func aFileOfAClientIsAFault() async throws {
    let files = RepositoryFixture.files(
      bundle: "<Path name=\"/etc/new\"/>",
      ["FileProbes/config.xml": "<FileProbes><FileProbe name=\"/etc/new\" update=\"true\"/></FileProbes>"])
    try await run(["Cfg", "FileProbes"], files) {
      (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let plugin = try fixture.plugin(FileProbesPlugin.self)
      let metadata = try await fixture.metadata()
      let answer = data("FileProbes", "<ProbedFileData name='/etc/new' mode='0640'>bmV3</ProbedFileData>")
      let failure = await #expect(throws: PluginExecutionError.self) {
        try await plugin.receiveData(metadata, [answer])
      }
      #expect(
        failure.map(fixture.core.textForClients)
          == "Could not write Cfg/etc/new/new.H_one.example.com: No space left on device")
      #expect(fixture.repository.names(in: "Cfg/etc/new").isEmpty)
      disk.failure = 0
      try await plugin.receiveData(metadata, [answer])
      #expect(try fixture.text("Cfg/etc/new/new.H_one.example.com") == "new")
      var status = stat()
      #expect(stat(fixture.repository.file("Cfg/etc/new/new.H_one.example.com"), &status) == 0)
      // The client's file must not be readable for everyone.
      #expect(status.st_mode & 0o7777 == 0o600)
    }
  }

  @Test func anAdministratorsSaveOfAProbedFileIsLookedAt() async throws {
    let files = RepositoryFixture.files(
      bundle: "<Path name=\"/etc/new\"/>",
      ["FileProbes/config.xml": "<FileProbes><FileProbe name=\"/etc/new\" update=\"yes\"/></FileProbes>"])
    try await run(["Cfg", "FileProbes"], files) {
      (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      disk.failure = 0
      disk.isHolding = true
      let plugin = try fixture.plugin(FileProbesPlugin.self)
      let metadata = try await fixture.metadata()
      let answer = data("FileProbes", "<ProbedFileData name='/etc/new'>bmV3</ProbedFileData>")
      let task = Task { try await plugin.receiveData(metadata, [answer]) }
      while disk.heldCount < 2 { await fixture.core.loop.nextIteration() }
      fixture.edit("Cfg/etc/new/new.H_one.example.com", "the administrator's")
      disk.isHolding = false
      disk.release()
      try await task.value
      // The file exists now and must not be updated.
      #expect(try fixture.text("Cfg/etc/new/new.H_one.example.com") == "the administrator's")
    }
  }

  @Test func ohaisDataIsAFault() async throws {
    try await run(["Ohai"], RepositoryFixture.files()) {
      (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let plugin = try fixture.plugin(OhaiPlugin.self)
      let metadata = try await fixture.metadata()
      await #expect(throws: FileWriteError.self) {
        try await plugin.receiveData(metadata, [data("Ohai", "{\"a\": 1}")])
      }
      #expect(fixture.repository.names(in: "Ohai").isEmpty)
      disk.failure = 0
      try await plugin.receiveData(metadata, [data("Ohai", "{\"a\": 1}")])
      #expect(try fixture.text("Ohai/one.example.com.json") == "{\"a\": 1}")
    }
  }

  @Test func entriesWhoseFilesAreNotWrittenFail() async throws {
    let paths = ["/etc/nagiosgen.status", "/etc/nagios/conf.d/bcfg2.cfg", "/etc/ssh/ssh_host_rsa_key", "/id", "/key"]
    let files = RepositoryFixture.files(
      bundle: paths.map { "<Path name=\"\($0)\"/>" }.joined(),
      [
        "Cfg/id/privkey.xml": "<PrivateKey><Params type='ed25519'/></PrivateKey>",
        "Cfg/key/sslkey.xml": "<KeyInfo perhost='true'><Key bits='1024'/></KeyInfo>",
      ])
    try await run(["Cfg", "NagiosGen", "SSHbase"], files, names: ["192.0.2.1": "one.example.com"]) {
      (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      for path in paths {
        let failure = try #require(try await fixture.entry(path)?["failure"], "\(path)")
        #expect(failure.hasSuffix(": No space left on device"), "\(failure)")
        #expect(!failure.contains(fixture.repository.path) && !failure.contains(".#atomic-write"), "\(failure)")
      }
      #expect(fixture.repository.names(in: "NagiosGen") == ["config.xml"])
      #expect(fixture.repository.names(in: "SSHbase").isEmpty)
      #expect(fixture.repository.names(in: "Cfg/id") == ["privkey.xml"])
      #expect(fixture.repository.names(in: "Cfg/key") == ["sslkey.xml"])
      let before = umask(0)
      defer { umask(before) }
      disk.failure = 0
      for path in paths { #expect(try await fixture.entry(path)?["failure"] == nil, "\(path)") }
      for (name, mode) in [
        ("SSHbase/ssh_host_rsa_key.H_one.example.com", 0o600),
        ("SSHbase/ssh_host_rsa_key.pub.H_one.example.com", 0o666), ("Cfg/id/id.H_one.example.com", 0o600),
        ("Cfg/id.pub/id.pub.H_one.example.com", 0o666), ("Cfg/key/key.H_one.example.com", 0o600),
      ] as [(String, mode_t)] {
        var status = stat()
        #expect(stat(fixture.repository.file(name), &status) == 0 && status.st_mode & 0o7777 == mode, "\(name)")
      }
    }
  }

  @Test func clientsThatAreNotWrittenAreAFault() async throws {
    try await run([], RepositoryFixture.files()) {
      (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let before = try fixture.text("Metadata/clients.xml")
      let plugin = try fixture.plugin(MetadataPlugin.self)
      let failure = await #expect(throws: MetadataRuntimeError.self) {
        try await plugin.setVersion("one.example.com", "1.4.0")
      }
      let reason = "Metadata/clients.xml: No space left on device"
      #expect(failure.map(fixture.core.textForClients) == "Failed to write \(reason)")
      await #expect(throws: MetadataRuntimeError.self) {
        try await plugin.setProfile("three", "other", address: nil, requirePublic: false)
      }
      await #expect(throws: MetadataRuntimeError.self) { try await plugin.removeClient("two.example.com") }
      #expect(try fixture.text("Metadata/clients.xml") == before)
      #expect(try await fixture.metadata().version == nil)
      #expect(await plugin.listClients() == ["one.example.com", "two.example.com"])
      #expect(fixture.repository.names(in: "Metadata") == ["clients.xml", "groups.xml"])
    }
  }

  @Test func aFailedWriteNamesItsTarget() async throws {
    try await run([], RepositoryFixture.files()) { (fixture: RepositoryFixture, disk: HeldSynchronizer) async throws in
      let path = fixture.repository.file("none/new.xml")
      let write = FileWrite([1], to: path, replacing: .missing, mode: .ordinary)
      let failure = #expect(throws: FileWriteError.self) { try AtomicFile.write(write) }
      #expect(failure?.description == "open \(path): No such file or directory")
      #expect(failure.map(fixture.core.textForClients) == "none/new.xml: No such file or directory")
      #expect(
        fixture.core.textForClients(FileWriteError.changed(path: path))
          == "none/new.xml was changed by somebody else meanwhile")
      #expect(fixture.core.textForClients(SystemError(call: "write", errno: ENOSPC)) == "No space left on device")
      #expect(
        fixture.core.textForClients(SystemError(call: "open", errno: EACCES, detail: "/a/b")) == "b: Permission denied")
      let cause = FileWriteError.system(SystemError(call: "fsync", errno: EIO, detail: path))
      let fault = fixture.core.criticalError("Unable to set version for x: \(cause)", cause: cause)
      #expect(fault.string == "Critical failure: Unable to set version for x: none/new.xml: Input/output error")
    }
  }

  @Test func temporaryFilesAreIgnoredWhateverIsIgnored() {
    for patterns in [IgnoreList.defaults, [], ["*.xml"]] {
      let list = IgnoreList(patterns)
      #expect(list.matches(".#atomic-write-0123456789abc"))
      #expect(list.matches(path: "/repository/Metadata/.#atomic-write-0123456789abc"))
    }
    #expect(!IgnoreList([]).matches(".#atomic-write-"))
  }
}

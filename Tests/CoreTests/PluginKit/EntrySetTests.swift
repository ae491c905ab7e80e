import CoreSupport
import EventLoop
import Glibc
import Identity
import OrderedCollections
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core

/// Binds Path entries with the bytes of the file that is for the client.
private final class ContentsPlugin: GroupSpool<EntrySet> {
  override class var name: String { "Contents" }

  override func makeEntrySet(name: String, path: String) -> EntrySet {
    EntrySet(
      baseName: "file", folder: path, defaults: core.settings.pathDefaults, monitor: core.fileMonitor, logger: logger,
      makeEntry: { [logger] in Contents(path: $0, specificity: $1, logger: logger) })
  }
}

private final class Contents: SpecificData {
  override func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    entry.text = data.map { String(decoding: $0, as: UTF8.self) }
  }
}

extension ServerCore {
  fileprivate func boundPath(_ host: ClientName, _ groups: NameSet = []) async throws -> Element {
    let entry = Element("Path", ["name": "/etc/x"])
    try await bind(entry, clientMetadata(host, groups: groups))
    return entry
  }
}

@Test func theMostSpecificFileOfAFolderBindsItsEntry() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    var files = [
      "Contents/etc/x/info.xml": "<FileInfo><Group name='b'><Info mode='0600'/></Group><Info/></FileInfo>"
    ]
    for name in ["file", "file.G10_a", "file.G90_b", "file.H_one.example.com", "file~", "other"] {
      files["Contents/etc/x/\(name)"] = name
    }
    var settings = Settings()
    settings.pathDefaults.owner = "me"
    let fixture = try RepositoryFixture(
      files: files, settings: settings, loading: .only([ContentsPlugin.self]), on: loop)
    let core = fixture.core

    #expect(try await core.boundPath("one.example.com", ["a", "b"]).text == "file.H_one.example.com")
    #expect(try await core.boundPath("two", ["a", "b"]).text == "file.G90_b")
    #expect(try await core.boundPath("two", ["a"]).text == "file.G10_a")
    let plain = try await core.boundPath("two")
    #expect(
      plain.text == "file" && plain["owner"] == "me" && plain["mode"] == "644" && plain["secontext"] == "__default__")
    #expect(try await core.boundPath("two", ["b"])["mode"] == "0600")

    fixture.repository.write("edited!", to: "Contents/etc/x/file")
    fixture.repository.remove("Contents/etc/x/info.xml")
    fixture.remove("Contents/etc/x/file.G90_b")
    let edited = try await core.boundPath("two", ["b"])
    #expect(edited.text == "edited!" && edited["mode"] == "644")

    fixture.remove("Contents/etc/x/file")
    await #expect(throws: PluginExecutionError.self) { try await core.boundPath("two") }
  }
}

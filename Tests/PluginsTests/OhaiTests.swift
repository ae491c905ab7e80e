import CoreSupport
import EventLoop
import Formats
import Glibc
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins

private func answer(_ text: String) -> [Element] {
  let element = Element("probe-data", ["name": "Ohai", "source": "Ohai"])
  element.text = text
  return [element]
}

@Test func answersOfOhaiAreKept() async throws {
  let files = RepositoryFixture.files(["Ohai/two.example.com.json": "{\"platform\": \"bsd\"}"])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Ohai")) { fixture async throws in
    let plugin = try fixture.plugin(OhaiPlugin.self)
    let metadata = try await fixture.metadata()
    #expect(plugin.getProbes(metadata).map { $0["interpreter"] } == ["/bin/sh"])
    try await plugin.receiveData(metadata, answer("{\"cpu\": {\"total\": 2}}"))
    #expect(try fixture.text("Ohai/one.example.com.json") == "{\"cpu\": {\"total\": 2}}")
    let error = await #expect(throws: JSONError.self) { try await plugin.receiveData(metadata, answer("{\"cpu\": ")) }
    #expect(error?.description == "No JSON object could be decoded")
    try await plugin.receiveData(metadata, answer(""))
    let data = try await fixture.metadata()[connector: "Ohai"] as? OhaiData
    #expect(data?.value["cpu"]?["total"] == .integer(2))
    let other = try await fixture.metadata("two.example.com")[connector: "Ohai"] as? OhaiData
    #expect(other?.value["platform"] == .string("bsd"))
  }
}

@Test func whatOhaiSaidIsOnDiskWhenItIsAcknowledged() async throws {
  try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: RepositoryFixture.settings("Ohai")) {
    fixture async throws in
    let plugin = try fixture.plugin(OhaiPlugin.self)
    let metadata = try await fixture.metadata()
    // Data whose file was deleted is gone.
    #expect((metadata[connector: "Ohai"] as? OhaiData)?.text == "{}")
    let file = fixture.repository.file("Ohai/one.example.com.json")
    try await plugin.receiveData(metadata, answer("{}"))
    #expect(try fixture.text("Ohai/one.example.com.json") == "{}")
    #expect(unlink(file) == 0)
    try await plugin.receiveData(metadata, answer("{}"))
    #expect(try fixture.text("Ohai/one.example.com.json") == "{}")
    // A file that replaced it does not count either.
    fixture.repository.write("{\"edited\": 1}", to: "Ohai/one.example.com.json")
    try await plugin.receiveData(metadata, answer("{}"))
    #expect(try fixture.text("Ohai/one.example.com.json") == "{}")
    let disk = HeldSynchronizer(isHolding: false)
    fixture.core.loop.fileWriter.synchronizer = disk
    try await plugin.receiveData(metadata, answer("{}"))
    #expect(disk.begun == 0, "what is there is not written again")
    // A name that may not be on disk yet is written again.
    disk.isHolding = true
    let report = Task { try await plugin.receiveData(metadata, answer("[1]")) }
    while disk.heldCount == 0 { await fixture.core.loop.nextIteration() }
    disk.release()
    while disk.heldCount == 0 { await fixture.core.loop.nextIteration() }
    disk.failure = EIO
    disk.release()
    await #expect(throws: FileWriteError.self) { try await report.value }
    disk.isHolding = false
    disk.failure = 0
    let begun = disk.begun
    try await plugin.receiveData(metadata, answer("[1]"))
    #expect(disk.begun == begun + 2)
  }
}

@Test func whatOhaiKeepsIsBounded() async throws {
  let conf = "[ohai]\nclient_bytes = 1k\ncache = 4k\n"
  var settings = try Settings(conf: conf, path: "test.conf")
  settings.plugins = ["Bundler", "Metadata", "Ohai"]
  settings.password = "foobat"
  try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: settings) { fixture async throws in
    let plugin = try fixture.plugin(OhaiPlugin.self)
    let metadata = try await fixture.metadata()
    let numbers = "[" + String(repeating: "0,", count: 500) + "0]"
    try await plugin.receiveData(metadata, answer("{\"a\": \(numbers)}"))
    await #expect(throws: LimitExceeded("[ohai] client_bytes", 1024)) {
      try await plugin.receiveData(metadata, answer("{\"a\": \"\(String(repeating: "x", count: 1020))\"}"))
    }
    // Data larger than the cache is read from the file each time.
    let data = try await fixture.metadata()[connector: "Ohai"] as? OhaiData
    guard case .array(let values)? = data?.value["a"] else { return #expect(Bool(false)) }
    #expect(values.count == 501)
  }
}

@Test func aBoundedCacheKeepsWhatWasPutInLast() {
  var cache = BoundedCache<Int, String>()
  cache.insert("nowhere", for: 0, bytes: 1)
  #expect(cache[0] == nil)
  cache.limitBytes = 10 * 1256
  for number in 0..<25 { cache.insert("\(number)", for: number, bytes: 1000) }
  #expect((0..<25).filter { cache[$0] != nil } == Array(15..<25))
  cache.insert("again", for: 15, bytes: 1000)
  cache.insert("new", for: 25, bytes: 1000)
  #expect(cache[15] == "again" && cache[16] == nil && cache[17] == "17")
  cache.insert("too large", for: 17, bytes: 1 << 20)
  #expect(cache[17] == nil)
  for _ in 0..<1000 { cache.insert("same", for: 20, bytes: 1) }
  #expect(cache[20] == "same" && cache[25] == "new")
  cache.limitBytes = 1256
  #expect(cache[25] == nil && cache[20] == "same")
  cache.remove(20)
  #expect(cache.heldBytes == 0)
}

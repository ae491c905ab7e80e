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

private let config = """
  <FileProbes>
    <FileProbe name="/etc/new" update="true"/><FileProbe name="/etc/known"/><FileProbe name="/etc/unknown"/>
    <FileProbe name="/etc/update" update="TRUE"/><FileProbe name="/etc/word" update="yes"/><Group name="none"><FileProbe name="/etc/none" update="true"/></Group>
  </FileProbes>
  """

private func answer(
  _ path: String, _ text: String, _ permissions: String = "owner='o' group='g' mode='0640'"
) -> Element {
  let contents = String(decoding: Base64.encode(Array(text.utf8)), as: UTF8.self)
  let element = Element("probe-data", ["name": path, "source": "FileProbes"])
  element.text = "<ProbedFileData name='\(path)' \(permissions)>\(contents)</ProbedFileData>"
  return element
}

@Test func filesOfClientsBecomeThatHostsFiles() async throws {
  let files = RepositoryFixture.files(
    bundle: ["new", "known", "update"].map { "<Path name=\"/etc/\($0)\"/>" }.joined(),
    [
      "FileProbes/config.xml": config, "Cfg/etc/known/known": "known\n", "Cfg/etc/update/update": "old\n",
      "Cfg/etc/update/info.xml": "<FileInfo><Info mode=\"0600\"/></FileInfo>",
    ])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg", "FileProbes")) {
    fixture async throws in
    let plugin = try fixture.plugin(FileProbesPlugin.self)
    let metadata = try await fixture.metadata()
    #expect(
      try await plugin.getProbes(metadata).compactMap(\.name) == ["/etc/new", "/etc/known", "/etc/update", "/etc/word"])
    try await plugin.receiveData(
      metadata,
      [answer("/etc/new", "new\n"), answer("/etc/known", "other\n"), answer("/etc/update", "updated\n")])
    #expect(try await fixture.entry("/etc/new")?.text == "new\n")
    #expect(try await fixture.entry("/etc/new")?["mode"] == "0640")
    #expect(try await fixture.entry("/etc/new", of: "two.example.com")?["failure"] != nil)
    #expect(try await fixture.entry("/etc/known")?.text == "known\n")
    #expect(try await fixture.entry("/etc/update")?.text == "updated\n")
    #expect(try await fixture.entry("/etc/update")?["mode"] == "0600")
    #expect(
      try fixture.text("Cfg/etc/new/info.xml")
        == "<FileInfo>\n  <!-- Written by FileProbes, which adds to it -->\n"
        + "  <Info owner=\"o\" group=\"g\" mode=\"0640\"/>\n</FileInfo>\n")
    // A value that is neither true nor false requests the file, but does not overwrite it.
    for text in ["first\n", "second\n"] {
      try await plugin.receiveData(metadata, [answer("/etc/word", text)])
      #expect(try fixture.text("Cfg/etc/word/word.H_one.example.com") == "first\n")
    }
    // An upload that was not requested is not written, even if config.xml has its path.
    for path in ["/etc/../../escape", "/etc/unknown"] {
      await #expect(throws: PluginExecutionError.self) {
        try await plugin.receiveData(metadata, [answer(path, "x")])
      }
    }
    #expect(fixture.repository.names(in: "Cfg/etc").contains("unknown") == false)
    let complaint = Element("probe-data", ["name": "/etc/new"])
    complaint.text = "no such file"
    try await plugin.receiveData(metadata, [complaint, Element("probe-data", ["name": "/etc/new"])])
    #expect(try await fixture.entry("/etc/new")?.text == "new\n")
  }
}

/// Owner and mode that a client reports apply to that client, and to others only if they report the same.
@Test func permissionsOfOneClientCountForItAlone() async throws {
  let names = ["setuid", "same", "apart", "given", "group", "edited"]
  let files = RepositoryFixture.files(
    bundle: names.map { "<Path name=\"/etc/\($0)\"/>" }.joined(),
    [
      "FileProbes/config.xml": "<FileProbes>"
        + names.map { "<FileProbe name=\"/etc/\($0)\" update=\"true\"/>" }.joined() + "</FileProbes>",
      "Cfg/etc/given/info.xml": "<FileInfo><Info owner=\"given\" mode=\"0600\"/></FileInfo>",
      "Cfg/etc/group/group.G10_strange": "x",
    ])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg", "FileProbes")) {
    fixture async throws in
    let plugin = try fixture.plugin(FileProbesPlugin.self)
    @MainActor func send(_ client: ClientName, _ name: String, _ permissions: String) async throws {
      try await plugin.receiveData(
        try await fixture.metadata(client), [answer("/etc/\(name)", "of \(client)\n", permissions)])
    }
    @MainActor func permissions(_ name: String, _ client: ClientName) async throws -> String {
      let entry = try #require(try await fixture.entry("/etc/\(name)", of: client))
      return "\(entry["owner"] ?? "") \(entry["group"] ?? "") \(entry["mode"] ?? "") \(entry["failure"] ?? "")"
    }
    let (one, two): (ClientName, ClientName) = ("one.example.com", "two.example.com")
    let (open, own) = ("owner='mallory' group='root' mode='04777'", "owner='root' group='root' mode='0600'")

    // A dangerous mode is never written for all clients.
    try await send(one, "setuid", open)
    try await send(two, "setuid", own)
    #expect(try await permissions("setuid", one) == "mallory root 04777 ")
    #expect(try await permissions("setuid", two) == "root root 0600 ")
    #expect(
      try fixture.text("Cfg/etc/setuid/info.xml").contains("\n  <Info owner=\"root\" group=\"root\" mode=\"0644\"/>\n"))

    // All clients report the same: the file is as Bcfg2 writes it.
    try await send(one, "same", own)
    let info = try fixture.text("Cfg/etc/same/info.xml")
    #expect(info.contains("\n  <Info owner=\"root\" group=\"root\" mode=\"0600\"/>\n") && !info.contains("<Client"))
    try await send(two, "same", own)
    #expect(try fixture.text("Cfg/etc/same/info.xml") == info)
    // Clients that differ get files of their own; earlier clients keep theirs.
    try await send(one, "apart", "owner='o' group='g' mode='0644'")
    try await send(two, "apart", own)
    #expect(try await permissions("apart", one) == "o g 0644 ")
    #expect(try await permissions("apart", two) == "root root 0600 ")
    #expect(
      try fixture.text("Cfg/etc/apart/info.xml").contains("\n  <Info owner=\"root\" group=\"root\" mode=\"0600\"/>\n"))
    // An info.xml of the administrator stays, even one that was copied from ours.
    try await send(one, "given", open)
    #expect(try await permissions("given", one) == "given root 0600 ")
    try await send(one, "edited", own)
    fixture.edit("Cfg/etc/edited/info.xml", "<FileInfo><Info mode=\"0400\"/></FileInfo>")
    try await send(two, "edited", open)
    #expect(try await permissions("edited", two) == "root root 0400 ")
    // A client whose file had no info.xml keeps the defaults.
    try await send(one, "group", own)
    #expect(try await permissions("group", one) == "root root 0600 ")
    #expect(
      try fixture.text("Cfg/etc/group/info.xml").hasSuffix(
        "  <Info owner=\"root\" group=\"root\" mode=\"644\"/>\n</FileInfo>\n"))

    for bad in ["owner='\(String(repeating: "x", count: 256))'", "mode='rwx'", "mode='77777'", "group='a&#10;b'"] {
      await #expect(throws: PluginExecutionError.self, "\(bad)") { try await send(two, "same", bad) }
    }
  }
}

/// An upload with an unrequested or repeated file writes nothing.
@Test func anUploadIsTakenWholeOrNotAtAll() async throws {
  let files = RepositoryFixture.files(["FileProbes/config.xml": config])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg", "FileProbes")) {
    fixture async throws in
    let plugin = try fixture.plugin(FileProbesPlugin.self)
    let metadata = try await fixture.metadata()
    let good = answer("/etc/new", "new\n")
    for bad in [[answer("/etc/shadow", "x")], [answer("/etc/new", "again")], [answer("/etc/update", "x", "mode='?'")]] {
      await #expect(throws: PluginExecutionError.self) { try await plugin.receiveData(metadata, [good] + bad) }
      #expect(!fileExists(fixture.repository.file("Cfg/etc")))
    }
    try await plugin.receiveData(metadata, [good, answer("/etc/update", "x")])
    #expect(try fixture.text("Cfg/etc/new/new.H_one.example.com") == "new\n")
  }
}

/// Files of one upload are written concurrently, within a limit; if the client disconnects, the rest is not written.
@Test func filesOfOneUploadAreWrittenTogether() async throws {
  let paths = (10..<50).map { "/etc/file\($0)" }
  let text = paths.map { "<FileProbe name=\"\($0)\" update=\"true\"/>" }.joined()
  let files = RepositoryFixture.files(["FileProbes/config.xml": "<FileProbes>\(text)</FileProbes>"])
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg", "FileProbes")) {
    fixture async throws in
    let plugin = try fixture.plugin(FileProbesPlugin.self)
    let metadata = try await fixture.metadata()
    let disk = HeldSynchronizer()
    fixture.core.loop.fileWriter.synchronizer = disk
    let data = paths.map { answer($0, "contents of \($0)\n") }
    let upload = Task { try await plugin.receiveData(metadata, data) }
    // Half of the open files are the files themselves, the other half their info.xml.
    while disk.heldCount < FileWriter.openLimit { await Task.yield() }
    #expect(disk.begun == FileWriter.openLimit && !fileExists(fixture.repository.file("Cfg/etc/file10/info.xml")))
    upload.cancel()
    disk.isHolding = false
    disk.release()
    await #expect(throws: PluginExecutionError.self) { try await upload.value }
    #expect(fileExists(fixture.repository.file("Cfg/etc/file41/file41.H_one.example.com")))
    #expect(!fileExists(fixture.repository.file("Cfg/etc/file42")))
    try await plugin.receiveData(metadata, data)
    for path in paths {
      let name = path.dropFirst(5)
      #expect(try fixture.text("Cfg\(path)/\(name).H_one.example.com") == "contents of \(path)\n")
    }
  }
}

@Test func aFileThatIsTooLargeIsRefused() async throws {
  var settings = try Settings(conf: "[fileprobes]\nfile_bytes = 1k\n", path: "test.conf")
  settings.plugins = ["Bundler", "Cfg", "FileProbes", "Metadata"]
  settings.password = "foobat"
  let files = RepositoryFixture.files(["FileProbes/config.xml": config])
  try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
    let plugin = try fixture.plugin(FileProbesPlugin.self)
    let metadata = try await fixture.metadata()
    await #expect(throws: LimitExceeded("[fileprobes] file_bytes", 1024)) {
      try await plugin.receiveData(metadata, [answer("/etc/new", String(repeating: "x", count: 1025))])
    }
    #expect(!fileExists(fixture.repository.file("Cfg/etc")))
    let fitting = String(repeating: "x", count: 1024)
    try await plugin.receiveData(metadata, [answer("/etc/new", fitting)])
    #expect(try fixture.text("Cfg/etc/new/new.H_one.example.com") == fitting)
  }
}

@Test func theProgramTellsAFile() async throws {
  let files = RepositoryFixture.files()
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("Cfg", "FileProbes")) {
    fixture async throws in
    let path = fixture.repository.write("contents\n", to: "odd \"ü\\ name", mode: 0o640)
    let escaped = String(decoding: XMLEscape.escaped(Array(path.utf8), as: .attribute), as: UTF8.self)
    fixture.edit("FileProbes/config.xml", "<FileProbes><FileProbe name=\"\(escaped)\" update=\"true\"/></FileProbes>")
    let probes = try await fixture.plugin(FileProbesPlugin.self).getProbes(fixture.metadata())
    let program = try #require(probes.first?.text)
    let output = try await ChildProcess.run(
      ["python3", "-c", program], environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], timeout: .seconds(120),
      outputLimitBytes: 1 << 16, on: fixture.core.loop)
    let document = try ClientDocument.parse(output.standardOutput)
    #expect(document.tag == "ProbedFileData" && document.name == path && document["mode"] == "0640")
    #expect(document.text == "Y29udGVudHMK")
  }
}

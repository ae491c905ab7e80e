import EventLoop
import Support
import Testing
import XMLRPC

@testable import Server

private let config = """
  <FileProbes>
    <FileProbe name="/etc/new" update="true"/><FileProbe name="/etc/known"/><FileProbe name="/etc/unknown"/>
    <FileProbe name="/etc/update" update="TRUE"/><FileProbe name="/etc/word" update="yes"/><Group name="none"><FileProbe name="/etc/none" update="true"/></Group>
  </FileProbes>
  """

private func answer(_ path: String, _ text: String) -> Element {
  let contents = String(decoding: Base64.encode(Array(text.utf8)), as: UTF8.self)
  let element = Element("probe-data", ["name": path, "source": "FileProbes"])
  element.text = "<ProbedFileData name='\(path)' owner='o' group='g' mode='0640'>\(contents)</ProbedFileData>"
  return element
}

@Test func filesOfClientsBecomeThatHostsFiles() async throws {
  let files = PluginRepository.files(
    bundle: ["new", "known", "update"].map { "<Path name=\"/etc/\($0)\"/>" }.joined(),
    [
      "FileProbes/config.xml": config, "Cfg/etc/known/known": "known\n", "Cfg/etc/update/update": "old\n",
      "Cfg/etc/update/info.xml": "<FileInfo><Info mode=\"0600\"/></FileInfo>",
    ])
  try await CoreBench.run(files: files, settings: PluginRepository.settings("Cfg", "FileProbes")) {
    bench async throws in
    let plugin = try bench.plugin(FileProbesPlugin.self)
    let metadata = try await bench.metadata()
    #expect(
      try plugin.getProbes(metadata).compactMap(\.name) == ["/etc/new", "/etc/known", "/etc/update", "/etc/word"])
    try await plugin.receiveData(
      metadata,
      [answer("/etc/new", "new\n"), answer("/etc/known", "other\n"), answer("/etc/update", "updated\n")])
    #expect(try await bench.entry("/etc/new")?.text == "new\n")
    #expect(try await bench.entry("/etc/new")?["mode"] == "0640")
    #expect(try await bench.entry("/etc/new", of: "two.example.com")?["failure"] != nil)
    #expect(try await bench.entry("/etc/known")?.text == "known\n")
    #expect(try await bench.entry("/etc/update")?.text == "updated\n")
    #expect(try await bench.entry("/etc/update")?["mode"] == "0600")
    #expect(
      try bench.text("Cfg/etc/new/info.xml")
        == "<FileInfo>\n  <Info owner=\"o\" group=\"g\" mode=\"0640\"/>\n</FileInfo>\n")
    // What is neither true nor false asks, but does not overwrite.
    for text in ["first\n", "second\n"] {
      try await plugin.receiveData(metadata, [answer("/etc/word", text)])
      #expect(try bench.text("Cfg/etc/word/word.H_one.example.com") == "first\n")
    }
    // What was not asked for is not written, whatever path it names, be it that config.xml has it.
    for path in ["/etc/../../escape", "/etc/unknown"] {
      await #expect(throws: PluginExecutionError.self) {
        try await plugin.receiveData(metadata, [answer(path, "x")])
      }
    }
    #expect(bench.repository.names(in: "Cfg/etc").contains("unknown") == false)
    let complaint = Element("probe-data", ["name": "/etc/new"])
    complaint.text = "no such file"
    try await plugin.receiveData(metadata, [complaint, Element("probe-data", ["name": "/etc/new"])])
    #expect(try await bench.entry("/etc/new")?.text == "new\n")
  }
}

@Test func theProgramTellsAFile() async throws {
  let files = PluginRepository.files()
  try await CoreBench.run(files: files, settings: PluginRepository.settings("Cfg", "FileProbes")) {
    bench async throws in
    let path = bench.repository.write("contents\n", to: "odd \"ü\\ name", mode: 0o640)
    let escaped = String(decoding: XMLEscape.escaped(Array(path.utf8), as: .attribute), as: UTF8.self)
    bench.edit("FileProbes/config.xml", "<FileProbes><FileProbe name=\"\(escaped)\" update=\"true\"/></FileProbes>")
    let probes = try bench.plugin(FileProbesPlugin.self).getProbes(try await bench.metadata())
    let program = try #require(probes.first?.text)
    let output = try await ChildProcess.run(
      ["python3", "-c", program], environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], timeout: .seconds(120),
      outputLimitBytes: 1 << 16, on: bench.core.loop)
    let document = try ClientDocument.parse(output.standardOutput)
    #expect(document.tag == "ProbedFileData" && document.name == path && document["mode"] == "0640")
    #expect(document.text == "Y29udGVudHMK")
  }
}

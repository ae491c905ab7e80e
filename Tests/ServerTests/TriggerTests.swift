import EventLoop
import Glibc
import Support
import Testing

@testable import Server

@Test func scriptsRunAfterAConfiguration() async throws {
  try await CoreBench.run(files: PluginRepository.files(), settings: PluginRepository.settings("Trigger")) {
    bench async throws in
    let script = "#!/bin/sh\necho \"$#\" \"$@\" >> \"$(dirname \"$0\")/../told\"\n"
    bench.repository.write(script, to: "Trigger/note", mode: 0o755)
    bench.repository.write("not to be run", to: "Trigger/plain")
    let plugin = try bench.plugin(TriggerPlugin.self)
    _ = try await bench.configuration(of: "one.example.com")
    #expect(plugin.running == 2)
    while plugin.running > 0 { await Task.yield() }
    #expect(try bench.text("told") == "5 one.example.com -p base -g base:web\n")
  }
}

import Core
import CoreSupport
import EventLoop
import Glibc
import Support
import Testing

@testable import Plugins

@Test func scriptsRunAfterAConfiguration() async throws {
  try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: RepositoryFixture.settings("Trigger")) {
    fixture async throws in
    let script = "#!/bin/sh\necho \"$#\" \"$@\" >> \"$(dirname \"$0\")/../told\"\n"
    fixture.repository.write(script, to: "Trigger/note", mode: 0o755)
    fixture.repository.write("not to be run", to: "Trigger/plain")
    let plugin = try fixture.plugin(TriggerPlugin.self)
    _ = try await fixture.configuration(of: "one.example.com")
    #expect(plugin.running == 2)
    while plugin.running > 0 { await Task.yield() }
    #expect(try fixture.text("told") == "5 one.example.com -p base -g web:base\n")
  }
}

@Test func aBurstOfConfigurationsStartsNoCrowdOfScripts() async throws {
  try await RepositoryFixture.run(files: RepositoryFixture.files(), settings: RepositoryFixture.settings("Trigger")) {
    fixture async throws in
    // Each script reports its start, and waits until the test ends it.
    let script = "#!/bin/sh\nfolder=$(dirname \"$0\")/..\ntouch \"$folder/begun.$$\"\nread line < \"$folder/pipe\"\n"
    fixture.repository.write(script, to: "Trigger/wait", mode: 0o755)
    #expect(mkfifo(fixture.repository.file("pipe"), 0o600) == 0)
    let plugin = try fixture.plugin(TriggerPlugin.self)
    let queue = fixture.core.loop.childQueue
    #expect(queue.limit == 16)
    for _ in 0..<64 { _ = try await fixture.configuration(of: "one.example.com") }
    #expect(plugin.running == 64)
    while queue.runningCount + queue.waitingCount < 64 { await Task.yield() }
    #expect(queue.runningCount == 8 && queue.waitingCount == 56)
    // A program of a waiting request does not wait behind the scripts.
    let output = try await ChildProcess.run(["/bin/echo", "now"], outputLimitBytes: 100, on: fixture.core.loop)
    #expect(output.standardOutput == Array("now\n".utf8) && queue.runningCount == 8)
    queue.waitingLimit = 0
    let end = open(fixture.repository.file("pipe"), O_RDWR | O_CLOEXEC)
    defer { close(end) }
    let line = Array("\n".utf8)
    for _ in 0..<64 { #expect(write(end, line, 1) == 1) }
    while plugin.running > 0 { await Task.yield() }
    #expect(queue.runningCount == 0)
  }
}

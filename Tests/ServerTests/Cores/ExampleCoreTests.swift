import CoreSupport
import EventLoop
import Identity
import OrderedCollections
import Plugins
import ServerSettings
import Support
import Testing

@testable import Core

/// Another core implementation, written by docs/core.md alone.
@Suite struct ExampleCoreTests {
  @Test func anotherCoreNeedsNothingButTheProtocol() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let folder = TemporaryDirectory()
      for (name, text) in FakePluginFixture.metadata { folder.write(text, to: name) }
      var settings = RepositoryFixture.settings
      settings.repository = folder.path
      settings.configurationFile = folder.file("bcfg2.conf")
      let core = FunctionCore(
        settings: settings, loop: loop, fileMonitor: ComparingMonitor(), resolver: FixedResolver(["10.0.0.1": "one"]),
        registry: .standard)
      core.initPlugin(FakePlugin.self)
      let fake = try #require(core.plugins["Fake"] as? FakePlugin)
      let address = ClientAddress(ip: "10.0.0.1", port: 1)
      // root:foobat, root:wrong
      let (right, wrong) = ("Basic cm9vdDpmb29iYXQ=", "Basic cm9vdDp3cm9uZw==")
      func body(_ method: String) -> [UInt8] {
        Array("<methodCall><methodName>\(method)</methodName><params/></methodCall>".utf8)
      }
      try core.open()
      #expect(await core.request(authorization: right, body: body("GetProbes"), from: address).status == 503)
      try await core.run()
      #expect(await core.request(authorization: wrong, body: body("GetProbes"), from: address).status == 401)
      #expect(await core.request(authorization: "Bearer x", body: body("GetProbes"), from: address).status == 401)
      #expect(await core.request(authorization: right, body: [0], from: address).status == 500)
      fake.decision = .deny
      #expect(await core.request(authorization: right, body: body("GetProbes"), from: address).status == 401)
      fake.decision = .allow
      let answer = await core.request(authorization: right, body: body("GetProbes"), from: address)
      #expect(answer.status == 200 && String(decoding: answer.body, as: UTF8.self).contains("&lt;probes/&gt;"))
      let fault = await core.request(authorization: right, body: body("nothing"), from: address)
      #expect(fault.status == 200 && String(decoding: fault.body, as: UTF8.self).contains("Unknown method nothing"))
      // The end waits for what is under way; asked a second time, it does not.
      let gate = Gate()
      fake.gates["getProbes"] = gate
      let held = Task { await core.request(authorization: right, body: body("GetProbes"), from: address).status }
      while gate.count == 0 { await loop.nextIteration() }
      var ends = 0
      core.stop { ends += 1 }
      #expect(ends == 0 && !core.isShutDown)
      core.stop { ends += 1 }
      #expect(ends == 2 && core.isShutDown)
      gate.open()
      #expect(await held.value == 200)
    }
  }
}

import CoreSupport
import EventLoop
import Identity
import OrderedCollections
import Plugins
import ServerSettings
import Support
import Testing

@testable import Core

/// Another core implementation, written from docs/core.md alone.
@Suite struct ExampleCoreTests {
  @Test func anotherCoreNeedsNothingButTheProtocol() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let fixture = try RepositoryFixture(
        files: RepositoryFixture.twoClients, names: ["10.0.0.1": "one"], loading: .only([FakePlugin.self]),
        core: FunctionCore.init(settings:loop:fileMonitor:resolver:registry:), on: loop)
      let core = try #require(fixture.core as? FunctionCore)
      let fake = fixture.fake
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
      // Stopping waits for pending answers; a second stop does not.
      let gate = Gate()
      fake.gates["getProbes"] = gate
      core.repositoryChanged()
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

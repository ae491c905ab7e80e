import CoreSupport
import EventLoop
import Glibc
import Identity
import Logging
import OrderedCollections
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Server

/// A child's core in this process, with its parent's end of the pair in the hands of the test.
@Suite struct ChildCoreTests {
  private final class Fixture {
    let repository: RepositoryFixture
    let parent: RPCChannel
    var core: ServerCore { repository.core }
    var fake: FakePlugin { repository.fake }
    var loop: Reactor { repository.loop }
    private(set) var frames: [RPCFrame] = []
    private var lastRequest: UInt64 = 0

    init(_ loop: Reactor, _ plugin: FakePlugin.Type) throws {
      let pair = try RPCChannel.makePair()
      parent = try RPCChannel(FileDescriptor(owning: pair.0), on: loop)
      let channel = try RPCChannel(FileDescriptor(owning: pair.1), on: loop)
      repository = try RepositoryFixture(
        files: RepositoryFixture.twoClients,
        core: { settings, loop, monitor, resolver, registry in
          ChildCore(
            channel: channel, settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver,
            registry: registry)
        }, on: loop)
      repository.addFake(plugin)
      fake.binders["Path:/fast"] = .now { entry, metadata in entry["by"] = metadata.hostname.text }
      let core = try #require(repository.core as? ChildCore)
      channel.onFrame = { core.receive($0) }
      parent.onFrame = { [unowned self] in frames.append($0) }
    }

    /// What the child answers to a request for a configuration, logs and costs left out.
    func render(_ client: String, begun: RenderRequest.HookSet = []) async -> [RPCFrame] {
      frames = []
      lastRequest += 1
      parent.send(.render, request: lastRequest, ByteSegments([begun.rawValue] + Array(client.utf8)))
      while !frames.contains(where: { [.configuration, .failure, .refused].contains($0.kind) }) {
        await loop.nextIteration()
      }
      return frames.filter { $0.kind != .log && $0.kind != .cost }
    }
  }

  /// A plugin without hooks of a run.
  private final class PureFake: FakePlugin {
    override var stages: Set<ClientRunStage> { [] }
    override func allowsCaching(for metadata: ClientMetadata) -> Bool { true }
  }

  private static func run(_ plugin: FakePlugin.Type, _ body: (Fixture) async throws -> Void) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try Fixture(loop, plugin)
      try await body(fixture)
      fixture.parent.close()
      fixture.core.shutdown()
    }
  }

  @Test func hooksThatAnotherChildBeganAreNotBegunAgain() async throws {
    let sets: [(RenderRequest.HookSet, ran: [String], said: [UInt8])] = [
      ([], ["startClientRun one", "endClientRun one"], [1, 2]), ([.start], ["endClientRun one"], [2]),
      ([.start, .end], [], []),
    ]
    try await Self.run(FakePlugin.self) { fixture in
      for (begun, ran, said) in sets {
        fixture.fake.calls = []
        fixture.fake.expired = []
        let frames = await fixture.render("one", begun: begun)
        #expect(fixture.fake.calls.filter { $0.contains("ClientRun") } == ran)
        #expect(frames.filter { $0.kind == .hooks }.flatMap(\.payload) == said)
        #expect(frames.last?.kind == .configuration)
        // For each hook that is left out, the plugin is told once to forget what it has cached for the run.
        #expect(fixture.fake.expired.count == 2 - ran.count)
      }
    }
  }

  @Test func anAnswerThatMayBeKeptSaysHowItIsCut() async throws {
    try await Self.run(PureFake.self) { fixture in
      fixture.fake.structures = { _ in
        [FakePlugin.bundle("b", ["/fast"]), FakePlugin.bundle("c", ["/fast"])]
      }
      let frames = await fixture.render("one")
      #expect(frames.map(\.kind) == [.cacheable, .configuration])
      let parts = try #require(CacheableParts(frames[0].payload))
      let document = frames[1].segments
      #expect(parts.revision == "7")
      // The start tag, two bundles, the end tag.
      #expect(parts.partBytes.count == 4 && parts.partBytes.reduce(0, +) == document.count)
      // The document is cut the same in however many pieces it came.
      let bytes = document.bytes()
      for size in [1, 7, bytes.count] {
        var pieces = ByteSegments()
        for start in stride(from: 0, to: bytes.count, by: size) {
          pieces.append(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        let cut = try #require(parts.cut(pieces) { _ in nil })
        #expect(cut.bytes() == bytes && cut.parts.count == 4)
      }
      #expect(parts.cut(ByteSegments(Array(bytes.dropLast()))) { _ in nil } == nil)
      for count in 0..<20 { #expect(CacheableParts(Array(frames[0].payload.prefix(count))) != parts) }
      // An answer that depends on more is not to be kept, and where there are no kept answers nothing is said.
      fixture.fake.failures["validateGoals"] = Boom()
      #expect(await fixture.render("two").map(\.kind) == [.configuration])
      fixture.fake.failures = [:]
      var settings = fixture.core.settings
      settings.answerCacheBytes = 0
      fixture.core.settingsChanged(settings)
      #expect(await fixture.render("one").map(\.kind) == [.configuration])
    }
  }

  @Test func aBuildThatDefinesAGroupTellsTheParentOnce() async throws {
    try await Self.run(PureFake.self) { fixture in
      fixture.fake.groups = [.defined(MetadataGroup(name: "made", category: "cat"))]
      #expect(await fixture.render("one").map(\.kind) == [.repositoryChanged, .configuration])
      #expect(await fixture.render("one").map(\.kind) == [.cacheable, .configuration])
    }
  }

  /// The parent passes on each report, for its time; one that says the same outdates nothing.
  @Test func aReportWithoutNewsOutdatesNothingInAChild() async throws {
    try await Self.run(PureFake.self) { fixture in
      fixture.core.initPlugin(ProbesPlugin.self)
      @MainActor func pass(on text: String, at time: Int) async {
        let client = "<Client name='one' timestamp='\(time)'><Probe name='p' value='\(text)'/></Client>"
        let call = MethodCall(method: "RecvProbeData", params: ["Probes", "one", .bytes(Array(client.utf8))])
        fixture.parent.send(.call, request: 1, call.encode())
        let before = fixture.frames.count
        while !fixture.frames.dropFirst(before).contains(where: { $0.kind == .value }) {
          await fixture.loop.nextIteration()
        }
      }
      @MainActor func known() async throws -> (text: String?, time: String?) {
        let data = try await fixture.core.buildMetadata("one")[connector: "Probes"] as? ProbeDataSet
        return (data?["p"]?.text, data?.timestamp)
      }
      await pass(on: "first", at: 1)
      #expect(await fixture.render("one").last?.kind == .configuration)
      let before = fixture.core.generation(of: "one")
      await pass(on: "first", at: 2)
      #expect(fixture.core.generation(of: "one") == before)
      var data = try await known()
      #expect(data.text == "first" && data.time == "2")
      // One with news is followed by the parent's word.
      await pass(on: "second", at: 3)
      data = try await known()
      #expect(data.text == "second" && data.time == "3")
    }
  }

  @Test func aPingIsAnsweredWhileABuildWaits() async throws {
    try await Self.run(FakePlugin.self) { fixture in
      let gate = Gate()
      fixture.fake.gates["buildStructures"] = gate
      let held = Task { await fixture.render("one") }
      while gate.count == 0 { await fixture.loop.nextIteration() }
      fixture.parent.send(.ping)
      while !fixture.frames.contains(where: { $0.kind == .alive }) { await fixture.loop.nextIteration() }
      gate.open()
      #expect(await held.value.last?.kind == .configuration)
    }
  }

  /// The parent's side, with a child that the test plays.
  @Test func anAnswerThatWasOvertakenByAChangeIsGivenAndNotKept() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try RepositoryFixture(
        files: RepositoryFixture.twoClients,
        core: MultiprocessingCore.init(settings:loop:fileMonitor:resolver:registry:),
        on: loop)
      let core = try #require(fixture.core as? MultiprocessingCore)
      var settings = core.settings
      let pair = try RPCChannel.makePair()
      let child = try RPCChannel(FileDescriptor(owning: pair.1), on: loop)
      var asked: [UInt64] = []
      child.onFrame = { if $0.kind == .render { asked.append($0.request) } }
      core.pool.queue.onRepositoryChanged = { core.repositoryChanged() }
      core.pool.start(count: 1, limits: .init(silence: .seconds(600), start: .seconds(600))) { _, _ in
        LaunchedChild(channel: try RPCChannel(FileDescriptor(owning: pair.0), on: loop), processID: 0, kill: {})
      }
      child.send(.ready)
      let changes: [() -> Void] = [
        {}, { core.clientChanged("one") }, { core.repositoryChanged() }, { core.expireMetadataCache() },
        { child.send(.repositoryChanged) },
        {
          settings.answerCacheBytes = 0
          core.settingsChanged(settings)
        },
      ]
      for (number, change) in changes.enumerated() {
        core.repositoryChanged()
        asked = []
        let answer = Task { try await core.renderConfiguration("one").bytes() }
        while asked.isEmpty { await loop.nextIteration() }
        change()
        let document = ByteSegments("answer \(number)")
        child.send(.cacheable, request: asked[0], ByteSegments(CacheableParts(of: document, revision: "-1").encoded))
        child.send(.configuration, request: asked[0], document)
        #expect(try await answer.value == document.bytes())
        #expect((core.cachedConfiguration("one") != nil) == (number == 0), "change \(number)")
      }
      child.close()
      core.pool.killAll()
      core.shutdown()
    }
  }

  /// What children hold of a plugin's data is expired with the parent's, before the administrator is answered.
  @Test func resultsOfQueriesAreExpiredInAllProcesses() async throws {
    try await LoopDriver.withLoop { loop in
      var settings = RepositoryFixture.settings
      settings.plugins = ["Metadata", "Ldap"]
      let fixture = try RepositoryFixture(
        files: RepositoryFixture.twoClients, settings: settings,
        core: MultiprocessingCore.init(settings:loop:fileMonitor:resolver:registry:), on: loop)
      let core = try #require(fixture.core as? MultiprocessingCore)
      let pair = try RPCChannel.makePair()
      let child = try RPCChannel(FileDescriptor(owning: pair.1), on: loop)
      var calls: [MethodCall] = []
      child.onFrame = { frame in
        guard frame.kind == .call, frame.request != 0, let call = try? MethodCall.decode(frame.payload) else { return }
        calls.append(call)
        child.send(.value, request: frame.request, MethodResponse.encode(3))
      }
      core.pool.start(count: 1, limits: .init(silence: .seconds(600), start: .seconds(600))) { _, _ in
        LaunchedChild(channel: try RPCChannel(FileDescriptor(owning: pair.0), on: loop), processID: 0, kill: {})
      }
      child.send(.ready)
      while core.readyChildren == 0 { await loop.nextIteration() }
      let answer = try await fixture.call("Ldap.expire_cache", ["Users", "one"])
      #expect(answer == 3)
      #expect(calls.map(\.method) == ["Ldap.expire_results"] && calls.first?.params == ["Users", "one"])
      let plugin = try #require(core.plugins["Ldap"])
      #expect(plugin.childRMI["expire_results"] == "expire_results" && plugin.rmi["expire_results"]?.isListed == false)
      child.close()
      core.pool.killAll()
      core.shutdown()
    }
  }

  /// A child that ends in the middle of an answer, after each number of bytes that matters.
  @Test(arguments: [0, 8, 16, 17, 40_000, 500_000, 1_000_015]) func halfAnAnswerIsNone(sent: Int) async throws {
    try await LoopDriver.withLoop { loop in
      let pair = try RPCChannel.makePair()
      let queue = RPCQueue()
      var ends = 0
      queue.onEnd = { _, _ in ends += 1 }
      queue.addSubscriber("Child-0", channel: try RPCChannel(FileDescriptor(owning: pair.0), on: loop))
      let request = RenderRequest(client: "a")
      async let outcome: String = {
        do {
          return "answered with \(try await queue.render(request, on: "Child-0").count) bytes"
        } catch { return "\(error)" }
      }()
      while queue.pendingCount(of: "Child-0") == 0 { await loop.nextIteration() }
      let frame =
        RPCFrame.header(.configuration, request: 1, payloadBytes: 1_000_000) + Array(repeating: 7, count: 1_000_000)
      var written = 0
      while written < sent {
        let count = frame[written..<sent].withUnsafeBytes {
          send(pair.1, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
        }
        if count > 0 { written += count } else { await loop.nextIteration() }
      }
      close(pair.1)
      while ends == 0 { await loop.nextIteration() }
      queue.removeSubscriber("Child-0", .ended("signal 9 (Killed)"))
      #expect(await outcome == "the child process is gone: signal 9 (Killed)")
      #expect(ends == 1 && request.cacheable == nil)
    }
  }
}

import CLinux
import Core
import EventLoop
import Glibc
import Logging
import Plugins
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Server

/// The parts of the multiprocessing core, with both ends of the pairs in this process.
@Suite struct MultiprocessingTests {
  /// Both ends of a pair.
  private func makeChannels(_ loop: Reactor) throws -> (RPCChannel, RPCChannel) {
    let pair = try RPCChannel.makePair()
    return (
      try RPCChannel(FileDescriptor(owning: pair.0), on: loop), try RPCChannel(FileDescriptor(owning: pair.1), on: loop)
    )
  }

  @Test func framesOfAnySizeArriveWholeAndInOrderInBothDirections() throws {
    let loop = try Reactor()
    let (left, right) = try makeChannels(loop)
    let sizes = [0, 1, 15, 16, 4095, 4096, 32767, 32768, 65520, 65536, 65537, 400_000, 1_500_001, 7, 0]
    var received: [(UInt64, [UInt8])] = []
    var echoed: [(UInt64, [UInt8])] = []
    right.onFrame = { frame in
      received.append((frame.request, frame.payload))
      // In pieces, as answers come.
      var segments = ByteSegments()
      for start in stride(from: 0, to: frame.payload.count, by: 3000) {
        segments.append(Array(frame.payload[start..<min(start + 3000, frame.payload.count)]))
      }
      right.send(.configuration, request: frame.request, segments)
    }
    left.onFrame = { echoed.append(($0.request, $0.payload)) }
    let payloads = sizes.enumerated().map { number, size in
      (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ number) }
    }
    for (number, payload) in payloads.enumerated() { left.send(.call, request: UInt64(number), ByteSegments(payload)) }
    #expect(LoopDriver.run(loop, limit: .seconds(60)) { echoed.count == sizes.count })
    #expect(received.map(\.0) == Array(0..<UInt64(sizes.count)) && received.map(\.1) == payloads)
    #expect(echoed.map(\.0) == received.map(\.0) && echoed.map(\.1) == payloads)
    #expect(left.queuedBytes == 0 && right.queuedBytes == 0)
    left.close()
    right.close()
    loop.runOnce(wait: .zero)
  }

  @Test func nonsenseAndTheOtherEndsCloseEndAChannelOnce() throws {
    let loop = try Reactor()
    for isNonsense in [true, false] {
      let pair = try RPCChannel.makePair()
      let channel = try RPCChannel(FileDescriptor(owning: pair.0), on: loop)
      var ends = 0
      channel.onEnd = { _ in ends += 1 }
      if isNonsense { #expect(write(pair.1, [UInt8](repeating: 0xFF, count: 64), 64) == 64) } else { close(pair.1) }
      #expect(LoopDriver.run(loop) { ends > 0 })
      loop.runOnce(wait: .zero)
      #expect(ends == 1)
      if isNonsense { close(pair.1) }
    }
  }

  @Test func answersGoToTheirRequestsOnceAndAGoneChildFailsTheRest() async throws {
    try await LoopDriver.withLoop { loop in
      let (ours, theirs) = try makeChannels(loop)
      let queue = RPCQueue()
      queue.addSubscriber("Child-0", channel: ours)
      var asked: [UInt64: String] = [:]
      theirs.onFrame = { frame in
        asked[frame.request] = String(decoding: frame.payload.dropFirst(), as: UTF8.self)
        guard asked.count == 4 else { return }
        // Backwards, each twice; d never; and one that nobody asked for.
        for (number, client) in asked.sorted(by: { $0.key > $1.key }) where client != "d" {
          theirs.send(.configuration, request: number, ByteSegments("for \(client)"))
          theirs.send(.configuration, request: number, ByteSegments("again for \(client)"))
        }
        theirs.send(.configuration, request: 99, ByteSegments("nobody's"))
        theirs.send(.hooks, request: asked.first { $0.value == "d" }!.key, ByteSegments([1]))
      }
      let last = RenderRequest(client: "d")
      async let answers = ["a", "b", "c"].asyncMap { client in
        String(decoding: try await queue.render(RenderRequest(client: client), on: "Child-0").bytes(), as: UTF8.self)
      }
      async let failure: any Error = {
        do {
          _ = try await queue.render(last, on: "Child-0")
          return RemoteError(description: "answered")
        } catch { return error }
      }()
      #expect(try await answers == ["for a", "for b", "for c"])
      while last.begunHooks.isEmpty { await loop.nextIteration() }
      queue.removeSubscriber("Child-0", .crashed("signal 11"))
      guard case RPCError.childGone(.crashed) = await failure else { return #expect(Bool(false), "not gone") }
      #expect(last.begunHooks == .start)
      theirs.close()
    }
  }

  @Test func aRequestThatEndsChildrenIsGivenUp() {
    for (end, limit) in [(ChildEnd.crashed("11"), 2), (.hung, 3), (.ended("9"), 10)] {
      let request = RenderRequest(client: "a")
      for _ in 1..<limit { #expect(request.lost(end)) }
      #expect(!request.lost(end))
      #expect(request.isSuspect == (limit < 10))
    }
  }

  /// A child that answers with its own name, and dies when told.
  private final class FakeChild {
    let channel: RPCChannel
    let onExit: (ChildProcess.ExitStatus) -> Void
    var held: [UInt64] = []
    var isHolding = false

    init(_ channel: RPCChannel, _ name: String, _ onExit: @escaping (ChildProcess.ExitStatus) -> Void) {
      self.channel = channel
      self.onExit = onExit
      channel.onFrame = { [unowned self] frame in
        guard frame.kind == .render else { return }
        if isHolding { held.append(frame.request) } else { answer(frame.request, name) }
      }
    }

    func answer(_ request: UInt64, _ name: String) {
      channel.send(.configuration, request: request, ByteSegments(name))
    }

    func die(_ status: ChildProcess.ExitStatus) {
      channel.close()
      onExit(status)
    }
  }

  @Test(arguments: ["least_loaded", "round_robin"]) func childrenAreChosen(selection: String) async throws {
    try await LoopDriver.withLoop { loop in
      let pool = ChildPool(selection: .leastLoaded, loop: loop, logger: Logger(label: "test"))
      pool.selection = try #require(ChildSelection(rawValue: selection))
      var children: [String: FakeChild] = [:]
      let limits = ChildSlot.Limits(silence: .seconds(600), start: .seconds(600))
      pool.start(count: 2, limits: limits) { name, onExit in
        let (ours, theirs) = try makeChannels(loop)
        let child = FakeChild(theirs, name, onExit)
        children[name] = child
        theirs.send(.ready)
        return LaunchedChild(channel: ours, processID: 0, kill: { child.die(.signaled(SIGKILL)) })
      }
      // The first child keeps its request.
      children["Child-0"]?.isHolding = true
      let busy = try #require(await pool.acquire(mayGiveUp: true))
      #expect(busy == "Child-0")
      var names: [String] = []
      for _ in 0..<4 {
        let name = try #require(await pool.acquire(mayGiveUp: true))
        names.append(name)
        pool.release(name)
      }
      let expected =
        selection == "round_robin"
        ? ["Child-1", "Child-0", "Child-1", "Child-0"] : Array(repeating: "Child-1", count: 4)
      #expect(names == expected)
      pool.release(busy)
      // Of two idle children the one that was asked last is taken; with round_robin the next one.
      let last = try #require(await pool.acquire(mayGiveUp: true))
      #expect(last == "Child-1")
      pool.release(last)
      var isStopped = false
      pool.stop(limit: .milliseconds(20)) { isStopped = true }
      while !isStopped { await loop.nextIteration() }
      #expect(await pool.acquire(mayGiveUp: false) == nil)
    }
  }

  @Test func aDyingChildIsReplacedAndWhoeverWaitsIsServedOrMayGiveUp() async throws {
    try await LoopDriver.withLoop { loop in
      let pool = ChildPool(selection: .leastLoaded, loop: loop, logger: Logger(label: "test"))
      var launches = 0
      var current: FakeChild?
      var limits = ChildSlot.Limits(silence: .seconds(600), start: .seconds(600))
      limits.firstDelay = .milliseconds(20)
      pool.start(count: 1, limits: limits) { name, onExit in
        launches += 1
        let (ours, theirs) = try makeChannels(loop)
        let child = FakeChild(theirs, name, onExit)
        current = child
        // The first two die before they are ready, the first one when both wait.
        if launches > 2 { theirs.send(.ready) } else if launches == 2 { loop.post { child.die(.exited(1)) } }
        return LaunchedChild(channel: ours, processID: 0, kill: { child.die(.signaled(SIGKILL)) })
      }
      async let patient = pool.acquire(mayGiveUp: false)
      async let impatient = pool.acquire(mayGiveUp: true)
      while pool.waiterCount < 2 { await loop.nextIteration() }
      current?.die(.exited(1))
      #expect(await impatient == nil)
      #expect(await patient == "Child-0")
      #expect(launches == 3 && pool.children[0].restarts == 2)
      pool.release("Child-0")
      // A request on a child that dies is told so, with how.
      current?.isHolding = true
      async let outcome: String = {
        do {
          _ = try await pool.queue.render(RenderRequest(client: "a"), on: "Child-0")
          return "answered"
        } catch { return "\(error)" }
      }()
      while current?.held.isEmpty ?? true { await loop.nextIteration() }
      current?.die(.signaled(SIGSEGV))
      #expect(await outcome.contains("signal 11"))
      pool.killAll()
    }
  }

  @Test func statisticsAreAddedUpUnderTheNamesOfBcfg2() throws {
    var aggregate = AggregatedStatistics()
    let child: Value = ["ChildCore:GetStructures": [1.0, 3.0, 2.0, 2], "GetConfig": [0.5, 0.5, 0.5, 1]]
    aggregate.add(child, prefix: "Child-0")
    aggregate.add(["ChildCore:GetStructures": [2.0, 8.0, 5.0, 4]], prefix: "Child-1")
    aggregate.add(["GetConfig": [1.5, 1.5, 1.5, 1]], prefix: nil)
    let value = aggregate.value
    #expect(
      value.members?.map(\.name) == [
        "Child-0:Core:GetStructures", "Child-0:GetConfig", "Child-1:Core:GetStructures", "GetConfig",
        "Total:Core:GetStructures", "Total:GetConfig",
      ])
    #expect(value["Total:Core:GetStructures"] == [1.0, 8.0, 4.0, 6])
    #expect(value["Total:GetConfig"] == [0.5, 1.5, 1.0, 2])
  }

  @Test func errorsRecordsAndSettingsSurviveTheWay() throws {
    let fault = Fault(code: -32500, string: "Critical failure: a b\nc")
    #expect(BuildErrorCode.decode(BuildErrorCode.encode(fault)) as? Fault == fault)
    #expect(BuildErrorCode.decode(BuildErrorCode.encode(ValidationError("no"))) is ValidationError)
    #expect(BuildErrorCode.decode(BuildErrorCode.encode(MetadataConsistencyError("x"))) is MetadataConsistencyError)
    #expect("\(BuildErrorCode.decode(BuildErrorCode.encode(PluginExecutionError("y"))))" == "y")

    let record = LogRecord(
      level: .error, label: "Cfg", message: "ä\nb", time: timespec(tv_sec: 7, tv_nsec: 8), process: 42)
    let bytes = ForwardingLog.encode(record)
    #expect(ForwardingLog.decode(bytes)?.fileLine == record.fileLine)
    for count in 0..<29 { #expect(ForwardingLog.decode(Array(bytes.prefix(count)))?.label != "Cfg") }

    let folder = TemporaryDirectory()
    let path = folder.write(
      "[server]\nrepository = /r\nchildren = 3\nbackend = Multiprocessing\n[communication]\npassword = x\n",
      to: "bcfg2.conf")
    var typed = CommandLineOptions()
    typed.configurationFile = path
    typed.set("server", "children", to: "5", typed: "--children")
    let settings = try Settings.load(typed, registry: PluginRegistry.standard.settings)
    // The file is gone, or no longer readable: the child has the text.
    unlink(path)
    let child = try ChildSettings.decode(ChildSettings.encode(settings, typed))
    #expect(child.children == 5 && child.repository == "/r" && child.backend == "multiprocessing")
    #expect(child.password == "x" && "\(child.origin(of: "server", "repository"))" == "\(path):2")
  }
}

extension Array where Element: Sendable {
  /// The results in order, all begun at once.
  fileprivate func asyncMap<Result: Sendable>(_ body: @escaping @MainActor (Element) async throws -> Result)
    async throws
    -> [Result]
  {
    let tasks = map { element in Task { try await body(element) } }
    var results: [Result] = []
    for task in tasks { results.append(try await task.value) }
    return results
  }
}

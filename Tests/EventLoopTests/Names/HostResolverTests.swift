import Glibc
import Support
import Testing

@testable import EventLoop

/// Plays the helper processes: their ends of the sockets, served when the test says so.
private final class FakeHelpers {
  let loop: Reactor
  let kernel: FakePoller
  let log = LogRecorder()
  /// Of helpers that run, in order of their start.
  private(set) var sockets: [Int32] = []
  private(set) var killed = 0
  /// Errors of the next starts.
  var failures: [Int32] = []
  private(set) var resolver: HostResolver!

  init() {
    (loop, kernel) = FakePoller.makeLoop()
    resolver = HostResolver(on: loop, logger: log.logger) { [unowned self] socket, _ throws(SystemError) in
      try begin(socket)
    }
  }

  private func begin(_ socket: Int32) throws(SystemError) -> () -> Void {
    if let code = failures.first {
      failures.removeFirst()
      throw SystemError(call: "posix_spawn", errno: code)
    }
    let own = fcntl(socket, F_DUPFD_CLOEXEC, 3)
    sockets.append(own)
    return { [weak self] in self?.end(own) }
  }

  private func end(_ socket: Int32) {
    killed += 1
    die(socket)
  }

  func die(_ socket: Int32) {
    guard let index = sockets.firstIndex(of: socket) else { return }
    sockets.remove(at: index)
    close(socket)
  }

  /// Asks, and returns once the question is on its way.
  func ask(_ body: @escaping (HostResolver) async -> [String]) async -> Task<[String], Never> {
    var isAsked = false
    let resolver = resolver!
    let task = Task {
      isAsked = true
      return await body(resolver)
    }
    while !isAsked { await Task.yield() }
    return task
  }

  func peer(_ address: String) async -> Task<[String], Never> {
    await ask { await $0.name(ofPeer: address).map { [$0] } ?? [] }
  }

  func name(_ address: String) async -> Task<[String], Never> {
    await ask { await $0.name(of: address).map { [$0] } ?? [] }
  }

  /// Reports all sockets of the resolver as readable that are, a few times.
  func turn() {
    for _ in 0..<3 {
      let ready = kernel.registrations.filter { descriptor, _ in
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, 0) == 1
      }
      kernel.report(
        ready.sorted { $0.key < $1.key }.map {
          PollEvent(descriptor: $0.key, generation: $0.value.generation, readiness: .readable)
        })
      loop.runOnce(wait: .zero)
    }
  }

  /// How many packets wait for a helper.
  func waiting(_ socket: Int32) -> Bool {
    var poll = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, 0) == 1
  }
}

struct HostResolverTests {
  @Test func packetsAreDecodedAsEncoded() {
    for (code, text) in [(UInt8(1), ""), (2, "a\nb"), (255, "é")] {
      let decoded = ResolverHelper.decode(([9] + ResolverHelper.encode(code, text))[1...])
      #expect(decoded?.code == code && decoded?.text == text)
    }
    for number in [UInt32(0), 0x0102_0304, .max] {
      #expect(HelperProcess.number(([9] + HelperProcess.bytes(of: number))[1...]) == number)
    }
    for bad in [[], [5, 0xFF]] as [[UInt8]] {
      #expect(ResolverHelper.decode(bad[...]) == nil)
    }
  }

  @Test func theSystemIsAsked() {
    #expect(ResolverHelper.found(.name, "127.0.0.1") == ["localhost"])
    #expect(ResolverHelper.found(.addresses, "localhost").contains("127.0.0.1"))
    #expect(ResolverHelper.found(.addresses, "127.0.0.2") == ["127.0.0.2"])
    // A name is no address; RFC 6761 keeps .invalid empty.
    #expect(ResolverHelper.found(.name, "localhost") == [])
    #expect(ResolverHelper.found(.addresses, "a..b") == [])
  }

  @Test func equalQuestionsShareOneRequestAndItsAnswerIsKept() async {
    let helpers = FakeHelpers()
    let first = await helpers.name("127.0.0.1")
    let second = await helpers.name("127.0.0.1")
    #expect(helpers.sockets.count == 1)
    #expect(ResolverHelper.serveOne(helpers.sockets[0]) == .served)
    #expect(!helpers.waiting(helpers.sockets[0]))
    helpers.turn()
    #expect(await first.value == ["localhost"])
    #expect(await second.value == ["localhost"])
    #expect(await helpers.resolver.name(of: "127.0.0.1") == "localhost")
    #expect(!helpers.waiting(helpers.sockets[0]))
    helpers.kernel.now = helpers.kernel.now + HostResolver.cacheDuration
    let late = await helpers.name("127.0.0.1")
    #expect(helpers.waiting(helpers.sockets[0]) && helpers.sockets.count == 1)
    helpers.resolver.shutdown()
    #expect(await late.value == [])
    #expect(await helpers.resolver.name(of: "127.0.0.1") == nil)
    #expect(helpers.sockets.isEmpty && helpers.loop.registeredWatchers.isEmpty)
  }

  @Test func aSlowAnswerDelaysNobodyElse() async {
    let helpers = FakeHelpers()
    let slow = await helpers.name("192.0.2.1")
    let quick = await helpers.name("127.0.0.1")
    #expect(helpers.sockets.count == 2)
    #expect(ResolverHelper.serveOne(helpers.sockets[1]) == .served)
    helpers.turn()
    #expect(await quick.value == ["localhost"])
    // No question waits, so that one helper is enough.
    #expect(helpers.sockets.count == 1 && helpers.resolver.helperCount == 1)
    // After the deadline the stuck helper is ended, and the next question gets another.
    helpers.kernel.now = helpers.kernel.now + HostResolver.deadline
    helpers.turn()
    #expect(await slow.value == [])
    #expect(helpers.sockets.isEmpty && helpers.killed == 2)
    #expect(helpers.log.take().count == 1)
    let again = await helpers.name("192.0.2.2")
    helpers.kernel.now = helpers.kernel.now + HostResolver.deadline
    helpers.turn()
    #expect(await again.value == [])
    #expect(helpers.log.take() == [], "one outage, one line")
  }

  @Test func moreQuestionsThanHelpersWaitTheirTurn() async {
    let helpers = FakeHelpers()
    var tasks: [Task<[String], Never>] = []
    for number in 1...7 { tasks.append(await helpers.ask { await $0.addresses(of: "127.0.0.\(number)") }) }
    #expect(helpers.sockets.count == HostResolver.shareLimit)
    for _ in 0..<4 {
      for socket in helpers.sockets where helpers.waiting(socket) { _ = ResolverHelper.serveOne(socket) }
      helpers.turn()
    }
    for (index, task) in tasks.enumerated() { #expect(await task.value == ["127.0.0.\(index + 1)"]) }
    #expect(helpers.resolver.helperCount == 1 && helpers.log.take() == [])
  }

  @Test func strangersLeaveHelpersForClientsAndTheRepository() async {
    let helpers = FakeHelpers()
    var tasks: [Task<[String], Never>] = []
    // None of these is ever answered.
    for number in 1...5 { tasks.append(await helpers.peer("192.0.\(number).1")) }
    #expect(helpers.sockets.count == HostResolver.shareLimit)
    for number in 1...5 { tasks.append(await helpers.name("198.51.\(number).1")) }
    #expect(helpers.sockets.count == HostResolver.sharedLimit)
    helpers.resolver.recordClient(at: "127.0.0.1")
    let client = await helpers.peer("127.0.0.1")
    #expect(helpers.sockets.count == HostResolver.helperLimit)
    #expect(ResolverHelper.serveOne(helpers.sockets[HostResolver.helperLimit - 1]) == .served)
    helpers.turn()
    #expect(await client.value == ["localhost"])
    // A stranger that has become a client is asked for before the strangers.
    helpers.resolver.recordClient(at: "192.0.5.1")
    let again = await helpers.peer("192.0.5.1")
    #expect(helpers.sockets.count == HostResolver.helperLimit)
    helpers.resolver.shutdown()
    for task in tasks + [again] { #expect(await task.value == []) }
  }

  @Test func strangersOfOneNetworkHaveFewQuestions() async {
    let helpers = FakeHelpers()
    var tasks: [Task<[String], Never>] = []
    let room = HostResolver.shareLimit + HostResolver.networkLimit
    for number in 1...room { tasks.append(await helpers.peer("192.0.2.\(number)")) }
    #expect(helpers.log.take() == [])
    #expect(await helpers.resolver.name(ofPeer: "192.0.2.100") == nil)
    #expect(helpers.log.take().count == 1)
    // Another network, and a client of this one, are not affected.
    tasks.append(await helpers.peer("192.0.3.1"))
    helpers.resolver.recordClient(at: "192.0.2.200")
    tasks.append(await helpers.peer("192.0.2.200"))
    #expect(helpers.sockets.count == HostResolver.shareLimit + 1)
    for number in 1...100 { tasks.append(await helpers.peer("2001:db8:0:\(number)::1")) }
    helpers.resolver.shutdown()
    for task in tasks { #expect(await task.value == []) }
  }

  @Test func aHelperThatDiesIsReplacedOncePerQuestion() async {
    let helpers = FakeHelpers()
    let first = await helpers.name("127.0.0.1")
    helpers.die(helpers.sockets[0])
    helpers.turn()
    #expect(helpers.sockets.count == 1)
    #expect(ResolverHelper.serveOne(helpers.sockets[0]) == .served)
    helpers.turn()
    #expect(await first.value == ["localhost"])
    let fatal = await helpers.name("127.0.0.3")
    for _ in 0..<2 {
      helpers.die(helpers.sockets[0])
      helpers.turn()
    }
    #expect(await fatal.value == [] && helpers.sockets.isEmpty)
    #expect(helpers.log.take().count == 1)
    // An answer to another question, and one that is none.
    for reply in [HelperProcess.bytes(of: 0) + ResolverHelper.encode(1, "evil"), [1]] {
      let task = await helpers.name("127.0.0.4")
      for _ in 0..<2 {
        send(helpers.sockets[0], reply, reply.count, 0)
        helpers.turn()
      }
      #expect(await task.value == [])
    }
  }

  @Test func withoutHelpersThereAreNoAnswers() async {
    let helpers = FakeHelpers()
    helpers.failures = [EAGAIN, EAGAIN]
    #expect(await helpers.resolver.name(of: "127.0.0.1") == nil)
    #expect(await helpers.resolver.addresses(of: "localhost") == [])
    #expect(helpers.log.take().count == 1)
    for text in ["", String(repeating: "a", count: 1025), "a\0b"] {
      #expect(await helpers.resolver.addresses(of: text) == [])
    }
    #expect(helpers.sockets.isEmpty)
  }

  @Test func aHelperWithoutASocketRefuses() throws {
    let file = try FileDescriptor.open("/dev/null", O_RDWR)
    #expect(ResolverHelper.process.run(socket: file.rawValue) == 64)
    ResolverHelper.runIfAsked(["bcfg2-server"])
    ResolverHelper.runIfAsked(["bcfg2-server", "-x", ResolverHelper.process.argument])
  }
}

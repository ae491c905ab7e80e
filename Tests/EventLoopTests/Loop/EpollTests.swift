import CLinux
import Dispatch
import Glibc
import Support
import Testing

@testable import EventLoop

/// The loop on the real kernel.
struct EpollTests {
  private struct Pipe {
    let read: Int32
    let write: Int32

    init() throws(SystemError) {
      var ends: [Int32] = [-1, -1]
      try check("pipe2") { clinux_pipe(&ends) }
      read = ends[0]
      write = ends[1]
    }
  }

  @Test func anInterruptedWaitIsNoEvent() throws {
    var calls = 0
    let poller = try EpollPoller(waitCall: { epoll, events, count, timeout in
      calls += 1
      if calls <= 2 {
        errno = EINTR
        return -1
      }
      return clinux_epoll_wait(epoll, events, count, timeout)
    })
    let loop = Reactor(poller: poller)
    let pipe = try Pipe()
    var seen: Readiness = []
    let watcher = try loop.register(pipe.read, interest: .read) { seen = $0 }
    #expect(write(pipe.write, "x", 1) == 1)
    loop.runOnce()
    loop.runOnce()
    #expect(seen == [])
    loop.runOnce()
    #expect(seen == .readable)
    watcher.cancel()
    loop.closeLater(FileDescriptor(owning: pipe.read))
    loop.closeLater(FileDescriptor(owning: pipe.write))
    loop.runOnce()
  }

  @Test func readinessIsLevelTriggeredAndFollowsTheInterest() throws {
    let loop = try Reactor()
    let pipe = try Pipe()
    var seen: [Readiness] = []
    let watcher = try loop.register(pipe.read, interest: .read) { seen.append($0) }
    #expect(write(pipe.write, "x", 1) == 1)
    loop.runOnce(wait: .zero)
    loop.runOnce(wait: .zero)
    #expect(seen == [.readable, .readable])
    try watcher.setInterest([])
    loop.closeLater(FileDescriptor(owning: pipe.write))
    loop.runOnce(wait: .zero)
    // Without interest not even the hangup is told: it would spin the loop.
    loop.runOnce(wait: .zero)
    #expect(seen.count == 2)
    try watcher.setInterest(.read)
    loop.runOnce(wait: .zero)
    #expect(seen.last == [.readable, .hangup])
    watcher.cancel()
    loop.closeLater(FileDescriptor(owning: pipe.read))
    loop.runOnce(wait: .zero)
  }

  @Test func aDescriptorClosesAtTheEndOfTheIteration() throws {
    let loop = try Reactor()
    let pipe = try Pipe()
    var wasOpen = false
    var observed = 0
    loop.afterNextClose { observed += 1 }
    loop.post {
      loop.closeLater(FileDescriptor(owning: pipe.read))
      loop.closeLater(FileDescriptor(owning: pipe.write))
      wasOpen = fcntl(pipe.read, F_GETFD) >= 0
    }
    loop.runOnce()
    #expect(wasOpen && observed == 1)
    #expect(write(pipe.write, "x", 1) == -1)
  }

  @Test func aRegularFileCannotBeWatched() throws {
    let loop = try Reactor()
    let folder = TemporaryDirectory()
    let file = try FileDescriptor.open(folder.write("x", to: "file"), O_RDONLY)
    let error = #expect(throws: SystemError.self) { _ = try loop.register(file.rawValue, interest: .read) { _ in } }
    #expect(error?.errno == EPERM)
    #expect(loop.registeredWatchers.isEmpty)
  }

  @Test func errorsNameTheCallAndTheThing() {
    let error = #expect(throws: SystemError.self) { _ = try FileDescriptor.open("/nowhere/x", O_RDONLY) }
    #expect(error?.description == "open /nowhere/x: No such file or directory")
    #expect(SystemError(call: "epoll_create1", errno: EMFILE).description == "epoll_create1: Too many open files")
  }

  @Test func anotherThreadWakesTheLoop() throws {
    let loop = try Reactor()
    var woken = 0
    let wakeup = try Wakeup(on: loop) { woken += 1 }
    DispatchQueue.global().async { wakeup.signal() }
    #expect(LoopDriver.run(loop) { woken == 1 })
    wakeup.signal()
    wakeup.signal()
    loop.runOnce()
    loop.runOnce(wait: .zero)
    #expect(woken == 2)
    wakeup.close()
    loop.runOnce()
    #expect(loop.shutDown().isEmpty)
  }

  @Test func aSignalIsAnEvent() throws {
    let loop = try Reactor()
    var seen: [Int32] = []
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &before)
    let signals = try Signals([SIGUSR1, SIGHUP], on: loop) { seen.append($0.signal) }
    // To this thread: a test process has others, which do not block the signal.
    pthread_kill(pthread_self(), SIGUSR1)
    pthread_kill(pthread_self(), SIGHUP)
    #expect(LoopDriver.run(loop) { seen.count == 2 })
    #expect(seen.sorted() == [SIGHUP, SIGUSR1])
    signals.close()
    loop.runOnce()
    var after = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &after)
    #expect(sigismember(&after, SIGUSR1) == sigismember(&before, SIGUSR1))
    #expect(loop.shutDown().isEmpty)
  }

  @Test func sleepEndsByTimeOrByCancellation() async throws {
    try await LoopDriver.withLoop { loop in
      var steps: [String] = []
      loop.post { steps.append("posted before") }
      await loop.nextIteration()
      #expect(steps == ["posted before"])
      let start = MonotonicTime.now()
      try await loop.sleep(for: .milliseconds(3))
      #expect(MonotonicTime.now() - start >= .milliseconds(3))
      let task = Task { try await loop.sleep(for: .seconds(3600)) }
      await Task.yield()
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }
  }

  @Test func everythingAsynchronousStaysOnOneThread() async throws {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    let program = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    let folder = program[..<(try #require(program.lastIndex(of: "/")))]
    let output = try await LoopDriver.withLoop { loop in
      try await ChildProcess.run(
        ["\(folder)/ExecutorProbe"], timeout: .seconds(120), outputLimitBytes: 65536, on: loop)
    }
    let lines = String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n")
    #expect(output.status == .exited(0))
    #expect(lines.count == 18 && lines.allSatisfy { $0.hasPrefix("1 right ") }, "\(lines)")
  }
}

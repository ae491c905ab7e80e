import EventLoop
import Glibc
import Support
import Testing

struct ChildProcessTests {
  typealias ExitStatus = ChildProcess.ExitStatus

  private func run(
    _ script: String, input: String = "", environment: [String: String]? = nil, in folder: String? = nil,
    timeout: Duration = .seconds(300), limitBytes: Int = 1 << 20
  ) async throws -> (status: ExitStatus, out: String, error: String) {
    try await LoopDriver.withLoop { loop in
      let output = try await ChildProcess.run(
        ["/bin/sh", "-c", script], input: Array(input.utf8), environment: environment, workingDirectory: folder,
        timeout: timeout, outputLimitBytes: limitBytes, on: loop)
      loop.runOnce(wait: .zero)
      #expect(loop.registeredWatchers.isEmpty)
      return (
        output.status, String(decoding: output.standardOutput, as: UTF8.self),
        String(decoding: output.standardError, as: UTF8.self)
      )
    }
  }

  @Test(
    arguments: [
      ("exit 0", .exited(0), "", ""), ("echo out; echo err >&2; exit 3", .exited(3), "out\n", "err\n"),
      ("kill -9 $$", .signaled(9), "", ""), ("cat", .exited(0), "given", ""), ("exit 7 <&0", .exited(7), "", ""),
      // No descriptor of this process is passed on: 0, 1, 2 and the directory that is listed.
      ("ls /proc/self/fd | tr -d '\\n'", .exited(0), "0123", ""),
    ] as [(String, ExitStatus, String, String)])
  func aChildRunsToItsEnd(script: String, status: ExitStatus, out: String, error: String) async throws {
    let result = try await run(script, input: "given")
    #expect(result.status == status && result.out == out && result.error == error)
  }

  @Test func secretsAreReadFromDescriptorsAndStandNowhereElse() async throws {
    try await LoopDriver.withLoop { loop in
      // Not through a pipe, which the shell would have open for a moment.
      let script = "tr '\\0' ' ' < /proc/$$/cmdline; env; echo; cat <&3; cat <&5; ls /proc/$$/fd; echo"
      let output = try await ChildProcess.run(
        ["/bin/sh", "-c", script], secrets: [3: Array("sesame\n".utf8), 5: Array("other\n".utf8)],
        timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
      let text = String(decoding: output.standardOutput, as: UTF8.self)
      #expect(text.hasSuffix("\n\nsesame\nother\n0\n1\n2\n3\n5\n\n"), "\(text)")
      #expect(text.split(separator: "sesame", omittingEmptySubsequences: false).count == 2)
      // No descriptor of theirs stays open in this process either.
      loop.runOnce(wait: .zero)
      #expect(loop.registeredWatchers.isEmpty)
    }
  }

  @Test func aChildWithASessionOfItsOwnHasNoTerminal() async throws {
    try await LoopDriver.withLoop { loop in
      let output = try await ChildProcess.run(
        ["/bin/sh", "-c", "cut -d' ' -f6,7 /proc/$$/stat; echo $$"], hasOwnSession: true, timeout: .seconds(120),
        outputLimitBytes: 100, on: loop)
      let lines = String(decoding: output.standardOutput, as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 2 && lines[0] == "\(lines[1]) 0", "\(lines)")
    }
  }

  @Test func aLoopThatEndsBeforeItsChildrenLeavesNoWatcher() async throws {
    let loop = try Reactor()
    let child = try ChildProcess(ChildProcess.Configuration(["/bin/sleep", "600"]), on: loop)
    let run = Task {
      do throws(ChildProcess.RunError) {
        _ = try await ChildProcess.run(
          ["/bin/sleep", "600"], timeout: .seconds(600), outputLimitBytes: 100, on: loop)
        return false
      } catch {
        return error == .cancelled(program: "/bin/sleep")
      }
    }
    while loop.registeredWatchers.count < 4 { await Task.yield() }
    #expect(loop.shutDown().isEmpty)
    #expect(loop.registeredWatchers.isEmpty)
    // The task that waited is resumed with the status.
    #expect(await run.value)
    kill(child.processID, SIGKILL)
    while waitpid(child.processID, nil, 0) == -1 && errno == EINTR {}
  }

  @Test func aChildStartsWithItsSignalsAtTheirDefaults() async throws {
    Signals.ignoreBrokenPipes()
    let result = try await run("grep -E '^Sig(Blk|Ign)' /proc/self/status")
    for line in result.out.split(separator: "\n") {
      let mask = try #require(UInt64(line.suffix(16), radix: 16))
      // 1 to 31; glibc ignores 32 and 33, its own, in a spawned child.
      #expect(mask & 0x7fff_ffff == 0, "\(line)")
    }
    #expect(result.out.split(separator: "\n").count == 2)
  }

  @Test func environmentAndFolderAreTheCallers() async throws {
    let folder = TemporaryDirectory()
    let result = try await run("pwd; env | grep -c .; echo $NAME", environment: ["NAME": "a b=c"], in: folder.path)
    let lines = result.out.split(separator: "\n").map(String.init)
    #expect(lines.first == folder.path && lines.last == "a b=c")
  }

  @Test func muchInputAndOutputPass() async throws {
    let text = String(repeating: "0123456789abcde\n", count: 40000)
    let result = try await run("cat; cat /dev/null", input: text)
    #expect(result.out == text)
  }

  @Test func aChildThatTakesTooLongIsKilledWithItsDescendants() async throws {
    let error = await #expect(throws: ChildProcess.RunError.self) {
      try await run("echo first; sleep 1000 & sleep 1000", timeout: .milliseconds(200))
    }
    guard case .timedOut("/bin/sh", .milliseconds(200), let output) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(output.status == .signaled(SIGKILL) && output.standardOutput == Array("first\n".utf8))
  }

  @Test func aChildThatEndedInTimeIsNotLateWhereTheLoopIs() async throws {
    var now = MonotonicTime.now()
    let loop = Reactor(poller: try EpollPoller(), clock: { now })
    let task = Task {
      try await ChildProcess.run(
        ["/bin/sh", "-c", "echo said"], timeout: .seconds(5), outputLimitBytes: 100, on: loop)
    }
    while loop.registeredWatchers.isEmpty { await Task.yield() }
    // It ends, and the loop looks only when its time is over.
    for watcher in loop.registeredWatchers {
      var wait = pollfd(fd: watcher.descriptor, events: Int16(POLLIN), revents: 0)
      #expect(poll(&wait, 1, 60_000) == 1)
    }
    now = now + .seconds(10)
    for _ in 0..<4 { loop.runOnce(wait: .zero) }
    let output = try await task.value
    #expect(output.status == .exited(0) && output.standardOutput == Array("said\n".utf8))
  }

  @Test func aChildThatWritesTooMuchIsKilled() async throws {
    await #expect(throws: ChildProcess.RunError.tooMuchOutput(program: "/bin/sh", limitBytes: 1000)) {
      try await run("yes", limitBytes: 1000)
    }
    #expect(try await run("printf 0123456789", limitBytes: 10).out == "0123456789")
  }

  @Test func cancellingTheTaskKills() async throws {
    try await LoopDriver.withLoop { loop in
      let task = Task {
        try await ChildProcess.run(["sleep", "1000"], timeout: nil, outputLimitBytes: 10, on: loop)
      }
      while loop.registeredWatchers.isEmpty { await Task.yield() }
      task.cancel()
      await #expect(throws: ChildProcess.RunError.cancelled(program: "sleep")) { try await task.value }
    }
  }

  @Test func whatCannotStartIsTold() async throws {
    let error = await #expect(throws: ChildProcess.RunError.self) {
      try await LoopDriver.withLoop { loop in
        try await ChildProcess.run(["/nowhere/program"], timeout: nil, outputLimitBytes: 10, on: loop)
      }
    }
    #expect(error?.description == "posix_spawn /nowhere/program: No such file or directory")
  }

  @Test func aLongLivedChildHasPipesAndInheritedDescriptors() async throws {
    try await LoopDriver.withLoop { loop in
      let folder = TemporaryDirectory()
      let file = try FileDescriptor.open(folder.write("from five", to: "file"), O_RDONLY)
      var configuration = ChildProcess.Configuration(["/bin/sh", "-c", "read line; cat <&5; echo; echo $line"])
      configuration.standardInput = .pipe
      configuration.standardOutput = .pipe
      configuration.descriptors = [5: file.rawValue]
      let child = try ChildProcess(configuration, on: loop)
      let input = child.detachPipe(0)
      #expect(write(input.rawValue, "hello\n", 6) == 6)
      input.close()
      #expect(await child.waitForExit() == .exited(0))
      #expect(await child.waitForExit() == .exited(0))
      var bytes = [UInt8](repeating: 0, count: 100)
      let output = child.detachPipe(1)
      let count = read(output.rawValue, &bytes, bytes.count)
      #expect(String(decoding: bytes[..<max(0, count)], as: UTF8.self) == "from five\nhello\n")
      child.kill(SIGKILL)
    }
  }

  @Test(arguments: [(ExitStatus.exited(1), 1, "exit status 1"), (.signaled(9), 137, "signal 9 (Killed)")])
  func aStatusReadsAsInAShell(status: ExitStatus, code: Int32, text: String) {
    #expect(status.code == code && status.description == text && !status.isSuccess)
  }
}

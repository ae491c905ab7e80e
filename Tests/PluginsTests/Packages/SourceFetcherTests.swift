import Core
import CoreSupport
import EventLoop
import Glibc
import Identity
import Logging
import PackageSources
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Plugins

@Suite struct SourceFetcherTests {
  private let folder = TemporaryDirectory()
  private let log = LogRecorder(level: .debug)

  @Test(
    arguments: [
      ("source\ta.index\tok\t3 packages", .source(name: "a.index", outcome: .ok)),
      ("source\ta.index\tkept\ta\tb", .source(name: "a.index", outcome: .kept)),
      ("source\ta.index\tfailed", .source(name: "a.index", outcome: .failed)),
      ("source\ta.index\tother\t", nil), ("source\ta.index", nil), ("source", nil),
      ("log\twarning\tx\ty", .log(.warning, "x\ty")), ("log\tloud\tx", nil), ("log\terror", nil), ("words", nil),
      ("", nil),
    ] as [(String, FetchRun.Line?)])
  func linesOfAReport(_ row: (text: String, line: FetchRun.Line?)) {
    #expect(FetchRun.parse(row.text) == row.line)
  }

  @Test func linesHaveABound() {
    for size in 1...7 {
      var splitter = LineSplitter(limit: 4)
      var lines: [String] = []
      let bytes = Array("ab\n\nabcdefg\nxyz".utf8)
      for start in stride(from: 0, to: bytes.count, by: size) {
        splitter.add(bytes[start..<min(start + size, bytes.count)]) { lines.append($0) }
      }
      splitter.finish { lines.append($0) }
      #expect(lines == ["ab", "abcd", "xyz"])
    }
  }

  /// Runs the body with a fetcher whose program is a shell script.
  private func run(
    _ script: String, limit: Duration = .seconds(100), _ body: (SourceFetcher, Reactor) async throws -> Void
  ) async throws {
    folder.write("#!/bin/sh\n\(script)\n", to: "tool", mode: 0o755)
    var settings = Settings()
    settings.repository = folder.path
    settings.configurationFile = folder.write("", to: "bcfg2.conf")
    settings[PackagesOptions.standard.program] = folder.file("tool")
    settings[PackagesOptions.standard.fetchLimit] = limit
    let fixed = settings
    try await LoopDriver.withLoop { loop in
      let fetcher = SourceFetcher(loop: loop, logger: log.logger(label: "Packages")) { fixed }
      try await body(fetcher, loop)
      fetcher.stop()
    }
  }

  @Test func theProgramGetsTheOptionsAndItsReportIsLogged() async throws {
    let script = """
      echo "$@" > \(folder.file("arguments"))
      printf 'log\\tinfo\\tone\\nsource\\ta.index\\tfailed\\tno\\nsource\\tb.index\\tok\\t\\nstray\\n'
      echo trouble >&2
      printf 'log\\terror\\tlast'
      exit 1
      """
    try await run(script) { fetcher, _ async throws in
      await fetcher.fetch(.missing)
      #expect(!fetcher.isRunning && fetcher.failed == ["a.index"])
      let arguments = "refresh --report -C \(folder.file("bcfg2.conf")) -Q \(folder.path) --missing\n"
      #expect(try folder.text("arguments") == arguments)
      #expect(log.take().sorted() == ["error last", "error trouble", "info one", "warning stray"])
    }
  }

  @Test func aProgramThatIsNotThereIsNamed() async throws {
    try await run("") { fetcher, _ in
      folder.remove("tool")
      await fetcher.fetch(.all)
      #expect(!fetcher.isRunning && log.take().first?.contains("The sources cannot be fetched: ") == true)
    }
  }

  @Test func aProgramThatFailsIsNamed() async throws {
    try await run("exit 2") { fetcher, _ in
      await fetcher.fetch(.all)
      #expect(log.take() == ["error Packages: The sources were not all fetched: \(folder.file("tool")): exit status 2"])
    }
    try await run("kill -9 $$") { fetcher, _ in
      await fetcher.fetch(.all)
      #expect(log.take().first?.contains("signal 9") == true)
    }
  }

  @Test func aProgramThatHangsIsEnded() async throws {
    try await run("sleep 1000 & wait", limit: .milliseconds(50)) { fetcher, _ in
      await fetcher.fetch(.all)
      #expect(log.take().first?.contains("it took longer than 0.05 seconds") == true)
    }
  }

  @Test func aProgramThatDoesNotEndIsKilled() async throws {
    folder.write("#!/bin/sh\ntrap '' TERM\necho 'log\tinfo\tready'\nsleep 1000\n", to: "tool", mode: 0o755)
    try await LoopDriver.withLoop { loop in
      var run: FetchRun?
      run = try FetchRun([folder.file("tool")], limit: .seconds(100), grace: .milliseconds(50), on: loop) { _ in
        run?.stop()
      }
      #expect(try await #require(run).wait()?.contains("signal 9") == true)
    }
  }

  /// A fetch that is asked for while one is under way comes after it; one more joins it.
  @Test func fetchesFollowEachOther() async throws {
    folder.write("", to: "runs")
    let script = "echo \"$@\" >> \(folder.file("runs"))\nread line < \(folder.file("gate"))"
    try #require(mkfifo(folder.file("gate"), 0o600) == 0)
    try await run(script) { fetcher, loop async throws in
      let tasks = [SourceFetcher.Scope.missing, .missing, .all].map { scope in Task { await fetcher.fetch(scope) } }
      for number in 1...2 {
        // The run before it has let go of the gate.
        while try folder.text("runs").split(separator: "\n").count < number { await loop.nextIteration() }
        // Opens when the program reads.
        let gate = try await opened(folder.file("gate"), loop)
        write(gate, "\n", 1)
        close(gate)
      }
      for task in tasks { await task.value }
      let runs = try folder.text("runs").split(separator: "\n")
      #expect(runs.count == 2 && runs[0].hasSuffix("--missing") && !runs[1].hasSuffix("--missing"))
    }
  }

  private func opened(_ path: String, _ loop: Reactor) async throws -> Int32 {
    while true {
      let descriptor = open(path, O_WRONLY | O_NONBLOCK)
      if descriptor >= 0 { return descriptor }
      try #require(errno == ENXIO)
      await loop.nextIteration()
    }
  }

  @Test func stoppingEndsTheProgram() async throws {
    try await run("echo 'log\tinfo\tready'\nexec sleep 1000") { fetcher, loop in
      let task = Task { await fetcher.fetch(.all) }
      let late = Task { await fetcher.fetch(.all) }
      while log.lines.isEmpty { await loop.nextIteration() }
      fetcher.stop()
      await task.value
      await late.value
      await fetcher.fetch(.all)
      #expect(log.lines.contains { $0.contains("signal 15") })
    }
  }

  @Test func theProgramIsBesideTheServer() {
    #expect(SourceFetcher.program(Settings()).hasSuffix("/bcfg2-packages"))
  }
}

@Suite struct FirstFetchTests {
  private static let source =
    "<Source type='apt' url='http://d' version='sid'><Component>main</Component><Arch>amd64</Arch></Source>"

  /// Runs the body with a plugin whose program is a script; in it, NAME is the name of the source's index, and `copy` makes it.
  private static func run(
    _ script: String, conf: String = "", runs: Int = 1,
    _ body: (RepositoryFixture, PackagesPlugin) async throws -> Void
  ) async throws {
    let folder = TemporaryDirectory()
    try await RepositoryFixture.runPackages(
      sources: source, bundle: "<Package name='app'/>",
      conf: "[packages]\nfetch_program = \(folder.file("tool"))\n\(conf)"
    ) { fixture, plugin async throws in
      let source = plugin.file.sources[0].source
      try fixture.writeIndex(
        source, [TestPackage(name: "app", needs: ["lib"]), TestPackage(name: "lib")], in: folder.file("made"))
      let indexes = fixture.repository.file("Packages/cache/indexes")
      folder.write(
        """
        #!/bin/sh
        echo run >> \(folder.file("runs"))
        mkdir -p \(indexes)
        copy() { cp \(folder.file("made/indexes/\(source.indexFileName)")) \(indexes)/new && \
        mv \(indexes)/new \(indexes)/\(source.indexFileName); }
        \(script.replacing("NAME", with: source.indexFileName))
        """, to: "tool", mode: 0o755)
      try await body(fixture, plugin)
      #expect(try folder.text("runs").split(separator: "\n").count == runs)
    }
  }

  private static func answer(_ fixture: RepositoryFixture) async throws -> String {
    let caller = Caller("one.example.com", at: ClientAddress(ip: "127.0.0.1", port: 1))
    guard case .escaped(let text) = try await fixture.core.getConfig(caller) else { return "" }
    return String(decoding: text.bytes(), as: UTF8.self)
  }

  @Test func aClientWaitsForItsSources() async throws {
    try await Self.run("copy\nprintf 'source\\tNAME\\tok\\t\\n'") {
      fixture, plugin async throws in
      plugin.startThreads()
      #expect(plugin.isFetching)
      let text = try await Self.answer(fixture)
      #expect(text.contains("name=\"lib\""))
      while plugin.isFetching { await fixture.loop.nextIteration() }
    }
  }

  @Test func anIndexThatIsDeletedOrDamagedIsMadeAgain() async throws {
    try await Self.run("copy\nprintf 'source\\tNAME\\tok\\t\\n'", runs: 3) {
      fixture, plugin async throws in
      plugin.startThreads()
      #expect(try await Self.answer(fixture).contains("name=\"lib\""))
      while plugin.isFetching { await fixture.loop.nextIteration() }
      let path = "Packages/cache/indexes/\(plugin.file.sources[0].source.indexFileName)"
      fixture.remove(path)
      #expect(try await Self.answer(fixture).contains("name=\"lib\""))
      while plugin.isFetching { await fixture.loop.nextIteration() }
      // A new file: the old one is mapped.
      fixture.repository.remove(path)
      fixture.edit(path, "nonsense")
      #expect(try await Self.answer(fixture).contains("name=\"lib\""))
      while plugin.isFetching { await fixture.loop.nextIteration() }
    }
  }

  @Test func aClientDoesNotWaitForASourceThatFailed() async throws {
    let gate = TemporaryDirectory()
    try #require(mkfifo(gate.file("gate"), 0o600) == 0)
    try await Self.run(
      "printf 'source\\tNAME\\tfailed\\tno route\\n'\nread line < \(gate.file("gate"))"
    ) { fixture, plugin async throws in
      plugin.startThreads()
      #expect(!(try await Self.answer(fixture).contains("name=\"lib\"")))
      #expect(plugin.isFetching)
    }
  }

  @Test func aClientDoesNotWaitLongerThanTheOptionSays() async throws {
    let gate = TemporaryDirectory()
    try #require(mkfifo(gate.file("gate"), 0o600) == 0)
    try await Self.run("read line < \(gate.file("gate"))", conf: "first_fetch_wait = 0.05\n") {
      fixture, plugin async throws in
      plugin.startThreads()
      #expect(!(try await Self.answer(fixture).contains("name=\"lib\"")))
      #expect(plugin.isFetching)
      #expect(fixture.log.lines.contains { $0.contains("still being fetched for the first time") })
      while fixture.repository.names(in: "Packages/cache").isEmpty { await fixture.loop.nextIteration() }
    }
  }

  @Test func refreshAnswersWhenItIsDone() async throws {
    try await Self.run("copy") { fixture, _ async throws in
      #expect(try await fixture.call("Packages.Refresh") == .bool(true))
      #expect(try await fixture.added() == ["Package:lib"])
      #expect(try await fixture.call("Packages.child_reload") == .bool(true))
    }
  }

  @Test func withoutMetadataNothingIsFetched() async throws {
    try await RepositoryFixture.runPackages(
      sources: Self.source, bundle: "", conf: "[packages]\nmetadata = disabled\nfetch_program = /nonexistent\n"
    ) { fixture, plugin async throws in
      plugin.startThreads()
      #expect(try await fixture.call("Packages.Refresh") == .bool(true))
      #expect(!fixture.log.lines.contains { $0.contains("nonexistent") })
    }
  }
}

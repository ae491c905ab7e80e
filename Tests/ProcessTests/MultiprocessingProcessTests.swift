import EventLoop
import Glibc
import Support
import Testing
import XMLRPC

@testable import Server

/// A multiprocessing core in this process, with real child processes of the built server.
private final class MultiprocessingBench {
  let repository = TemporaryDirectory()
  let loop: EventLoop
  let core: MultiprocessingCore
  let clientCount = 6
  private let monitor: any FileMonitor

  init(_ loop: EventLoop, children: Int, monitor name: String = "inotify") async throws {
    self.loop = loop
    var clients = "<Clients>\n"
    for number in 0..<clientCount {
      clients += "<Client name=\"c\(number)\" profile=\"p\" address=\"127.0.1.\(number + 1)\"/>\n"
      repository.write("contents of c\(number)\n", to: "Cfg/motd/motd.H_c\(number)")
    }
    repository.write(clients + "</Clients>\n", to: "Metadata/clients.xml")
    repository.write(
      "<Groups><Group name=\"p\" profile=\"true\" public=\"true\" default=\"true\"><Bundle name=\"b\"/></Group>"
        + "<Group name=\"probed\"><Bundle name=\"q\"/></Group></Groups>\n", to: "Metadata/groups.xml")
    repository.write("first\n", to: "Cfg/motd/motd")
    repository.write("<Bundle><Path name=\"/motd\"/></Bundle>\n", to: "Bundler/b.xml")
    repository.write("<Bundle><BoundAction name=\"probed\" command=\"true\"/></Bundle>\n", to: "Bundler/q.xml")
    let text =
      "[server]\nrepository = \(repository.path)\nplugins = Bundler,Cfg,Metadata,Probes\nbackend = multiprocessing\n"
      + "children = \(children)\nchild_selection = round_robin\nchild_timeout = 1\n[logging]\nsyslog = false\n"
    var options = CommandLineOptions()
    options.configurationFile = repository.write(text, to: "bcfg2.conf")
    options.set("server", "filemonitor", to: name, typed: "test")
    let settings = try Settings.load(options)
    monitor = try #require(FileMonitorFactory.make(settings.fileMonitor, ignoring: settings.ignoredFiles, on: loop))
    core = MultiprocessingCore(settings: settings, loop: loop, fileMonitor: monitor, resolver: FixedResolver())
    core.commandLine = options
    core.launcher.path = Project.server
    try core.loadPlugins()
    try await core.repositoryLoaded()
  }

  /// The address of a client.
  func address(_ number: Int) -> ClientAddress {
    ClientAddress(ip: "127.0.1.\(number + 1)", port: UInt16(1000 + number))
  }

  func call(_ method: String, _ params: [Value] = [], as number: Int = 0) async -> CallOutcome {
    await core.dispatch(MethodCall(method: method, params: params), from: address(number))
  }

  /// The configuration of a client; a fault as text.
  func configuration(_ number: Int) async -> String {
    switch await call("GetConfig", as: number) {
    case .value(.escaped(let segments)): String(decoding: segments.bytes(), as: UTF8.self)
    case .fault(let fault): "fault \(fault.code): \(fault.string)"
    default: "no answer"
    }
  }

  /// Whether a configuration is this client's and no other's.
  func isOwn(_ text: String, _ number: Int) -> Bool {
    text.contains("contents of c\(number)") && text.contains("Configuration")
      && !(0..<clientCount).contains { $0 != number && text.contains("contents of c\($0)") }
  }

  /// Waits for children that are ready, as many as there are.
  func waitForChildren() async throws {
    while core.readyChildren < core.childCount { try await loop.sleep(for: .milliseconds(2)) }
  }

  /// Stops the children and waits for their end.
  func stop() async {
    await withCheckedContinuation { done in core.stopChildren { done.resume() } }
    core.shutdown()
  }
}

/// How far a load is.
private final class LoadCount {
  var next = 0
  var answers = 0
  var wrong: [String] = []
  var isDone = false
}

/// The multiprocessing core with real processes, some of them killed.
@Suite(.serialized) struct MultiprocessingProcessTests {
  @Test func everyChildBuildsWhatTheParentWould() async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, children: 2)
      try await bench.waitForChildren()
      for number in 0..<bench.clientCount {
        let expected = WireWriter.document(try await bench.core.buildConfiguration("c\(number)"))
        for _ in 0..<2 {
          #expect(await bench.configuration(number) == String(decoding: expected.bytes(), as: UTF8.self))
        }
      }
      #expect(bench.core.ownBuilds == 0)
      // An administrator's, as the address says.
      let administrator = ClientAddress(ip: "127.0.0.1", port: 1)
      let call = MethodCall(method: "get_statistics", params: [])
      guard case .value(let statistics) = await bench.core.dispatch(call, from: administrator) else {
        return #expect(Bool(false), "no statistics")
      }
      for name in ["Child-0:Core:build_metadata", "Child-1:Core:GetConfig", "Total:GetConfig"] {
        #expect(statistics[name] != nil, "\(name)")
      }
      await bench.stop()
      #expect(bench.core.childProcesses.isEmpty)
    }
  }

  @Test func anEditIsInTheNextAnswerOfEveryChild() async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, children: 3)
      for edit in 0..<20 {
        bench.repository.write("contents of c0, edit \(edit).\n", to: "Cfg/motd/motd.H_c0")
        for _ in 0..<3 { #expect(await bench.configuration(0).contains("edit \(edit).")) }
      }
      await bench.stop()
    }
  }

  @Test(arguments: ["inotify", "pseudo"]) func probeDataIsKnownToEveryChildBeforeTheNextConfiguration(monitor: String)
    async throws
  {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, children: 3, monitor: monitor)
      try await bench.waitForChildren()
      for round in 0..<10 {
        let isProbed = round % 2 == 0
        let data =
          "<probe-data><probe-data name=\"x\" source=\"Probes\">\(isProbed ? "group:probed" : "other")\n</probe-data></probe-data>"
        guard case .value(.bool(true)) = await bench.call("RecvProbeData", [.string(data)], as: 1) else {
          return #expect(Bool(false), "not taken")
        }
        for _ in 0..<3 {
          #expect(await bench.configuration(1).contains("name=\"probed") == isProbed, "\(round)")
          #expect(await !bench.configuration(2).contains("name=\"probed"))
        }
      }
      await bench.stop()
    }
  }

  @Test func aNewClientIsWrittenOnceByTheParent() async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, children: 2)
      // localhost, which clients.xml does not know.
      let unknown = ClientAddress(ip: "127.0.0.1", port: 1)
      let call = MethodCall(method: "GetConfig", params: [])
      for _ in 0..<4 {
        guard case .value(.escaped(let answer)) = await bench.core.dispatch(call, from: unknown) else {
          return #expect(Bool(false), "no configuration")
        }
        #expect(String(decoding: answer.bytes(), as: UTF8.self).contains("first"))
      }
      #expect(bench.core.ownBuilds == 1)
      let clients = try AtomicFile.readFile(bench.repository.file("Metadata/clients.xml"), limitBytes: 1 << 20)
      #expect(String(decoding: clients, as: UTF8.self).split(separator: "localhost").count == 2)
      await bench.stop()
    }
  }

  /// Asks for configurations until told to stop, all the time `width` of them.
  private func load(_ bench: MultiprocessingBench, requests: Int, width: Int) async -> (answers: Int, wrong: [String]) {
    let count = LoadCount()
    let tasks = (0..<width).map { _ in
      Task {
        while count.next < requests {
          let number = count.next % bench.clientCount
          count.next += 1
          let text = await bench.configuration(number)
          count.answers += 1
          if !bench.isOwn(text, number) { count.wrong.append(text) }
        }
      }
    }
    for task in tasks { await task.value }
    return (count.answers, count.wrong)
  }

  @Test(arguments: [SIGKILL, SIGSTOP]) func noRequestFailsWhileChildrenAreLost(signal: Int32) async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, children: 2)
      let requests = signal == SIGKILL ? 3000 : 300
      let state = LoadCount()
      // A child at a time: while it starts, while it builds, while it is idle.
      let killer = Task {
        var killed = 0
        while !state.isDone {
          let processes = bench.core.childProcesses
          if !processes.isEmpty, signal == SIGKILL || killed == 0 {
            kill(processes[killed % processes.count], signal)
            killed += 1
          }
          try await loop.sleep(for: .milliseconds(7 + killed % 31))
        }
        return killed
      }
      let result = await load(bench, requests: requests, width: 12)
      state.isDone = true
      let killed = try await killer.value
      #expect(result.answers == requests)
      #expect(result.wrong.isEmpty, "\(result.wrong.count) wrong, first: \(result.wrong.first ?? "")")
      #expect(killed > 0)
      // The end of the last one may still be on its way.
      while bench.core.restarts == 0 { try await loop.sleep(for: .milliseconds(2)) }
      try await bench.waitForChildren()
      let after = await load(bench, requests: 20, width: 2)
      #expect(after.answers == 20 && after.wrong.isEmpty)
      await bench.stop()
    }
  }

  @Test func aChildThatCannotBeStartedLeavesTheWorkToTheParent() async throws {
    try await LoopDriver.withLoop { loop in
      let bench = try await MultiprocessingBench(loop, children: 2)
      bench.core.launcher.path = "/nonexistent"
      for process in bench.core.childProcesses { kill(process, SIGKILL) }
      let result = await load(bench, requests: 30, width: 4)
      #expect(result.answers == 30 && result.wrong.isEmpty)
      await bench.stop()
    }
  }

  @Test func aServersChildrenEndWithIt() async throws {
    try await LoopDriver.withLoop { loop in
      let settings = ["server": ["backend = multiprocessing", "children = 2"]]
      for signal in [SIGTERM, SIGKILL] {
        let server = try await ServerFixture(settings: settings, on: loop)
        try await server.start()
        let parent = try #require(server.process).processID
        while children(of: parent).count < 2 { try await loop.sleep(for: .milliseconds(5)) }
        let answer = try await server.call("GetConfig")
        #expect(answer.status == "200" && answer.body.contains("&lt;Configuration"))
        let processes = children(of: parent)
        // A signal to all of them, as a service manager sends it, is the parent's business.
        if signal == SIGTERM { for process in processes { kill(process, SIGTERM) } }
        server.signal(signal)
        #expect(await server.waitForExit() == (signal == SIGTERM ? .exited(0) : .signaled(SIGKILL)))
        while processes.contains(where: isAlive) { try await loop.sleep(for: .milliseconds(5)) }
      }
    }
  }

  @Test func cherrypyIsRefusedWithFileAndLine() async throws {
    let folder = TemporaryDirectory()
    let path = folder.write("[server]\nrepository = /nonexistent\nbackend = cherrypy\n", to: "bcfg2.conf")
    var options = CommandLineOptions()
    options.configurationFile = path
    #expect {
      _ = try ServerProcess(options)
    } throws: { error in
      "\(error)".contains("\(path):3") && "\(error)".contains("multiprocessing")
    }
  }

  private func children(of process: pid_t) -> [pid_t] {
    guard let bytes = try? AtomicFile.readFile("/proc/\(process)/task/\(process)/children", limitBytes: 4096) else {
      return []
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
  }

  /// Whether a process runs; one that has ended and is nobody's any more does not.
  private func isAlive(_ process: pid_t) -> Bool {
    guard let bytes = try? AtomicFile.readFile("/proc/\(process)/stat", limitBytes: 4096) else { return false }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.split(separator: ")").last?.hasPrefix(" Z") == false
  }
}

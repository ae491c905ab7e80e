import CoreSupport
import EventLoop
import Glibc
import Identity
import Logging
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Server

/// The multiprocessing core with real processes, some of them killed.
@Suite(.serialized) struct MultiprocessingProcessTests {
  @Test func everyChildBuildsWhatTheParentWould() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      try await fixture.waitForChildren()
      for number in 0..<fixture.clientCount {
        let expected = WireWriter.document(try await fixture.core.buildConfiguration("c\(number)"))
        for _ in 0..<2 {
          #expect(await fixture.configuration(number) == String(decoding: expected.bytes(), as: UTF8.self))
        }
      }
      #expect(fixture.core.ownBuilds == 0)
      // An administrator's, as the address says.
      let administrator = ClientAddress(ip: "127.0.0.1", port: 1)
      let call = MethodCall(method: "get_statistics", params: [])
      guard case .value(let statistics) = await fixture.core.dispatch(call, from: administrator) else {
        return #expect(Bool(false), "no statistics")
      }
      for name in ["Child-0:Core:build_metadata", "Child-1:Core:GetConfig", "Total:GetConfig"] {
        #expect(statistics[name] != nil, "\(name)")
      }
      await fixture.stop()
      #expect(fixture.core.childProcesses.isEmpty)
    }
  }

  /// A child's lines say to which request they belong, and the run of the client what the child's work has cost.
  @Test func linesOfAChildHaveTheRequestOfItsParent() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(allowsCaching: true))
      try await fixture.waitForChildren()
      let log = LogRecorder(level: .debug)
      fixture.core.logger = log.logger
      for number in 0..<3 { #expect(await fixture.isOwn(fixture.configuration(number), number)) }
      let records = fixture.records.filter { $0.message.hasPrefix("Generated config for c") }
      #expect(records.count == 3 && Set(records.compactMap { $0.request?.number }).count == 3)
      for record in records {
        let client = record.request?.client ?? ""
        #expect(record.message.hasPrefix("Generated config for \(client) in ") && record.request?.method == "GetConfig")
        #expect(record.request?.address.hasPrefix("127.0.1.") == true && record.process != getpid())
        #expect(record.file.hasPrefix("Core/") && record.line > 0)
      }
      // The parent's own line of the same request.
      let own = log.records.first { $0.message.hasPrefix("Building configuration for c0 on Child-") }
      #expect(own?.request == records.first?.request)
      fixture.core.clientRuns.endAll()
      let runs = log.records.filter { $0.message == "Client run of c0:" }
      #expect(runs.count == 1)
      #expect(runs.first?.text.contains("configuration=built parts_made=1 ") == true, "\(runs.map(\.text))")
      await fixture.stop()
    }
  }

  @Test func anEditIsInTheNextAnswerOfEveryChild() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(children: 3))
      for edit in 0..<20 {
        fixture.repository.write("contents of c0, edit \(edit).\n", to: "Cfg/motd/motd.H_c0")
        for _ in 0..<3 { #expect(await fixture.configuration(0).contains("edit \(edit).")) }
      }
      await fixture.stop()
    }
  }

  @Test(arguments: ["inotify", "pseudo"]) func probeDataIsKnownToEveryChildBeforeTheNextConfiguration(monitor: String)
    async throws
  {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(children: 3, monitor: monitor))
      try await fixture.waitForChildren()
      for round in 0..<10 {
        let isProbed = round % 2 == 0
        let data =
          "<probe-data><probe-data name=\"x\" source=\"Probes\">\(isProbed ? "group:probed" : "other")\n</probe-data></probe-data>"
        guard case .value(.bool(true)) = await fixture.call("RecvProbeData", [.string(data)], as: 1) else {
          return #expect(Bool(false), "not taken")
        }
        for _ in 0..<3 {
          #expect(await fixture.configuration(1).contains("name=\"probed") == isProbed, "\(round)")
          #expect(await !fixture.configuration(2).contains("name=\"probed"))
        }
      }
      await fixture.stop()
    }
  }

  @Test func aNewClientIsWrittenOnceByTheParent() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      // localhost, which clients.xml does not know.
      let unknown = ClientAddress(ip: "127.0.0.1", port: 1)
      let call = MethodCall(method: "GetConfig", params: [])
      for _ in 0..<4 {
        guard case .value(.escaped(let answer)) = await fixture.core.dispatch(call, from: unknown) else {
          return #expect(Bool(false), "no configuration")
        }
        #expect(String(decoding: answer.bytes(), as: UTF8.self).contains("first"))
      }
      #expect(fixture.core.ownBuilds == 1)
      let clients = try AtomicFile.readFile(fixture.repository.file("Metadata/clients.xml"), limitBytes: 1 << 20)
      #expect(String(decoding: clients, as: UTF8.self).split(separator: "localhost").count == 2)
      await fixture.stop()
    }
  }

  @Test func aChildThatCannotBeStartedLeavesTheWorkToTheParent() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      fixture.core.launcher.path = "/nonexistent"
      for process in fixture.core.childProcesses { kill(process, SIGKILL) }
      let result = await fixture.load(requests: 30, width: 4)
      #expect(result.answers == 30 && result.wrong.isEmpty)
      await fixture.stop()
    }
  }

  @Test func aServersChildrenEndWithIt() async throws {
    try await LoopDriver.withLoop { loop in
      let settings = ["server": ["backend = multiprocessing", "children = 2"]]
      for signal in [SIGTERM, SIGKILL] {
        let server = try await ServerFixture(settings: settings, on: loop)
        try await server.start()
        let parent = try #require(server.process).processID
        while Processes.children(of: parent).count < 2 { try await loop.sleep(for: .milliseconds(5)) }
        let answer = try await server.call("GetConfig")
        #expect(answer.status == 200 && answer.body.contains("&lt;Configuration"))
        let processes = Processes.children(of: parent)
        // A signal to all of them, as a service manager sends it, is the parent's business.
        if signal == SIGTERM { for process in processes { kill(process, SIGTERM) } }
        server.signal(signal)
        #expect(await server.waitForExit() == (signal == SIGTERM ? .exited(0) : .signaled(SIGKILL)))
        while processes.contains(where: Processes.isAlive) { try await loop.sleep(for: .milliseconds(5)) }
      }
    }
  }

  /// And so is `nio` where the build has no SwiftNIO.
  @Test(arguments: ["cherrypy", "nio"]) func aCoreThatIsNotThereIsRefusedWithFileAndLine(backend: String) async throws {
    let folder = TemporaryDirectory()
    let path = folder.write("[server]\nrepository = /nonexistent\nbackend = \(backend)\n", to: "bcfg2.conf")
    var options = CommandLineOptions()
    options.configurationFile = path
    #expect {
      _ = try ServerProcess(options)
    } throws: { error in
      // What is allowed is what the build has.
      "\(error)".contains("\(path):3") && "\(error)".contains("allowed: best, builtin, multiprocessing")
        && !"\(error)".contains("multiprocessing, nio") && "\(error)".contains("built without")
    }
  }
}

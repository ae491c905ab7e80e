import EventLoop
import Glibc
import Logging
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Server

/// Everything sent to the children and back, besides configurations.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ChildServiceTests {
  /// Processes that have logged a message with this text since the records of that number.
  private func speakers(_ fixture: MultiprocessingFixture, _ text: String, since start: Int) -> Set<pid_t> {
    Set(fixture.records[start...].filter { $0.message.contains(text) }.map(\.process))
  }

  @Test(arguments: [
    ("set_debug", [Value.bool(true)], [Value.bool(false)]), ("toggle_debug", [], []),
    ("set_core_debug", [.bool(true)], [.bool(false)]), ("toggle_core_debug", [], []),
    ("set_fam_debug", [.bool(true)], [.bool(false)]), ("toggle_fam_debug", [], []),
    ("Inotify.set_debug", [.bool(true)], [.bool(false)]), ("Inotify.toggle_debug", [], []),
    ("PuppetENC.set_debug", [.bool(true)], [.bool(false)]), ("PuppetENC.toggle_debug", [], []),
  ]) func debugStateReachesEveryChild(_ method: String, on: [Value], off: [Value]) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(holds: true))
      try await fixture.waitForChildren()
      let children = Set(fixture.core.childProcesses)
      // Debug messages of core, file monitor and plugin.
      let texts =
        [
          "set_debug": ["Building configuration for", "motd.H_c1", "Running ENC"],
          "core_debug": ["Building configuration for"], "fam_debug": ["motd.H_c1"], "Inotify": ["motd.H_c1"],
          "PuppetENC": ["Running ENC"],
        ].first { method.contains($0.key) && ($0.key != "set_debug" || method == $0.key) }?.value
        ?? ["Building configuration for", "motd.H_c1", "Running ENC"]
      for (parameters, isOn) in [([Value]?.none, false), (on, true), (off, false), (on, true)] {
        if let parameters {
          guard case .value = await fixture.administrate(method, parameters) else {
            return #expect(Bool(false), "\(method) is not carried out")
          }
        }
        // An answer to a later frame proves that the child has read what was published; edits are reported separately.
        for _ in 0..<2 { #expect(fixture.isOwn(await fixture.configuration(1), 1)) }
        let start = fixture.records.count
        fixture.repository.write("contents of c1, \(fixture.records.count)\n", to: "Cfg/motd/motd.H_c1")
        for _ in 0..<2 { #expect(fixture.isOwn(await fixture.configuration(1), 1)) }
        for text in texts {
          #expect(
            speakers(fixture, text, since: start) == (isOn ? children : []), "\(method) \(parameters ?? []) \(text)")
        }
      }
      // A child started later has the state, too.
      kill(try #require(fixture.core.childProcesses.first), SIGKILL)
      try await fixture.wait { fixture.core.restarts >= 1 }
      try await fixture.waitForChildren()
      let start = fixture.records.count
      fixture.repository.write("contents of c1, at last\n", to: "Cfg/motd/motd.H_c1")
      for _ in 0..<2 { #expect(fixture.isOwn(await fixture.configuration(1), 1)) }
      for text in texts {
        #expect(speakers(fixture, text, since: start) == Set(fixture.core.childProcesses), "\(text)")
      }
      await fixture.stop()
    }
  }

  @Test func settingsReachEveryChildAndBadOnesStayAway() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      try await fixture.waitForChildren()
      for owner in ["ann", "ben"] {
        fixture.changeSettings("[mdata]\nowner = \(owner)\n")
        for _ in 0..<4 { #expect(await fixture.configuration(1).contains("owner=\"\(owner)\"")) }
      }
      fixture.changeSettings("[server\n")
      for _ in 0..<4 { #expect(await fixture.configuration(1).contains("owner=\"ben\"")) }
      // A child started now gets the settings in use, not the broken file.
      for process in fixture.core.childProcesses { kill(process, SIGKILL) }
      try await fixture.wait { fixture.core.restarts >= 2 }
      try await fixture.waitForChildren()
      for _ in 0..<4 { #expect(await fixture.configuration(1).contains("owner=\"ben\"")) }
      #expect(fixture.core.ownBuilds == 0)
      await fixture.stop()
    }
  }

  @Test func statisticsOfAllProcessesHaveTheirPrefixes() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop)
      try await fixture.waitForChildren()
      for number in 0..<fixture.clientCount { #expect(fixture.isOwn(await fixture.configuration(number), number)) }
      guard case .value(let statistics) = await fixture.administrate("get_statistics") else {
        return #expect(Bool(false), "no statistics")
      }
      func count(_ name: String) -> Int64 { statistics[name]?.array?.last?.int ?? 0 }
      #expect(count("Child-0:Core:GetConfig") == 3 && count("Child-1:Core:GetConfig") == 3)
      #expect(count("Total:Core:GetConfig") == 6)
      // The parent measures the round trip.
      #expect(count("GetConfig") == 6 && count("Total:GetConfig") == 6)
      #expect(count("Total:Core:build_metadata") >= count("Child-0:Core:build_metadata") + 3)
      for name in statistics.members?.map(\.name) ?? [] {
        let base = ["Child-0:", "Child-1:", "Total:"].first { name.hasPrefix($0) }.map { name.dropFirst($0.count) }
        #expect(statistics["Total:\(base.map(String.init) ?? name)"] != nil, "\(name)")
      }
      await fixture.stop()
    }
  }

  @Test(arguments: [SIGKILL, SIGSEGV]) func hooksOfARunAreRunOnceAcrossADeath(signal: Int32) async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(plugins: ["Trigger"], holds: true))
      let ran = fixture.repository.file("ran")
      fixture.repository.write("#!/bin/sh\necho \"$1\" >>\(ran)\n", to: "Trigger/t.sh", mode: 0o755)
      try await fixture.waitForChildren()
      fixture.hold.hold("c0")
      let held = Task { await fixture.configuration(0) }
      try await fixture.wait { fixture.hold.builders(of: "c0").count == 1 }
      kill(fixture.hold.builders(of: "c0")[0], signal)
      fixture.hold.letPass("c0")
      #expect(fixture.isOwn(await held.value, 0))
      #expect(fixture.hold.builders(of: "c0").count == 2)
      // A later run's program ends after those of an earlier one.
      #expect(fixture.isOwn(await fixture.configuration(1), 1))
      func lines() -> [Substring] {
        let bytes = (try? AtomicFile.readFile(ran, limitBytes: 1 << 20)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      }
      try await fixture.wait { lines().contains("c0") && lines().contains("c1") }
      #expect(lines().sorted() == ["c0", "c1"])
      await fixture.stop()
    }
  }

  @Test func theParentGivesAnswersAgainUntilSomethingChanges() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = try await MultiprocessingFixture(loop, .init(allowsCaching: true))
      try await fixture.waitForChildren()
      var generator = SystemRandomNumberGenerator()
      var expectedGiven = 0
      for round in 0..<150 {
        let number = Int.random(in: 0..<fixture.clientCount, using: &generator)
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: fixture.repository.write("contents of c\(number), \(round)\n", to: "Cfg/motd/motd.H_c\(number)")
        case 1: #expect(await fixture.sendProbes(Bool.random(using: &generator), as: number))
        case 2: fixture.changeSettings("[mdata]\nowner = o\(round)\n")
        case 3:
          let entry = Bool.random(using: &generator) ? "<BoundAction name=\"r\(round)\" command=\"true\"/>" : ""
          fixture.repository.write("<Bundle>\(entry)<Path name=\"/motd\"/></Bundle>\n", to: "Bundler/b.xml")
        case 4:
          guard case .value = await fixture.administrate("expire_metadata_cache") else {
            return #expect(Bool(false), "not expired")
          }
        default: break
        }
        let answer = await fixture.configuration(number)
        let expected = try await fixture.expected(number)
        #expect(answer == expected, "round \(round), c\(number)")
        let given = fixture.core.answerCache.hits
        #expect(await fixture.configuration(number) == expected)
        if fixture.core.answerCache.hits > given { expectedGiven += 1 }
      }
      // The second of two answers without a change between them comes from the cache.
      #expect(expectedGiven == 150)
      #expect(fixture.core.ownBuilds == 0)
      // Structures that clients share are stored once.
      for number in 0..<fixture.clientCount { _ = await fixture.configuration(number) }
      #expect(fixture.core.answerCache.count >= fixture.clientCount)
      let structures = fixture.core.answerCache.structureCount
      #expect(structures < 3 * fixture.clientCount, "\(structures)")
      await fixture.stop()
    }
  }

  @Test func aCrashIsOneLineOfTheLogAndTakesNoTime() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["backend = multiprocessing", "children = 2"]], on: loop)
      try await server.start()
      let parent = try #require(server.process).processID
      while Processes.children(of: parent).count < 2 { try await loop.sleep(for: .milliseconds(2)) }
      #expect(try await server.call("GetConfig").status == 200)
      let victim = Processes.children(of: parent)[0]
      if getenv("SWIFT_BACKTRACE") == nil {
        #expect(Processes.text(victim, "environ").split(separator: "\0").contains("SWIFT_BACKTRACE=enable=no"))
      }
      let before = server.logText.utf8.count
      kill(victim, SIGSEGV)
      let line = "(PID \(victim)) ended, signal 11 (Segmentation fault), with 0 requests"
      #expect(try await server.waitForLog(line))
      #expect(try await server.call("GetConfig").status == 200)
      #expect(await server.stop() == .exited(0))
      let lines = server.logText.utf8.dropFirst(before).split(separator: UInt8(ascii: "\n")).map { String($0)! }
      #expect(lines.filter { $0.contains("Segmentation") || $0.contains("\(victim)") }.count == 1)
      // The runtime writes no report of the crash.
      for word in ["Backtrac", "crashed", "*** "] { #expect(!lines.contains { $0.contains(word) }, "\(word)") }
    }
  }

  @Test func sighupReachesChildrenAndKeepsWhatIsGood() async throws {
    try await LoopDriver.withLoop { loop in
      let server = try await ServerFixture(
        settings: ["server": ["backend = multiprocessing", "children = 2", "child_selection = round_robin"]], on: loop)
      try await server.start()
      let conf = server.folder.file("bcfg2.conf")
      let text = String(decoding: try AtomicFile.readFile(conf, limitBytes: 1 << 20), as: UTF8.self)
      for owner in ["ann", "ben"] {
        server.folder.write(text + "[mdata]\nowner = \(owner)\n", to: "bcfg2.conf")
        server.signal(SIGHUP)
        #expect(try await server.waitForLog("Reading configuration, certificates and repository again"))
        for _ in 0..<3 { #expect(try await server.call("GetConfig").body.contains("owner=\"\(owner)\"")) }
      }
      server.folder.write("[server\n", to: "bcfg2.conf")
      server.signal(SIGHUP)
      #expect(try await server.waitForLog("bcfg2.conf was not read, the old settings stay"))
      for _ in 0..<3 { #expect(try await server.call("GetConfig").body.contains("owner=\"ben\"")) }
      server.signal(SIGUSR1)
      #expect(try await server.waitForLog("Children: 2 run, 2 ready; 0 restarts,"))
      #expect(await server.stop() == .exited(0))
    }
  }

  /// Children are started after the parent has given up root, and cannot read bcfg2.conf themselves.
  @Test(.enabled(if: geteuid() == 0, "only root can give up being root"))
  func childrenOfAServerThatGaveUpRootHaveTheirSettings() async throws {
    try await LoopDriver.withLoop { loop in
      let nobody: uid_t = 65534
      let server = try await ServerFixture(
        settings: [
          "server": [
            "backend = multiprocessing", "children = 2", "child_selection = round_robin", "user = \(nobody)",
            "group = \(nobody)",
          ], "mdata": ["owner = ann"],
        ], on: loop)
      chmod(server.folder.path, 0o755)
      let owned = try await ChildProcess.run(
        ["/bin/chown", "-R", "\(nobody)", server.folder.file("repo")], timeout: .seconds(30),
        outputLimitBytes: 1 << 16, on: loop)
      #expect(owned.status == .exited(0))
      try await server.start()
      let parent = try #require(server.process).processID
      @MainActor func children() -> [pid_t] { Processes.children(of: parent) }
      @MainActor func checkChildren() async throws {
        while children().count < 2 { try await loop.sleep(for: .milliseconds(2)) }
        for process in [parent] + children() {
          let status = Processes.text(process, "status").split(separator: "\n")
          #expect(status.contains("Uid:\t\(nobody)\t\(nobody)\t\(nobody)\t\(nobody)"))
        }
        for _ in 0..<3 { #expect(try await server.call("GetConfig").body.contains("owner=\"ann\"")) }
      }
      try await checkChildren()
      // The parent cannot read the file either: the old settings stay, also for new children.
      server.signal(SIGHUP)
      #expect(try await server.waitForLog(". The server has given up its privileges: let user "))
      let first = children()
      for process in first { kill(process, SIGKILL) }
      while !Set(first).isDisjoint(with: children()) { try await loop.sleep(for: .milliseconds(2)) }
      try await checkChildren()
      #expect(await server.stop() == .exited(0))
    }
  }
}

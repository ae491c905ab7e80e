import CoreSupport
import EventLoop
import Identity
import Logging
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Server

/// One line for each run of a client, with what it has cost.
@Suite struct ClientRunTests {
  // MARK: What is one run

  /// The table on a loop whose clock stands still.
  private final class Fixture {
    let log = LogRecorder(level: .debug)
    let loop: Reactor
    let kernel: FakePoller
    let runs: ClientRuns

    init(limit: Int = ClientRuns.limit) {
      (loop, kernel) = FakePoller.makeLoop()
      runs = ClientRuns(on: loop, limit: limit) { [log] in log.logger }
    }

    func call(_ method: String, _ name: String = "one", isFault: Bool = false, cost: CallCost = CallCost()) {
      let caller = Caller("\(name)", ip: "192.0.2.1")
      runs.add(method, caller, isFault: isFault, cost, at: kernel.now, .milliseconds(20))
      runs.addBytes(caller.client, received: 100, sent: 1000)
    }

    func kept(_ name: String = "one") {
      runs.addKept(Caller("\(name)", ip: "192.0.2.1"), isConfiguration: true, at: kernel.now, .microseconds(5))
    }

    func pass(_ duration: Duration) {
      let end = kernel.now + duration
      while kernel.now < end { loop.runOnce(wait: end - kernel.now) }
      loop.runOnce(wait: .zero)
    }

    /// Clients whose runs have been logged, and why they have no end.
    func ends() -> [String] {
      loop.runOnce(wait: .zero)
      defer { log.take() }
      return log.records.map { record in
        let fields = Dictionary(uniqueKeysWithValues: record.fields.map { ($0.name, "\($0.value)") })
        return "\(fields["client"] ?? "") \(fields["calls"] ?? ""): \(fields["unfinished"] ?? "reported")"
      }
    }
  }

  @Test func aRunIsFromTheVersionToTheStatistics() {
    let fixture = Fixture()
    for _ in 0..<2 {
      for method in ["AssertProfile", "DeclareVersion", "GetProbes", "RecvProbeData", "GetDecisionList", "GetConfig"] {
        fixture.call(method)
      }
      #expect(fixture.ends().isEmpty)
      fixture.call("RecvStats")
      #expect(fixture.ends() == ["one 7: reported"] && fixture.runs.count == 0)
    }
  }

  @Test(arguments: [
    (["GetProbes", "GetConfig", "GetProbes"], ["one 2: the client began again"]),
    (["GetProbes", "DeclareVersion"], ["one 1: the client began again"]),
    (["GetConfig", "AssertProfile"], ["one 1: the client began again"]),
    (["DeclareVersion", "DeclareVersion", "GetProbes"], []),
    (["AssertProfile", "DeclareVersion", "GetProbes", "RecvProbeData", "GetConfig", "GetConfig"], []),
    // Statistics are sent again after a fault.
    (["RecvStats"], ["one 1: reported"]),
    // Of an administrator.
    (["GetProbes", "get_statistics", "Packages.Refresh"], []),
  ])
  func aClientThatBeginsAgainHasGivenUp(_ row: (calls: [String], ends: [String])) {
    let fixture = Fixture()
    for call in row.calls { fixture.call(call) }
    #expect(fixture.ends() == row.ends)
  }

  @Test func faultsDoNotEndARunAndARunEndsOnce() {
    let fixture = Fixture()
    fixture.call("GetProbes")
    fixture.call("RecvStats", isFault: true)
    #expect(fixture.ends().isEmpty)
    fixture.call("RecvStats")
    // In the same turn of the loop, before the line.
    fixture.call("GetProbes")
    #expect(fixture.ends() == ["one 3: reported"] && fixture.runs.count == 1)
    #expect(fixture.ends().isEmpty)
  }

  @Test func aSilentClientIsGivenUp() {
    let fixture = Fixture()
    fixture.call("GetProbes", "one")
    fixture.pass(.seconds(3000))
    fixture.call("GetProbes", "two")
    fixture.pass(.seconds(1800))
    #expect(fixture.ends() == ["one 1: the client was not heard of again"])
    fixture.pass(.seconds(3600))
    #expect(fixture.ends() == ["two 1: the client was not heard of again"] && fixture.runs.count == 0)
    fixture.call("GetConfig", "one")
    fixture.runs.endAll()
    #expect(fixture.ends() == ["one 1: the server stops"])
  }

  @Test func theTableHasABound() {
    let fixture = Fixture(limit: 3)
    for name in ["one", "two", "three"] {
      fixture.call("GetProbes", name)
      fixture.pass(.seconds(1))
    }
    fixture.call("GetConfig", "one")
    fixture.call("GetProbes", "four")
    #expect(fixture.ends() == ["two 1: too many others"] && fixture.runs.count == 3)
    fixture.runs.forget()
    #expect(fixture.runs.count == 0 && fixture.ends().isEmpty)
  }

  @Test func theLineSaysWhatItCost() throws {
    let fixture = Fixture()
    let cost = CallCost()
    cost.addBuild(.milliseconds(7))
    cost.addParts(made: 2, used: 5)
    // As a child process tells it.
    let other = CallCost()
    other.add(cost.encoded)
    other.add([1, 2, 3])
    #expect(other.encoded == cost.encoded)
    fixture.call("GetProbes")
    fixture.pass(.seconds(2))
    fixture.call("GetConfig", cost: other)
    fixture.call("RecvStats")
    fixture.loop.runOnce(wait: .zero)
    #expect(
      fixture.log.records.map(\.text) == [
        "Client run of one: address=192.0.2.1 build_seconds=0.007 calls=3 client=one configuration=built parts_made=2"
          + " parts_used_again=5 received_bytes=300 seconds=2.02 sent_bytes=3000 server_seconds=0.06"
      ])
    fixture.log.take()
    fixture.kept()
    fixture.runs.endAll()
    #expect(
      fixture.log.records.map(\.text) == [
        "Client run of one: address=192.0.2.1 calls=1 client=one configuration=kept kept_answers=1 received_bytes=0"
          + " seconds=5e-06 sent_bytes=0 server_seconds=5e-06 unfinished=the server stops"
      ])
  }

  // MARK: Through a core

  private static let statistics =
    "<upload-statistics><Statistics state='clean' total='0' good='0' bad='0' version='2.0' revision='-1'/></upload-statistics>"

  private static func run(
    _ change: (inout Settings) -> Void = { _ in }, _ body: (RepositoryFixture, LocalRequests) async throws -> Void
  ) async throws {
    var settings = RepositoryFixture.settings("Cfg", "Probes")
    change(&settings)
    try await RepositoryFixture.run(
      files: RepositoryFixture.files(bundle: "<Path name='/motd'/>", ["Cfg/motd/motd": "hello"]), settings: settings,
      core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:)
    ) { fixture in
      try await body(fixture, LocalRequests(fixture.network))
    }
  }

  private static func runLines(_ fixture: RepositoryFixture) async -> [[String: String]] {
    await fixture.loop.nextIteration()
    await fixture.loop.nextIteration()
    defer { fixture.log.take() }
    return fixture.log.records.filter { $0.message.hasPrefix("Client run of ") }.map { record in
      Dictionary(uniqueKeysWithValues: record.fields.map { ($0.name, "\($0.value)") })
        .merging(["request": "\(record.request?.number ?? 0)", "method": record.request?.method ?? ""]) { $1 }
    }
  }

  @Test func aBuiltAndAKeptConfigurationAreToldApart() async throws {
    try await Self.run { fixture, requests in
      var sums: [Int] = []
      for (configuration, kept) in [("built", nil), ("kept", "2")] {
        _ = await requests.ask(0, "DeclareVersion", ["1.4.0"])
        var sent = 0
        for method in ["GetProbes", "GetConfig"] { sent += await requests.ask(0, method)?.count ?? 0 }
        let before = fixture.log.records.filter { $0.message.hasPrefix("Generated config for ") }
        #expect(before.last?.request?.client == nil || before.last?.request?.client == "one.example.com")
        _ = await requests.ask(0, "RecvStats", [.string(Self.statistics)])
        let line = try #require(await Self.runLines(fixture).first)
        #expect(line["client"] == "one.example.com" && line["address"] == "127.0.0.1" && line["calls"] == "4")
        #expect(line["configuration"] == configuration && line["kept_answers"] == kept)
        #expect((line["parts_made"] == "1") == (configuration == "built") && line["unfinished"] == nil)
        #expect((line["build_seconds"] != nil) == (configuration == "built"))
        #expect(Int(line["sent_bytes"] ?? "") ?? 0 > sent)
        #expect(line["method"] == "RecvStats" && line["request"] != "0")
        sums.append(Int(line["received_bytes"] ?? "") ?? 0)
      }
      #expect(sums[0] == sums[1] && sums[0] > 400)
    }
  }

  @Test func eachLineOfACallHasItsRequest() async throws {
    try await Self.run { fixture, requests in
      for method in ["GetProbes", "GetConfig", "GetConfig", "no_such"] { _ = await requests.ask(0, method) }
      let lines = fixture.log.records.filter { $0.request != nil && $0.request?.number != 0 }
      let numbers = lines.map { $0.request!.number }
      #expect(numbers == numbers.sorted() && Set(numbers).count == 3, "the kept answer has no label here")
      #expect(lines.allSatisfy { $0.request?.client == "one.example.com" && $0.request?.address == "127.0.0.1" })
      let built = lines.first { $0.message.hasPrefix("Generated config for ") }
      #expect(built?.request?.method == "GetConfig")
      #expect(lines.last?.message == "Unknown method no_such" && lines.last?.request?.method == "no_such")
    }
  }

  @Test func nobodyIsToldWhoDoesNotWantToKnow() async throws {
    try await Self.run { settings in
      settings.logsClientRuns = false
    } _: { fixture, requests in
      for method in ["GetProbes", "GetConfig"] { _ = await requests.ask(0, method) }
      _ = await requests.ask(0, "RecvStats", [.string(Self.statistics)])
      #expect(await Self.runLines(fixture).isEmpty && fixture.core.clientRuns.count == 0)
    }
  }

  @Test func aRunThatIsUnderWayIsLoggedAtTheEnd() async throws {
    try await Self.run { fixture, requests in
      _ = await requests.ask(0, "GetProbes")
      _ = await requests.ask(1, "GetConfig")
      fixture.core.shutdown()
      let lines = await Self.runLines(fixture)
      #expect(lines.map { $0["client"] } == ["one.example.com", "two.example.com"])
      #expect(lines.allSatisfy { $0["unfinished"] == "the server stops" })
    }
  }
}

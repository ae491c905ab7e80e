import CoreSupport
import EventLoop
import Glibc
import Identity
import Networking
import OrderedCollections
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Core
@testable import Plugins
@testable import Server

/// A site with a few clients, its core under inotify, and the means to ask for configurations.
private final class Site {
  static let clients: [ClientName] = ["a.example.com", "b.example.com", "c.example.com"]

  let fixture: RepositoryFixture
  let requests: LocalRequests
  var core: NetworkCore { requests.core }

  init(_ files: [String: String] = Site.files, plugins: [String] = Site.plugins, on loop: Reactor) throws {
    var settings = RepositoryFixture.settings
    settings.plugins = plugins
    fixture = try RepositoryFixture(
      files: files, settings: settings, monitor: .inotify,
      core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:), on: loop)
    requests = LocalRequests(fixture.network)
  }

  static let plugins = ["Bundler", "Cfg", "Defaults", "GroupLogic", "Metadata", "POSIXCompat", "Probes", "Rules"]

  static let files = [
    "Metadata/clients.xml": clientsXML("web"),
    "Metadata/groups.xml": groupsXML("db"),
    "Bundler/base.xml": bundle("x"),
    "Bundler/web.xml": "<Bundle><Path name='/etc/motd'/><Group name='probed'><Service name='s'/></Group></Bundle>",
    "Bundler/db.xml": "<Bundle><Client name='b.example.com'><Package name='p'/></Client><Service name='s'/></Bundle>",
    "Rules/r.xml": rules("1"),
    "Cfg/etc/motd/motd": "hello\n",
    "Cfg/etc/issue/issue": "issue & <more>\n",
    "Probes/kind": "#!/bin/sh\necho group:probed\n",
    "GroupLogic/groups.xml": "<GroupLogic><Group name='probed'><Group name='logical'/></Group></GroupLogic>",
  ]

  static func clientsXML(_ profile: String) -> String {
    "<Clients>"
      + clients.enumerated().map { "<Client name='\($1)' profile='\(profile)' address='127.0.0.\($0 + 1)'/>" }.joined()
      + "</Clients>"
  }

  static func groupsXML(_ second: String) -> String {
    """
    <Groups>
      <Group name='web' profile='true' public='true'><Bundle name='base'/><Bundle name='web'/></Group>
      <Group name='other' profile='true' public='true'><Bundle name='base'/><Bundle name='db'/></Group>
      <Group name='logical'><Bundle name='\(second)'/></Group>
    </Groups>
    """
  }

  static func bundle(_ text: String) -> String {
    """
    <Bundle><Path name='/etc/issue'/><BoundPath name='/etc/\(text)' type='directory' owner='\(text)'/>
      <Group name='other'><Path name='/etc/motd'/></Group>
      <Group name='probed' negate='true'><Package name='q\(text)'/></Group></Bundle>
    """
  }

  static func rules(_ version: String) -> String {
    """
    <Rules priority='1'><Package name='p' version='\(version)'/><Package name='qx' type='%{name}'/>
      <Group name='web'><Service name='s' status='on\(version)'/></Group>
      <Group name='web' negate='true'><Service name='s' status='off'/></Group></Rules>
    """
  }

  func caller(_ client: Int) -> Caller { Caller(Site.clients[client], at: LocalRequests.address(client)) }

  /// The answer that a client gets, through the path of a request.
  func ask(_ client: Int, _ method: String = "GetConfig") async throws -> [UInt8] {
    guard let answer = await requests.ask(client, method) else {
      throw PluginExecutionError("client \(client) may not come in")
    }
    return answer
  }

  /// The answer of a new core that reads the repository now.
  func askAnew(_ client: Int, _ method: String = "GetConfig") async throws -> [UInt8] {
    let fresh = ServerCore(
      settings: core.settings, loop: fixture.loop, fileMonitor: ComparingMonitor(), resolver: FixedResolver([:]),
      registry: .standard)
    try fresh.loadPlugins()
    defer { fresh.shutdown() }
    return try await Self.answer(fresh, LocalRequests.address(client), method)
  }

  private static func answer(_ core: ServerCore, _ address: ClientAddress, _ method: String) async throws -> [UInt8] {
    switch await core.dispatch(MethodCall(method: method, params: []), from: address) {
    case .value(let value): MethodResponse.encode(value).bytes()
    case let other: throw PluginExecutionError("\(other)")
    }
  }

  func report(_ client: Int, _ output: String) async throws {
    let data = "<probe-data><probe-data name='kind' source='Probes'>\(output)</probe-data></probe-data>"
    _ = try await core.recvProbeData(caller(client), data)
  }

  var given: Int { core.answerCache.hits }
}

@Test func anEditBetweenHeadAndBodyIsInTheAnswer() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let site = try Site(on: loop)
    let first = try await site.ask(0)
    site.core.bytesCame()
    let isAdmitted = await site.requests.authenticate(0)
    #expect(isAdmitted)
    site.fixture.repository.write("edited\n", to: "Cfg/etc/motd/motd")
    // The body comes after the edit was finished.
    site.core.bytesCame()
    let second = await site.requests.body(0, "GetConfig")
    #expect(second != first && String(decoding: second, as: UTF8.self).contains("edited"))
    let anew = try await site.askAnew(0)
    #expect(second == anew)
    // No byte of a request arrived since. A later edit is in the answer to the next request.
    site.fixture.repository.write("edited again\n", to: "Cfg/etc/motd/motd")
    let third = try await site.ask(0)
    #expect(String(decoding: third, as: UTF8.self).contains("edited again"))
    site.core.shutdown()
  }
}

@Test func theServersOwnWritesLeaveTheAnswersOfOthersAlone() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let site = try Site(on: loop)
    for client in Site.clients.indices { _ = try await site.ask(client) }
    let repository = site.core.repositoryGeneration
    try await site.report(0, "group:probed")
    _ = try await site.core.declareVersion(site.caller(0), "1.4.0")
    _ = try await site.core.assertProfile(site.caller(0), "other")
    // The data is on disk, and the monitor has reported it.
    site.core.fileMonitor.processPending()
    #expect(site.core.repositoryGeneration == repository)
    let given = site.given
    for client in Site.clients.indices { _ = try await site.ask(client) }
    #expect(site.given == given + 2)
    // The same data again changes no answer.
    try await site.report(0, "group:probed")
    _ = try await site.ask(0)
    #expect(site.given == given + 3)
    // A write by another program changes the answers of clients whose data differs.
    site.fixture.repository.write("<Probed/>", to: "Probes/probed.xml")
    site.core.fileMonitor.processPending()
    #expect(site.core.repositoryGeneration == repository)
    for client in Site.clients.indices { _ = try await site.ask(client) }
    #expect(site.given == given + 3 + Site.clients.count - 1)
    site.core.shutdown()
  }
}

@Test func equalStructuresOfClientsAreHeldOnce() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let site = try Site(on: loop)
    for client in Site.clients.indices { _ = try await site.ask(client) }
    let kept = site.core.answerCache
    #expect(kept.count == 3 && kept.structureCount == 2)
    kept.remove(.configuration(Site.clients[0]))
    #expect(kept.structureCount == 2)
    kept.removeAll()
    #expect(kept.count == 0 && kept.structureCount == 0 && kept.heldBytes == 0)
    site.core.shutdown()
  }
}

@Test func theLeastRecentlyUsedAnswerIsDropped() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let site = try Site(on: loop)
    for client in Site.clients.indices { _ = try await site.ask(client) }
    _ = try await site.ask(0)
    let kept = site.core.answerCache
    kept.limitBytes = kept.heldBytes - 1
    #expect(
      kept[.configuration(Site.clients[0])] != nil && kept[.configuration(Site.clients[1])] == nil
        && kept[.configuration(Site.clients[2])] != nil)
    kept.limitBytes = 0
    #expect(kept.count == 0 && kept.heldBytes == 0)
    site.core.shutdown()
  }
}

/// A plugin that adds an entry, depends on more than files, or hooks into runs.
private class Extra: Plugin, Structure, ClientRunHooks {
  override class var name: String { "Extra" }
  override class var createsFolder: Bool { false }
  var keeps = true
  var isDependent = false
  var calls: [String] = []
  var onStart: () -> Void = {}

  override func allowsCaching(for metadata: ClientMetadata) -> Bool { keeps }

  func buildStructures(_ metadata: ClientMetadata) -> [Element] {
    if isDependent { metadata.markUncacheable() }
    calls.append("build")
    return []
  }

  func startClientRun(_ metadata: ClientMetadata) {
    calls.append("start")
    onStart()
  }

  func endClientRun(_ metadata: ClientMetadata) { calls.append("end") }
}

@Test func pluginsThatDependOnMoreAreAskedEachTime() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    let site = try Site(on: loop)
    site.core.initPlugin(Extra.self)
    site.core.interfaces = PluginInterfaces(site.core.plugins.values)
    let extra = try #require(site.core.plugins["Extra"] as? Extra)
    @MainActor func calls() async throws -> [String] {
      extra.calls = []
      _ = try await site.ask(0)
      return extra.calls
    }
    let whole = ["start", "build", "end"]
    #expect(try await calls() == whole)
    // Hooks run for a cached answer too.
    #expect(try await calls() == ["start", "end"])
    // A hook changes a source of the answer: the answer is built again, and the hook has run.
    extra.onStart = { site.core.repositoryChanged() }
    #expect(try await calls() == whole)
    extra.onStart = {}
    #expect(try await calls() == ["start", "end"])
    extra.keeps = false
    site.core.repositoryChanged()
    #expect(try await calls() == whole)
    #expect(try await calls() == whole)
    extra.keeps = true
    extra.isDependent = true
    #expect(try await calls() == whole)
    #expect(try await calls() == whole)
    extra.isDependent = false
    #expect(try await calls() == whole)
    #expect(try await calls() == ["start", "end"])
    site.core.shutdown()
  }
}

@Test func answersWithFailedEntriesAreNotKept() async throws {
  try await LoopDriver.withLoop { (loop: Reactor) async throws in
    var files = Site.files
    files["Bundler/web.xml"] = "<Bundle><Path name='/nobody/has/this'/></Bundle>"
    let site = try Site(files, on: loop)
    let first = try await site.ask(0)
    #expect(String(decoding: first, as: UTF8.self).contains("no matching generator"))
    #expect(try await site.ask(0) == first && site.given == 0 && site.core.answerCache.count == 0)
    site.core.shutdown()
  }
}

@Test func answersToTwoCallsAreTwo() {
  let keys: Set<AnswerKey> = [.configuration("a"), .probes("a"), .configuration("b"), .probes("b")]
  #expect(keys.count == 4)
  #expect(throws: ClientNameError.self) { try ClientName(recorded: "GetProbes a") }
}

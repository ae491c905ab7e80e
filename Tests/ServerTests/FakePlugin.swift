import EventLoop
import Support
import XMLRPC

@testable import Server

/// Holds calls until it is opened.
final class Gate {
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private(set) var isOpen = false
  /// How many wait.
  var count: Int { waiting.count }

  init() {}

  func wait() async {
    if isOpen { return }
    await withCheckedContinuation { waiting.append($0) }
  }

  func open() {
    isOpen = true
    for continuation in waiting { continuation.resume() }
    waiting = []
  }
}

/// An error that the core knows nothing of.
struct Boom: Error, CustomStringConvertible {
  let description = "boom"

  init() {}
}

// swift-format-ignore: UseSynthesizedInitializer
/// Data of the fake connector.
struct FakeData: ConnectorData {
  let text: String

  init(text: String) { self.text = text }
}

/// A plugin with every interface but Metadata, which does nothing until a test says what.
class FakePlugin: Plugin, Generator, Structure, Connector, Probing, Statistics, Threaded, Decision, StructureValidator,
  GoalValidator, Version, ClientRunHooks, ClientACLs, Caching, TemplateDataProvider, PullSource, PullTarget
{
  override class var name: String { "Fake" }
  override class var createsFolder: Bool { false }

  /// Requirements that throw, by name.
  var failures: [String: any Error] = [:]
  /// Requirements that wait.
  var gates: [String: Gate] = [:]
  /// What was called, with the client where there is one.
  var calls: [String] = []
  /// Gates hold only this client's calls.
  var heldClient = "one"

  var stages: Set<ClientRunStage> { [.start, .end, .statistics] }
  var binders: [String: EntryBinder] = [:]
  var handled: Set<String> = []
  var structures: (ClientMetadata) -> [Element] = { _ in [] }
  var groups: [AdditionalGroup] = []
  var data: FakeData?
  var probes: [Element] = []
  var received: [Element] = []
  var decisions: [(tag: String?, name: String?)] = []
  var validate: (inout [Element]) -> Void = { _ in }
  var goal: (Element) -> Void = { _ in }
  var decision: ACLDecision = .allow
  var isAllowedByMetadata = true
  var expired: [ClientName?] = []
  var revision = "7"
  /// What a client has for an entry.
  var pulled: (Element) -> Void = { _ in }

  /// Notes a call and does what the test asked for: fails, waits.
  private func meet(_ name: String, _ client: String? = nil) async throws {
    calls.append(client.map { "\(name) \($0)" } ?? name)
    if client == nil || client == heldClient { await gates[name]?.wait() }
    if let failure = failures[name] { throw failure }
  }

  private func meetNow(_ name: String) throws {
    calls.append(name)
    if let failure = failures[name] { throw failure }
  }

  override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "Ask": RemoteMethod { [unowned self] arguments in
        try arguments.require(1, of: "Ask")
        try await meet("Ask", heldClient)
        return .array(arguments)
      }
    ]) { $1 }
  }

  func binder(tag: String, name: String) -> EntryBinder? { binders["\(tag):\(name)"] }
  func entryNames(tag: String) -> [String] {
    binders.keys.filter { $0.hasPrefix("\(tag):") }.map { String($0.dropFirst(tag.utf8.count + 1)) }.sorted()
  }
  func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async throws -> Bool {
    guard handled.contains("\(entry.tag):\(entry.name ?? "")") else { return false }
    try await meet("handlesEntry", metadata.hostname.text)
    return true
  }
  func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws {
    try await meet("handleEntry", metadata.hostname.text)
    entry["by"] = "\(name) slowly"
  }
  func buildStructures(_ metadata: ClientMetadata) async throws -> [Element] {
    try await meet("buildStructures", metadata.hostname.text)
    return structures(metadata)
  }
  func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    try await meet("additionalGroups", metadata.hostname.text)
    return groups
  }
  func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    try await meet("additionalData", metadata.hostname.text)
    return data
  }
  func getProbes(_ metadata: ClientMetadata) async throws -> [Element] {
    try await meet("getProbes", metadata.hostname.text)
    return probes
  }
  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    try await meet("receiveData", metadata.hostname.text)
    received += data
  }
  func processStatistics(_ metadata: ClientMetadata, _ statistics: Element) async throws {
    try await meet("processStatistics", metadata.hostname.text)
    received.append(statistics)
  }
  func startThreads() async throws { try await meet("startThreads") }
  func getDecisions(_ metadata: ClientMetadata, mode: String) async throws -> [(tag: String?, name: String?)] {
    try await meet("getDecisions", metadata.hostname.text)
    return decisions.map { ($0.tag, $0.name.map { "\(mode) \($0)" }) }
  }
  func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) async throws {
    try await meet("validateStructures", metadata.hostname.text)
    validate(&structures)
  }
  func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async throws {
    try await meet("validateGoals", metadata.hostname.text)
    goal(configuration)
  }
  func getRevision() async throws -> String {
    try await meet("getRevision")
    return revision
  }
  func startClientRun(_ metadata: ClientMetadata) async throws {
    try await meet("startClientRun", metadata.hostname.text)
  }
  func endClientRun(_ metadata: ClientMetadata) async throws { try await meet("endClientRun", metadata.hostname.text) }
  func endStatistics(_ metadata: ClientMetadata) async throws {
    try await meet("endStatistics", metadata.hostname.text)
  }
  func checkACL(address: ClientAddress, rmi: String) throws -> ACLDecision {
    if let failure = failures["checkACL address"] { throw failure }
    return decision
  }
  func checkACL(metadata: ClientMetadata, rmi: String) throws -> Bool {
    try meetNow("checkACL metadata")
    return isAllowedByMetadata
  }
  func expireCache(key: ClientName?) { expired.append(key) }
  func templateData(entry: Element, metadata: ClientMetadata, template: String) throws -> [String: any ConnectorData] {
    try meetNow("templateData")
    return Self.variables("\(name) \(entry.name ?? "-") \(template)", name)
  }
  func xmlTemplateData(path: String, metadata: ClientMetadata) throws -> [String: any ConnectorData] {
    try meetNow("xmlTemplateData")
    return Self.variables("\(name) \(path)", name)
  }
  /// One variable that every fake has, and one of its own.
  private static func variables(_ text: String, _ name: String) -> [String: any ConnectorData] {
    ["fake": FakeData(text: text), name: FakeData(text: name)]
  }
  func getExtra(_ client: ClientName) async throws -> [(tag: String, name: String)] {
    try await meet("getExtra", client.text)
    return [("Path", "/extra")]
  }
  func getCurrentEntry(_ client: ClientName, tag: String, name: String) async throws -> Element {
    try await meet("getCurrentEntry", client.text)
    let entry = Element(tag, ["name": name])
    pulled(entry)
    return entry
  }
  func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    try meetNow("acceptChoices")
    return ["H_\(metadata.hostname)", "all"]
  }
  func acceptPullData(specificTo path: String, _ entry: Element) async throws {
    try await meet("acceptPullData")
    received.append(entry)
  }
}

/// A second one, which comes before the first.
final class EarlyFakePlugin: FakePlugin {
  override class var name: String { "Early" }
  override var sortOrder: Int { 100 }
}

/// A third one: of the same order as the first, later by name.
final class OtherFakePlugin: FakePlugin {
  override class var name: String { "Other" }
}

/// A core with Metadata, two clients and the fake plugins.
final class FakeBench {
  let bench: CoreBench
  let log: CapturedLines
  var core: ServerCore { bench.core }
  let fake: FakePlugin

  private init(_ bench: CoreBench) throws {
    self.bench = bench
    log = CapturedLines(bench.core)
    bench.core.initPlugin(FakePlugin.self)
    fake = try bench.plugin(FakePlugin.self)
    fake.binders["Path:/fast"] = .now { entry, _ in entry["by"] = "fast" }
    fake.structures = { _ in [Self.bundle("b", ["/fast"])] }
  }

  static let metadata = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\" public=\"true\"/></Groups>",
    "Metadata/clients.xml":
      "<Clients><Client name=\"one\" profile=\"base\"/><Client name=\"two\" profile=\"base\"/></Clients>",
  ]

  static func run(settings change: (inout Settings) -> Void = { _ in }, _ body: (FakeBench) async throws -> Void)
    async throws
  {
    var settings = CoreBench.settings
    change(&settings)
    let names = ["10.0.0.1": "one", "10.0.0.2": "two", "127.0.0.1": "one"]
    try await CoreBench.run(files: metadata, names: names, settings: settings) { (bench: CoreBench) async throws in
      try await body(FakeBench(bench))
    }
  }

  /// A bundle with Path entries.
  static func bundle(_ name: String, _ paths: [String]) -> Element {
    let bundle = Element("Bundle", ["name": name])
    bundle.children = paths.map { Element("Path", ["name": $0]) }
    return bundle
  }

  /// What a call answers, in a line: a value, a document, `fault CODE TEXT`, `denied`.
  func ask(_ method: String, _ parameters: [Value] = [], client: Int = 1) async -> String {
    let address = ClientAddress(ip: "10.0.0.\(client)", port: 50000)
    return Self.text(await core.dispatch(MethodCall(method: method, params: parameters), from: address))
  }

  static func text(_ outcome: CallOutcome) -> String {
    switch outcome {
    case .denied: "denied"
    case .fault(let fault): "fault \(fault.code) \(fault.string)"
    case .value(.escaped(let segments)):
      String(decoding: segments.bytes(), as: UTF8.self)
        .replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&")
    case .value(let value): text(value)
    }
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .nil: "nil"
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .string(let text): text
    case .array(let items): "[\(items.map(text).joined(separator: ", "))]"
    default: "\(value)"
    }
  }

  /// Waits for a condition, at most 1,000 iterations of the loop.
  func wait(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<1000 {
      if condition() { return true }
      await core.loop.nextIteration()
    }
    return condition()
  }
}

public import Core
import EventLoop
public import Identity
public import Repository
import XMLRPC

/// Holds calls until it is opened.
package final class Gate {
  private var waiting: [CheckedContinuation<Void, Never>] = []
  private(set) var isOpen = false
  /// How many wait.
  package var count: Int { waiting.count }

  package init() {}

  package func wait() async {
    if isOpen { return }
    await withCheckedContinuation { waiting.append($0) }
  }

  package func open() {
    isOpen = true
    for continuation in waiting { continuation.resume() }
    waiting = []
  }
}

/// An error that the core knows nothing of.
package struct Boom: Error, CustomStringConvertible {
  package let description = "boom"

  package init() {}
}

// swift-format-ignore: UseSynthesizedInitializer
/// Data of the fake connector.
package struct FakeData: ConnectorData {
  package let text: String

  package init(text: String) { self.text = text }
}

/// A plugin with every interface but Metadata, which does nothing until a test says what.
open class FakePlugin: Plugin, Generator, Structure, Connector, Probing, Statistics, Threaded, Decision,
  StructureValidator,
  GoalValidator, Version, ClientRunHooks, ClientACLs, Caching, TemplateDataProvider, PullSource, PullTarget
{
  public override class var name: String { "Fake" }
  public override class var createsFolder: Bool { false }

  /// Requirements that throw, by name.
  package var failures: [String: any Error] = [:]
  /// Requirements that wait.
  package var gates: [String: Gate] = [:]
  /// What was called, with the client where there is one.
  package var calls: [String] = []
  /// Gates hold only this client's calls.
  var heldClient = "one"

  open var stages: Set<ClientRunStage> { [.start, .end, .statistics] }
  package var binders: [String: EntryBinder] = [:] {
    didSet { core.entryInputs.changeAll() }
  }
  package var handled: Set<String> = []
  package var structures: (ClientMetadata) -> [Element] = { _ in [] }
  package var groups: [AdditionalGroup] = []
  package var data: FakeData?
  package var probes: [Element] = []
  package var received: [Element] = []
  package var decisions: [(tag: String?, name: String?)] = []
  package var validate: (inout [Element]) -> Void = { _ in }
  package var goal: (Element) -> Void = { _ in }
  package var decision: ACLDecision = .allow
  package var isAllowedByMetadata = true
  package var expired: [ClientName?] = []
  package var revision = "7"
  /// What a client has for an entry.
  package var pulled: (Element) -> Void = { _ in }

  /// A bundle with Path entries.
  package static func bundle(_ name: String, _ paths: [String]) -> Element {
    let bundle = Element("Bundle", ["name": name])
    bundle.children = paths.map { Element("Path", ["name": $0]) }
    return bundle
  }

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

  public override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "Ask": RemoteMethod { [unowned self] arguments in
        try arguments.require(1, of: "Ask")
        try await meet("Ask", heldClient)
        return .array(arguments)
      }
    ]) { $1 }
  }

  public func binder(tag: String, name: String) -> EntryBinder? { binders["\(tag):\(name)"] }
  public func entryNames(tag: String) -> [String] {
    binders.keys.filter { $0.hasPrefix("\(tag):") }.map { String($0.dropFirst(tag.utf8.count + 1)) }.sorted()
  }
  public func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) async throws -> Bool {
    guard handled.contains("\(entry.tag):\(entry.name ?? "")") else { return false }
    try await meet("handlesEntry", metadata.hostname.text)
    return true
  }
  public func handleEntry(_ entry: Element, _ metadata: ClientMetadata) async throws {
    try await meet("handleEntry", metadata.hostname.text)
    entry["by"] = "\(name) slowly"
  }
  public func buildStructures(_ metadata: ClientMetadata) async throws -> [Element] {
    try await meet("buildStructures", metadata.hostname.text)
    return structures(metadata)
  }
  public func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    try await meet("additionalGroups", metadata.hostname.text)
    return groups
  }
  public func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    try await meet("additionalData", metadata.hostname.text)
    return data
  }
  public func getProbes(_ metadata: ClientMetadata) async throws -> [Element] {
    try await meet("getProbes", metadata.hostname.text)
    return probes
  }
  public func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    try await meet("receiveData", metadata.hostname.text)
    received += data
  }
  public func processStatistics(_ metadata: ClientMetadata, _ statistics: Element) async throws {
    try await meet("processStatistics", metadata.hostname.text)
    received.append(statistics)
  }
  public func startThreads() async throws { try await meet("startThreads") }
  public func getDecisions(_ metadata: ClientMetadata, mode: String) async throws -> [(tag: String?, name: String?)] {
    try await meet("getDecisions", metadata.hostname.text)
    return decisions.map { ($0.tag, $0.name.map { "\(mode) \($0)" }) }
  }
  public func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) async throws {
    try await meet("validateStructures", metadata.hostname.text)
    validate(&structures)
  }
  public func validateGoals(_ metadata: ClientMetadata, _ configuration: Element) async throws {
    try await meet("validateGoals", metadata.hostname.text)
    goal(configuration)
  }
  public func getRevision() async throws -> String {
    try await meet("getRevision")
    return revision
  }
  public func startClientRun(_ metadata: ClientMetadata) async throws {
    try await meet("startClientRun", metadata.hostname.text)
  }
  public func endClientRun(_ metadata: ClientMetadata) async throws {
    try await meet("endClientRun", metadata.hostname.text)
  }
  public func endStatistics(_ metadata: ClientMetadata) async throws {
    try await meet("endStatistics", metadata.hostname.text)
  }
  public func checkACL(address: ClientAddress, rmi: String) throws -> ACLDecision {
    if let failure = failures["checkACL address"] { throw failure }
    return decision
  }
  public func checkACL(metadata: ClientMetadata, rmi: String) throws -> Bool {
    try meetNow("checkACL metadata")
    return isAllowedByMetadata
  }
  public func expireCache(key: ClientName?) { expired.append(key) }
  public func templateData(entry: Element, metadata: ClientMetadata, template: String) throws -> [String:
    any ConnectorData]
  {
    try meetNow("templateData")
    return Self.variables("\(name) \(entry.name ?? "-") \(template)", name)
  }
  public func xmlTemplateData(path: String, metadata: ClientMetadata) throws -> [String: any ConnectorData] {
    try meetNow("xmlTemplateData")
    return Self.variables("\(name) \(path)", name)
  }
  /// One variable that every fake has, and one of its own.
  private static func variables(_ text: String, _ name: String) -> [String: any ConnectorData] {
    ["fake": FakeData(text: text), name: FakeData(text: name)]
  }
  public func getExtra(_ client: ClientName) async throws -> [(tag: String, name: String)] {
    try await meet("getExtra", client.text)
    return [("Path", "/extra")]
  }
  public func getCurrentEntry(_ client: ClientName, tag: String, name: String) async throws -> Element {
    try await meet("getCurrentEntry", client.text)
    let entry = Element(tag, ["name": name])
    pulled(entry)
    return entry
  }
  public func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    try meetNow("acceptChoices")
    return ["H_\(metadata.hostname)", "all"]
  }
  public func acceptPullData(specificTo path: String, _ entry: Element) async throws {
    try await meet("acceptPullData")
    received.append(entry)
  }
}

/// A second one, which comes before the first.
package final class EarlyFakePlugin: FakePlugin {
  package override class var name: String { "Early" }
  package override var sortOrder: Int { 100 }
}

/// A third one: of the same order as the first, later by name.
package final class OtherFakePlugin: FakePlugin {
  package override class var name: String { "Other" }
}

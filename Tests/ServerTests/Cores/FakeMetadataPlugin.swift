import CoreSupport
import EventLoop
import Identity
import OrderedCollections
import Plugins
import Repository
import ServerSettings
import Support
import XMLRPC

@testable import Core
@testable import Server

/// A Metadata plugin with fixed clients, whose other behaviour a test sets.
class FakeMetadataPlugin: Plugin, Metadata {
  override class var name: String { "FakeMetadata" }
  override class var createsFolder: Bool { false }

  /// Name by address.
  var clients: [String: ClientName] = ["10.0.0.1": "one", "10.0.0.2": "two", "127.0.0.1": "one"]
  var groups: NameTable<MetadataGroup> = ["base": MetadataGroup(name: "base", bundles: ["b"])]
  /// Requirements that throw, by name.
  var failures: [String: any Error] = [:]
  /// Requirements that wait, for client one or its address.
  var gates: [String: Gate] = [:]
  var calls: [String] = []
  var isAdmitted = true
  /// Metadata that is given in the place of the client's.
  var answer: ((ClientName) -> ClientMetadata)?
  var groupsMerged: (ClientMetadata, [String]) -> Void = { $0.groups.formUnion($1) }

  private func meet(_ name: String, _ subject: String) async throws {
    calls.append("\(name) \(subject)")
    if subject == "one" || subject == "10.0.0.1" { await gates[name]?.wait() }
    if let failure = failures[name] { throw failure }
  }

  func resolveClient(_ address: ClientAddress) async throws -> ClientName {
    try await meet("resolveClient", address.ip)
    guard let client = clients[address.ip] else {
      throw MetadataConsistencyError("nobody is at \(address.ip)")
    }
    return client
  }

  func authenticateConnection(certificate: String?, user: String?, password: String?, address: ClientAddress)
    -> Answer<AuthenticationDecision>
  {
    .later { [self] in
      calls.append("authenticateConnection \(address.ip) \(certificate ?? "-") \(user ?? "-") \(password ?? "-")")
      if address.ip == "10.0.0.1" { await gates["authenticateConnection"]?.wait() }
      guard isAdmitted, let client = clients[address.ip] else { return .refused }
      return .admitted(Caller(client, at: address))
    }
  }

  func initialMetadata(_ client: ClientName) async throws -> ClientMetadata {
    try await meet("initialMetadata", client.text)
    return answer?(client) ?? Self.metadata(client)
  }

  static func metadata(_ client: ClientName, bundles: OrderedSet<Name> = ["b"]) -> ClientMetadata {
    ClientMetadata(
      hostname: client, profile: "base", groups: ["base"], bundles: bundles, aliases: [], addresses: [],
      categories: [:], uuid: nil, password: nil, version: nil)
  }

  func mergeAdditionalGroups(_ metadata: ClientMetadata, _ groups: [String]) { groupsMerged(metadata, groups) }
  func mergeAdditionalData(_ metadata: ClientMetadata, source: String, data: any ConnectorData) {
    metadata.addData(data, of: source)
  }
  func listClients() async -> [ClientName] { Set(clients.values).sorted() }
  func updateClientList() async {}
  func setProfile(_ client: ClientName, _ profile: String, address: ClientAddress?, requirePublic: Bool) async throws {
    try await meet("setProfile", client.text)
  }
  func setVersion(_ client: ClientName, _ version: String) async throws { try await meet("setVersion", client.text) }
}

/// A second one, which sorts first.
final class EarlyMetadataPlugin: FakeMetadataPlugin {
  override class var name: String { "EarlyMetadata" }
  override var sortOrder: Int { 10 }
}

extension RepositoryFixture {
  /// Runs the body with a core whose Metadata plugin is the fake one, and which has the fake plugin for everything else.
  static func runWithFakeMetadata(_ body: (RepositoryFixture) async throws -> Void) async throws {
    var settings = Settings()
    settings.plugins = []
    settings.certificateAuthority = "ca.crt"
    try await run(
      files: [:], settings: settings, loading: .nothing,
      core: NetworkCore.init(settings:loop:fileMonitor:resolver:registry:)
    ) { fixture async throws in
      fixture.core.initPlugin(FakeMetadataPlugin.self)
      fixture.addFake()
      fixture.fake.binders["Path:/fast"] = .now { entry, metadata in entry["by"] = metadata.hostname.text }
      try fixture.core.loadPlugins()
      fixture.log.take()
      try await body(fixture)
    }
  }

  var fakeMetadata: FakeMetadataPlugin {
    guard let plugin = core.plugins["FakeMetadata"] as? FakeMetadataPlugin else {
      preconditionFailure("the fake Metadata plugin is not loaded")
    }
    return plugin
  }

  /// The core of a fixture that was made with `NetworkCore`.
  var network: NetworkCore {
    guard let network = core as? NetworkCore else { preconditionFailure("the core is no NetworkCore") }
    return network
  }

  /// The whole configuration of a client: the fake plugin's bundle.
  static func whole(_ client: String) -> String {
    "<Configuration version=\"2.0\" revision=\"7\"><Bundle name=\"b\"><Path name=\"/fast\" by=\"\(client)\"/></Bundle></Configuration>"
  }
}

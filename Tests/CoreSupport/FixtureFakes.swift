package import Core
import Identity
import OrderedCollections
import Repository
package import ServerSettings
import Support
package import XMLRPC

extension RepositoryFixture {
  /// Metadata of the clients `one` and `two`.
  package static let twoClients = [
    "Metadata/groups.xml": "<Groups><Group name=\"base\" profile=\"true\" public=\"true\"/></Groups>",
    "Metadata/clients.xml":
      "<Clients><Client name=\"one\" profile=\"base\"/><Client name=\"two\" profile=\"base\"/></Clients>",
  ]

  /// Runs the body with a core that has Metadata, two clients and the fake plugin, whose bundle `b` has one entry.
  package static func runWithFake(
    settings change: (inout Settings) -> Void = { _ in }, _ body: (RepositoryFixture) async throws -> Void
  ) async throws {
    var settings = RepositoryFixture.settings
    change(&settings)
    let names = ["10.0.0.1": "one", "10.0.0.2": "two", "127.0.0.1": "one"]
    try await run(files: twoClients, names: names, settings: settings) { fixture async throws in
      fixture.addFake()
      try await body(fixture)
    }
  }

  /// Adds the fake plugin, or one of its kind, which gives a bundle `b` with the entry `/fast`.
  package func addFake(_ type: FakePlugin.Type = FakePlugin.self) {
    core.initPlugin(type)
    fake.binders["Path:/fast"] = .now { entry, _ in entry["by"] = "fast" }
    fake.structures = { _ in [FakePlugin.bundle("b", ["/fast"])] }
    log.take()
  }

  /// The fake plugin that was added.
  package var fake: FakePlugin {
    guard let fake = core.plugins["Fake"] as? FakePlugin else { preconditionFailure("the fake plugin is not loaded") }
    return fake
  }

  /// What a call answers, in a line, as `CallOutcome.line` has it. Client n is at 10.0.0.n.
  package func ask(_ method: String, _ parameters: [Value] = [], client: Int = 1) async -> String {
    await ask(method, parameters, from: "10.0.0.\(client)")
  }

  /// What a call of whoever is on this machine answers.
  package func askLocally(_ method: String, _ parameters: [Value] = []) async -> String {
    await ask(method, parameters, from: "127.0.0.1")
  }

  private func ask(_ method: String, _ parameters: [Value], from address: String) async -> String {
    let call = MethodCall(method: method, params: parameters)
    return await core.dispatch(call, from: ClientAddress(ip: address, port: 50000)).line
  }
}

extension CallOutcome {
  /// A value, a document, `fault CODE TEXT`, `denied`.
  package var line: String {
    switch self {
    case .denied: "denied"
    case .fault(let fault): "fault \(fault.code) \(fault.string)"
    case .value(.escaped(let segments)):
      String(decoding: segments.bytes(), as: UTF8.self)
        .replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&")
    case .value(let value): Self.line(value)
    }
  }

  private static func line(_ value: Value) -> String {
    switch value {
    case .nil: "nil"
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .string(let text): text
    case .array(let items): "[\(items.map(line).joined(separator: ", "))]"
    default: "\(value)"
    }
  }
}

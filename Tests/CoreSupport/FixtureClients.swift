package import Core
package import Identity
package import Repository
package import ServerSettings
import Support
package import XMLRPC

/// A small repository for tests of plugins: two clients, one bundle.
extension RepositoryFixture {
  /// Files of two clients, `one.example.com` in group web and `two.example.com` not, and what a test adds.
  package static func files(bundle: String = "", _ own: [String: String] = [:]) -> [String: String] {
    [
      "Metadata/clients.xml": """
      <Clients version="3.0">
        <Client name="one.example.com" profile="base" address="127.0.0.1"><Alias name="uno"/></Client>
        <Client name="two.example.com" profile="other" address="127.0.0.2"/>
      </Clients>
      """,
      "Metadata/groups.xml": """
      <Groups version="3.0">
        <Group name="base" profile="true"><Bundle name="entries"/><Group name="web"/></Group>
        <Group name="other" profile="true"><Bundle name="entries"/></Group>
      </Groups>
      """,
      "Bundler/entries.xml": "<Bundle>\(bundle)</Bundle>",
    ].merging(own) { $1 }
  }

  /// Settings with Bundler, Metadata and these plugins.
  package static func settings(_ plugins: String..., compatibility: Compatibility = .v1_4) -> Settings {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Bundler", "Metadata"] + plugins
    settings.compatibility = compatibility
    return settings
  }

  /// The settings that a bcfg2.conf has.
  package static func settings(conf: String) throws -> Settings {
    try Settings(conf: conf)
  }

  /// The entries of all structures in a client's configuration, as `Tag:name`, with `!` where they failed.
  package func entries(of client: ClientName = "one.example.com") async throws -> [String] {
    try await configuration(of: client).children.flatMap(\.children).map { entry in
      "\(entry.tag):\(entry.name ?? "")\(entry["failure"] == nil ? "" : "!")"
    }.sorted()
  }

  /// One entry of a client's configuration.
  package func entry(_ name: String, of client: ClientName = "one.example.com") async throws -> Element? {
    try await configuration(of: client).children.lazy.flatMap(\.children).first { $0.name == name }
  }

  package func configuration(of client: ClientName) async throws -> Element {
    monitor.processPending()
    return try await core.buildConfiguration(client)
  }

  /// Calls a method of a plugin.
  package func call(_ method: String, _ arguments: [Value] = []) async throws -> Value {
    guard let remote = core.remoteMethods()[method] else { throw PluginExecutionError("\(method) does not exist") }
    return try await remote.call(arguments)
  }

  /// Metadata of a client as requests get it.
  package func metadata(_ client: ClientName = "one.example.com") async throws -> ClientMetadata {
    try await core.buildMetadata(client)
  }
}

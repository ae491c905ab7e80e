import ArgumentParser
import Core
import Identity
import ServerSettings
import XMLRPC

/// `bcfg2-info clients`.
struct Clients: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "clients", abstract: "Print out client/profile info.", aliases: [])
  static let completions: [Completion] = [.client]

  @Argument(help: ArgumentHelp("Names or globs.", valueName: "hostname"))
  var hosts: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Row: Encodable {
    let client: String
    let profile: String?
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    var rows: [Row] = []
    for host in try await context.clients(hosts) {
      let profile = try await context.core.metadata.initialMetadata(try context.client(host)).profile
      rows.append(Row(client: host, profile: profile))
    }
    try context.printRows(rows, json: common.json, ["Client", "Profile"]) { [$0.client, $0.profile ?? "None"] }
    return 0
  }
}

/// `bcfg2-info query`.
struct Query: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "query", abstract: "Query clients.",
    discussion: "With -g and -b: the clients that have all of them. With -p: those that have one.")
  static let optionCompletions: [String: Completion] = [
    "-g": .group, "--group": .group, "-b": .bundle, "--bundle": .bundle, "-p": .profile, "--profile": .profile,
  ]

  @ArgumentParser.Option(
    name: [.customShort("g", allowingJoined: true), .long],
    help: ArgumentHelp("Groups between commas.", valueName: "group"))
  var group: String?

  @ArgumentParser.Option(
    name: [.customShort("p", allowingJoined: true), .long],
    help: ArgumentHelp("Profiles between commas.", valueName: "profile"))
  var profile: String?

  @ArgumentParser.Option(
    name: [.customShort("b", allowingJoined: true), .long],
    help: ArgumentHelp("Bundles between commas.", valueName: "bundle"))
  var bundle: String?

  @ArgumentParser.OptionGroup var common: InfoArguments

  func validate() throws {
    let given = [("-g", group), ("-p", profile), ("-b", bundle)].filter { $0.1 != nil }.map(\.0)
    if given.isEmpty { throw ArgumentParser.ValidationError("one of -g, -p and -b is needed") }
    if given.count > 1 {
      throw ArgumentParser.ValidationError("\(given.joined(separator: " and ")) cannot be used together")
    }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    let wanted = Self.names(group ?? profile ?? bundle ?? "")
    var found: [String] = []
    for client in await context.core.metadata.listClients() {
      let metadata = try await context.core.buildMetadata(client)
      let fits =
        if group != nil {
          metadata.groups.isSuperset(of: wanted)
        } else if profile != nil {
          metadata.profile.map { NameSet(wanted).contains($0) } ?? false
        } else {
          wanted.allSatisfy { metadata.bundles.contains(Name($0)) }
        }
      if fits { found.append(client.text) }
    }
    if common.json { try context.printJSON(found) } else { context.print(found.joined(separator: "\n")) }
    return 0
  }

  private static func names(_ text: String) -> [String] {
    text.split(separator: ",").map { String($0.drop { $0 == " " }) }
  }
}

/// `bcfg2-info showclient`.
struct ShowClient: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "showclient", abstract: "Show metadata for the given hosts.")
  static let completions: [Completion] = [.client]

  @Argument(help: ArgumentHelp("Names or globs.", valueName: "hostname"))
  var hosts: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Client: Encodable {
    struct Group: Encodable {
      let name: String
      let category: String?
    }

    let hostname: String
    let profile: String?
    let groups: [Group]
    let bundles: [String]
    let aliases: [String]
    let addresses: [String]
    let version: String?
    let hasConnectors: Bool
    var connectors: [String: ValueJSON] = [:]
    /// Names of connectors with data, in their order.
    var order: [String] = []

    private enum CodingKeys: String, CodingKey {
      case hostname, profile, groups, bundles, aliases, addresses, version, connectors
    }

    @MainActor init(_ metadata: ClientMetadata) async {
      hostname = metadata.hostname.text
      profile = metadata.profile
      let categories = metadata.categories.sorted()
      groups = metadata.groups.sorted().map { name in
        Group(name: name, category: categories.first { Name.areSame($0.value, name) }?.key)
      }
      bundles = metadata.bundles.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      aliases = metadata.aliases.map(\.text).sorted()
      addresses = metadata.addresses.sorted()
      version = metadata.version
      hasConnectors = !metadata.connectors.isEmpty
      for name in metadata.connectors {
        guard let data = metadata[connector: name], let value = await ConnectorValue.value(data, metadata)
        else { continue }
        connectors[name] = ValueJSON(value: value)
        order.append(name)
      }
    }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    var clients: [Client] = []
    var isGood = true
    for host in try await context.clients(hosts) {
      do {
        let client = await Client(try await context.metadata(host))
        if common.json { clients.append(client) } else { try show(client, context) }
      } catch {
        isGood = false
        let problem = "Could not build metadata for \(host): \(error)"
        if common.json { context.printError(problem) } else { context.print(VisibleText.escaped(problem)) }
      }
    }
    if common.json { try context.printJSON(clients) }
    return isGood ? 0 : InfoStatus.failed
  }

  @MainActor private func show(_ client: Client, _ context: InfoContext) throws {
    func line(_ name: String, _ value: String, keepsLines: Bool = false) {
      context.print(VisibleText.escaped("\(name.padded(10))  \(value)", keepsLines: keepsLines))
    }
    line("Hostname:", client.hostname)
    line("Profile:", client.profile ?? "None")
    for (index, group) in client.groups.enumerated() {
      line(
        index == 0 ? "Groups:" : "", "\(group.name.padded(30)) \(group.category.map { "Category: \($0)" } ?? "")")
    }
    for (index, bundle) in client.bundles.enumerated() { line(index == 0 ? "Bundles:" : "", bundle) }
    guard client.hasConnectors else { return }
    let rule = String(repeating: "=", count: 80)
    context.print("Connector data")
    context.print(rule)
    for name in client.order {
      guard let value = client.connectors[name] else { continue }
      line("\(name):", try value.text, keepsLines: true)
      context.print(rule)
    }
  }
}

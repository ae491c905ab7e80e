import Administration
import ArgumentParser
import Commands
import Core
import EventLoop
import Identity
import Plugins
import Repository
import Server
import ServerSettings
import XMLRPC

/// `bcfg2-admin client`.
struct ClientMode: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "client", abstract: "Create, modify, delete, or list client entries.",
    usage:
      "bcfg2-admin client add|update|up|del|delete|remove|rm|list [<hostname>] [<key>=<value> ...] [--force] [--json]",
    discussion: """
      Keys: \(ClientMode.attributes.joined(separator: ", ")). An empty value of update removes nothing: it sets an empty value. A \
      profile has to be a profile group of groups.xml, unless --force is there.

      clients.xml is changed as a running server changes it: comments and layout stay, and the server sees the change. With \
      [metadata] use_database the names are in the database, which keeps no attributes.
      """)

  /// Attributes that Bcfg2 allows, in its order.
  static let attributes = ["profile", "uuid", "password", "floating", "secure", "address", "auth"]

  private enum Action: String {
    case add, update, delete, list

    init?(word: String) {
      switch word {
      case "add": self = .add
      case "up", "update": self = .update
      case "del", "delete", "remove", "rm": self = .delete
      case "list", "ls": self = .list
      default: return nil
      }
    }
  }

  @Argument(
    help: "What to do, the client's name, and attributes.",
    completion: .list(["add", "update", "remove", "list", "profile=", "uuid=", "password=", "address=", "auth="]))
  var words: [String] = []
  @Flag(help: "Take a profile that groups.xml does not have.") var force = false
  @Flag(help: "Print the list as JSON, with what is known of the clients.") var json = false
  @ArgumentParser.OptionGroup var common: SharedArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    // Status 1 for a wrong command line: 1.3's, whose mode works.
    guard let word = words.first else { throw AdminProblem("No argument specified.\n\(Self.helpMessage())") }
    guard let action = Action(word: word) else { throw AdminProblem("No command specified: \(word)") }
    let host = words.dropFirst().first
    if action == .list, host != nil { Output.printError("<hostname> is not honored in list mode") }
    let attributes = action == .list ? [:] : try attributes(Array(words.dropFirst(2)))
    if action != .list, host == nil { throw AdminProblem("<hostname> is required in \(word) mode") }
    if action == .delete, !attributes.isEmpty { throw AdminProblem("\(word) takes no attributes") }
    let settings = try context.settings()
    // What the server's code says of a failure, this mode says, too.
    let said = GatheredLog()
    let level = LogSetup.level(settings)
    Log.router.configure([(said, level)], standard: level)
    let console = ConsoleLog()
    return try context.onLoop { loop in
      defer { for record in said.take() { console.write(record) } }
      if action == .list {
        return try await ReadingCore.with(context.reading(settings, plugins: ["Metadata"]), on: loop) { core in
          try await list(core)
        }
      }
      return try await ChangingCore.with(settings, plugins: ["Metadata"], on: loop) { core in
        try await change(action, host ?? "", attributes, core, said)
      }
    }
  }

  @MainActor private func attributes(_ words: [String]) throws -> Attributes {
    var attributes: Attributes = [:]
    for word in words {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw AdminProblem("\(word) is not of the form KEY=VALUE") }
      let name = String(parts[0])
      guard Self.attributes.contains(name) else {
        let list = Self.attributes.map { "'\($0)'" }.joined(separator: ", ")
        throw AdminProblem("Attribute \(name) unknown. Valid attributes: [\(list)]")
      }
      attributes[name] = String(parts[1])
    }
    return attributes
  }

  // MARK: The list

  private struct Client: Encodable {
    let name: String
    let profile: String?
    let aliases: [String]
    let addresses: [String]
  }

  @MainActor private func list(_ core: ServerCore) async throws -> Int32 {
    guard json else {
      Output.print(await core.metadata.listClients().map(\.text))
      return 0
    }
    let clients = await core.metadata.listKnownClients().map { known in
      Client(
        name: known.name.text, profile: core.metadata.recordedProfile(of: known.name),
        aliases: known.aliases.map(\.text),
        addresses: known.addresses)
    }
    try Output.printJSON(clients)
    return 0
  }

  // MARK: Changes

  @MainActor private func change(
    _ action: Action, _ host: String, _ attributes: Attributes, _ core: ServerCore, _ said: GatheredLog
  ) async throws -> Int32 {
    let (verb, metadata) = (["add": "adding", "update": "updating"][action.rawValue] ?? "deleting", core.metadata)
    guard let metadata = metadata as? MetadataPlugin else { throw AdminProblem("The plugin Metadata is not loaded") }
    do {
      if let profile = attributes["profile"], metadata.groups[profile]?.isProfile != true {
        guard force else {
          throw AdminProblem("\(profile) is not a profile group of groups.xml; --force takes it all the same")
        }
        Output.printError("\(profile) is not a profile group of groups.xml")
      }
      switch action {
      case .add:
        let name = try ClientName(host)
        if metadata.usesDatabase, !attributes.isEmpty {
          Output.printError("The database keeps no attributes: they belong in a Client element of clients.xml")
        }
        var stored = attributes
        // Without one, the client would have no groups, and an empty configuration.
        if !metadata.usesDatabase, stored["profile"] == nil, let standard = metadata.defaultGroup {
          stored["profile"] = standard
        }
        if try await !metadata.addClient(name, stored) {
          Output.printError("\(name) is known already, nothing was changed")
        } else if !metadata.usesDatabase, attributes["profile"] == nil {
          Output.printError(
            stored["profile"].map { "\(name) has the default profile \($0)" }
              ?? "\(name) has no profile, and gets an empty configuration: groups.xml has no default profile")
        }
      case .update: try await metadata.updateClient(try ClientName(recorded: host), attributes)
      case .delete: try await metadata.removeClient(try ClientName(recorded: host))
      case .list: break
      }
    } catch {
      let reason = (error as? AdminProblem)?.text ?? "\(error)"
      let others = said.take().filter { $0.message != reason }
      for record in others { said.write(record) }
      throw AdminProblem("Error \(verb) client \(host): \(reason)")
    }
    return 0
  }
}

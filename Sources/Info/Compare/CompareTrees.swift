import ArgumentParser
import Commands
import Core
import Server
import ServerSettings

/// A process of `bcfg2-info diff` for a part of the clients.
struct CompareTrees: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "compare-trees", abstract: "Compare two repositories for a part of the clients.", shouldDisplay: false)
  static let place = ModePlace.commandLine
  static let isQuiet = true

  @ArgumentParser.Option(help: .hidden) var part: String
  @ArgumentParser.Option(help: .hidden) var old: String
  @ArgumentParser.Option(help: .hidden) var new: String
  @Argument(help: .hidden) var hosts: [String] = []
  @ArgumentParser.OptionGroup var common: InfoArguments

  func validate() throws {
    guard Part(part) != nil else { throw ArgumentParser.ValidationError("--part is like 1/2") }
  }

  /// The repository that the process begins with.
  func adapt(_ options: inout CommandLineOptions) { options.set("server", "repository", to: old, typed: "-Q") }

  func run(_ context: InfoContext) async throws -> Int32 {
    var options = context.options
    options.set("server", "repository", to: new, typed: "-Q")
    let repository = context.options.typed("server", "repository") ?? new
    let settings = try ReadingCore.furtherSettings(options)
    return try await ReadingCore.with(settings, on: context.core.loop) { other in
      let comparison = TreeComparison(old: context.core, new: other, names: [old: repository, new: repository])
      let clients = Part(part)?.of(await comparison.clients(hosts)) ?? []
      context.print(WorkerLine.total(clients.count).text)
      var groups = ChangeGroups()
      for client in clients {
        groups.add([client], try await comparison.changes(client))
        context.print(WorkerLine.done.text)
      }
      for group in groups.everything {
        context.print(WorkerLine.result(try Output.json(group, isPretty: false)[...]).text)
      }
      return 0
    }
  }
}

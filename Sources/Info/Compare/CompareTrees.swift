import ArgumentParser
import Commands
import Core
import Repository
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
  @ArgumentParser.Option(name: .customLong("old-name"), help: .hidden) var oldName: String
  @ArgumentParser.Option(name: .customLong("new-name"), help: .hidden) var newName: String
  /// The descriptor of the configuration files' texts.
  @ArgumentParser.Option(name: .customLong("settings"), help: .hidden) var settingsDescriptor: Int32
  /// Hosts that are names of revisions, too.
  @ArgumentParser.Option(name: .customLong("revision"), help: .hidden) var revisions: [String] = []
  @Argument(help: .hidden) var hosts: [String] = []
  @ArgumentParser.OptionGroup var common: InfoArguments

  var workerPart: WorkPart? { WorkPart(part) }

  func validate() throws {
    guard WorkPart(part) != nil else { throw ArgumentParser.ValidationError("--part is like 1/2") }
  }

  func configurationFiles() throws -> ConfigurationFiles? { try SettingsTexts.read(settingsDescriptor) }

  /// The repository that the process begins with.
  func adapt(_ options: inout CommandLineOptions) { options.set("server", "repository", to: old, typed: "-Q") }

  /// Both cores are made here, so that what is wrong with their files is known from the start.
  func distribute(_ start: InfoStart) async throws -> Int32? {
    var options = start.options
    options.set("server", "repository", to: new, typed: "-Q")
    let settings = try ReadingCore.furtherSettings(options, files: start.settings.files)
    let repository = start.options.typed("server", "repository") ?? new
    var broken: Set<BrokenFile> = []
    func report(_ path: String, _ problem: String) {
      let isOld = path.hasPrefix(old + "/")
      let file = BrokenFile(path, problem, in: isOld ? old : new, revision: isOld ? oldName : newName)
      broken.insert(file)
    }
    FileBacked.onProblem = report
    FileBacked.onMissingInclude = report
    defer { (FileBacked.onProblem, FileBacked.onMissingInclude) = (nil, nil) }
    var loading = oldName
    do {
      try await ReadingCore.with(start.settings, on: start.loop) { before in
        loading = newName
        try await ReadingCore.with(settings, on: start.loop) { after in
          loading = ""
          for core in [before, after] { core.templates.onFailed = report }
          try await compare(TreeComparison(old: before, new: after, names: [old: repository, new: repository]))
        }
      }
    } catch  where !loading.isEmpty {
      let text = ConfigurationComparison.renamed("\(error)", [old: repository, new: repository])
      throw InfoProblem("\(loading == DiffItem.worktree ? "The working copy" : loading): \(text)")
    }
    for file in broken { Output.print(WorkerLine.result(try Output.json(DiffItem.broken(file), isPretty: false)).text) }
    return 0
  }

  @MainActor private func compare(_ comparison: TreeComparison) async throws {
    let all = try await comparison.clients(hosts)
    for host in all where !comparison.knows(host) {
      if revisions.contains(host) { throw InfoProblem("\(host) is no client, but a revision") }
    }
    let clients = WorkPart(part)?.of(all) ?? []
    Output.print(WorkerLine.total(clients.count).text)
    var groups = ChangeGroups()
    for client in clients {
      if !comparison.knows(client) {
        Output.printError("\(InfoCommand.program): \(VisibleText.escaped(InfoContext.unknown(client)))")
      }
      groups.add([client], try await comparison.changes(client))
      Output.print(WorkerLine.done.text)
    }
    for group in groups.everything {
      Output.print(WorkerLine.result(try Output.json(DiffItem.group(group), isPretty: false)).text)
    }
  }

  func run(_ context: InfoContext) async throws -> Int32 { preconditionFailure("distribute does the work") }
}

import ArgumentParser
import Commands
import Core
import EventLoop
import FoundationEssentials
import Glibc
import Server
import ServerSettings

/// `bcfg2-info diff`.
struct Diff: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Show what changes for clients between two revisions of the repository.",
    usage: """
      bcfg2-info diff [--full] [--exit-code] [--json] <revision> <revision> [<hostname> ...]
             bcfg2-info diff --worktree [--full] [--exit-code] [--json] [<hostname> ...]
      """,
    discussion: """
      Builds the configurations of clients at both revisions of the git working copy that the repository is in, and groups the \
      clients for which the same changes. Nothing in the working copy is changed. What servers write in the repository \
      (probed.xml, indexes of package sources, keys) is that of now for both, unless it was committed.

      Exit status: 0; 1 if it cannot be compared, or with --exit-code if something changes; 3 if files cannot be read or templates \
      fail at one of the revisions: what they bring to clients is not compared.
      """)
  static let completions: [Completion] = [.none, .none, .client]

  @Flag(help: "Compare the last commit with the files as they are now.")
  var worktree = false

  @Flag(help: "Show all lines of texts.")
  var full = false

  @Flag(name: .customLong("exit-code"), help: "Exit with status 1 if something changes.")
  var tellsByStatus = false

  @Argument(
    help: ArgumentHelp("Two revisions, then names or globs of clients; all without any.", valueName: "revision"))
  var words: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  /// Lines of one entry that are shown without --full.
  private static let lineLimit = 20
  /// The exit status if a file of a revision is broken.
  private static let brokenStatus: Int32 = 3

  func validate() throws {
    guard worktree || words.count >= 2 else {
      throw ArgumentParser.ValidationError("two revisions are needed, or --worktree")
    }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    try await compare(context.core.settings, context.options, context.core.loop) { context.printText($0) }
  }

  func distribute(_ start: InfoStart) async throws -> Int32? {
    // The files of a revision belong to the user who reads them.
    if geteuid() == 0 { try Privileges.drop(user: start.settings.user, group: start.settings.group) }
    return try await compare(start.settings, start.options, start.loop) { Output.write($0) }
  }

  @MainActor private func compare(
    _ settings: Settings, _ options: CommandLineOptions, _ loop: Reactor, write: (String) -> Void
  ) async throws -> Int32 {
    let (groups, broken) = try await changes(settings, options, loop)
    if common.json {
      let items = broken.map(DiffItem.broken) + groups.groups.map(DiffItem.group)
      write(try Output.json(items) + "\n")
    } else {
      write(ChangeText(isColoured: Output.mayHaveColours(), lineLimit: full ? nil : Self.lineLimit).text(groups))
    }
    for file in broken { Output.printError("\(InfoCommand.program): \(VisibleText.escaped(file.text))") }
    if !broken.isEmpty { return Self.brokenStatus }
    return tellsByStatus && !groups.groups.isEmpty ? InfoStatus.failed : 0
  }

  /// The temporary folder is gone when this returns.
  @MainActor private func changes(
    _ settings: Settings, _ options: CommandLineOptions, _ loop: Reactor
  ) async throws -> (ChangeGroups, [BrokenFile]) {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let tree = try await RevisionTree(of: settings.repository, on: loop)
    let old = try await tree.write(worktree ? "HEAD" : words[0], to: "\(folder.path)/old")
    let new = worktree ? settings.repository : try await tree.write(words[1], to: "\(folder.path)/new")
    let hosts = Array(worktree ? words[...] : words.dropFirst(2))
    // Told from unknown clients by the workers, which know the clients.
    var revisions: [String] = []
    for host in Set(hosts).sorted() where !Selection.hasWildcard([host]) {
      if try await tree.hasRevision(host) { revisions += ["--revision", host] }
    }
    let names = ["--old-name", worktree ? "HEAD" : words[0], "--new-name", worktree ? DiffItem.worktree : words[1]]
    var groups = ChangeGroups()
    var broken: Set<BrokenFile> = []
    let progress = Progress("Comparing")
    // The workers belong to the server's user, who need not be able to read bcfg2.conf.
    let texts = [SettingsTexts.descriptor: try SettingsTexts.bytes(of: settings)]
    let workers = try Workers(WorkPart.all(Workers.processors), texts: texts, on: loop) { part in
      WorkerArguments.beforeMode(options, settings) + [
        CompareTrees._commandName, "--settings", "\(SettingsTexts.descriptor)", "--part", part.text, "--old", old,
        "--new", new,
      ] + names + revisions + ["--"] + hosts
    } onLine: { line in
      switch line {
      case .total(let count): progress.expect(count)
      case .done: progress.finishOne()
      case .result(let text):
        switch try JSONDecoder().decode(DiffItem.self, from: Data(text.utf8)) {
        case .group(let group): groups.add(group.hosts, group.changes)
        case .broken(let file): broken.insert(file)
        }
      case .problem: break
      }
    }
    guard try await workers.waitForEnd().allSatisfy({ $0 == 0 }) else {
      throw InfoProblem("the configurations could not be compared")
    }
    progress.end()
    return (groups, broken.sorted { ($0.revision, $0.file, $0.text) < ($1.revision, $1.file, $1.text) })
  }
}

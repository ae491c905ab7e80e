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
    let groups = try await changes(settings, options, loop)
    if common.json {
      write(try Output.json(groups.groups) + "\n")
    } else {
      let isColoured = isatty(STDOUT_FILENO) == 1 && (getenv("NO_COLOR").map { $0[0] == 0 } ?? true)
      write(ChangeText(isColoured: isColoured, lineLimit: full ? nil : Self.lineLimit).text(groups))
    }
    return tellsByStatus && !groups.groups.isEmpty ? InfoStatus.failed : 0
  }

  /// The temporary folder is gone when this returns.
  @MainActor private func changes(
    _ settings: Settings, _ options: CommandLineOptions, _ loop: Reactor
  ) async throws -> ChangeGroups {
    let folder = try TemporaryFolder()
    defer { withExtendedLifetime(folder) {} }
    let signals = try Signals([SIGINT, SIGTERM], on: loop) { event in
      TemporaryFolder.removeAll()
      Glibc.exit(128 + event.signal)
    }
    let tree = try await RevisionTree(of: settings.repository, on: loop)
    let old = try await tree.write(worktree ? "HEAD" : words[0], to: "\(folder.path)/old")
    let new = worktree ? settings.repository : try await tree.write(words[1], to: "\(folder.path)/new")
    signals.close()
    let hosts = Array(worktree ? words[...] : words.dropFirst(2))
    var groups = ChangeGroups()
    let progress = Progress("clients")
    var problem: (any Error)?
    let isGood = try await Workers.run(count: Workers.processors, on: loop) { part in
      Workers.arguments(options, settings) + [
        CompareTrees._commandName, "--part", part.text, "--old", old, "--new", new, "--",
      ] + hosts
    } onLine: { line in
      switch WorkerLine(line) {
      case .total(let count): progress.expect(count)
      case .done: progress.finishOne()
      case .result(let text):
        do {
          let group = try JSONDecoder().decode(ChangeGroups.Group.self, from: Data(text.utf8))
          groups.add(group.hosts, group.changes)
        } catch {
          problem = error
        }
      case nil: problem = InfoProblem("a process for a part of the clients answered what makes no sense")
      }
    }
    if let problem { throw problem }
    guard isGood else { throw InfoProblem("the configurations could not be compared") }
    return groups
  }
}

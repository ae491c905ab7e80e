import ArgumentParser
import Commands
import Core
import EventLoop
import Glibc
import Logging
import Server
import ServerSettings

/// Runs `bcfg2-info`.
@MainActor
public enum InfoCommand {
  nonisolated static let program = "bcfg2-info"

  /// - Parameter words: the command line without the program's name.
  /// - Returns: the exit status.
  public static func run(_ words: [String]) -> Int32 {
    if let status = CommandParsing.tellDeclarations(Arguments.self, words) { return status }
    let line: ModeCommandLine
    do {
      line = try ModeCommandLine(words, flags: [("p", "profile")])
    } catch {
      Output.printError("\(program): \(error)")
      return InfoStatus.usage
    }
    if line.asksForVersion {
      Output.print(CommandSettings.version(of: program))
      return 0
    }
    if line.asksForHelp {
      Output.print(Arguments.helpMessage())
      return 0
    }
    switch ModeParsing.parse(line.rest.isEmpty ? ["shell"] : line.rest, isInteractive: false) {
    case .done(let text, let isError):
      if isError { Output.printError(text) } else { Output.print(text) }
      return isError ? InfoStatus.usage : 0
    case .failed(let text):
      Output.print(text)
      return InfoStatus.failed
    case .mode(let mode):
      let options = mode.common.adding(to: line.options)
      if mode.workerPart != nil { Workers.becomeWorker() }
      do {
        return try start(mode, options, tellsTimes: line.flags.contains("profile"))
      } catch {
        return fail(error, mode)
      }
    }
  }

  private static func start(
    _ mode: any InfoMode, _ options: CommandLineOptions, tellsTimes: Bool
  ) throws -> Int32 {
    var adapted = options
    mode.adapt(&adapted)
    let settings = try ReadingCore.settings(adapted, files: mode.configurationFiles())
    options.hideSecrets()
    // Of several processes one says what the repository's files say.
    let isQuiet =
      (type(of: mode).isQuiet || mode.workerPart.map { $0.place > 0 } ?? false) && LogSetup.level(settings) == .warning
    let level = isQuiet ? .critical : LogSetup.level(settings)
    Log.router.configure([(ConsoleLog(), level)], standard: level)
    switch mode {
    case let mode as Config:
      try mode.show(settings) { Output.write($0) }
      return 0
    case is Debug: throw Debug.problem
    default: break
    }
    let files = OutputFiles()
    files.settings = settings
    try mode.prepare(files)
    return try Reactor.runAsCommand { loop in
      do {
        let start = InfoStart(settings: settings, options: options, loop: loop)
        if let status = try await mode.distribute(start) {
          if status != 0 { files.removeEmptyFolders() }
          return status
        }
        return try await ReadingCore.with(settings, on: loop, followsEdits: mode is Shell) { core in
          if tellsTimes {
            let table = ExecutionTable.text(core.statistics)
            if mode.common.json { Output.writeError(table) } else { Output.write(table) }
          }
          return try await mode.perform(InfoContext(core: core, files: files, options: options))
        }
      } catch {
        files.removeEmptyFolders()
        return fail(error, mode)
      }
    }
  }

  private static func fail(_ error: any Error, _ mode: any InfoMode) -> Int32 {
    if mode.workerPart != nil {
      Output.print(WorkerLine.problem("\(Output.failure(error))").text)
    } else {
      tell(error, json: mode.common.json)
    }
    return InfoStatus.failed
  }

  /// Says why a mode failed: on standard output as Bcfg2 does, where nobody reads JSON from it.
  static func tell(_ error: any Error, json: Bool) {
    if error is InfoProblem || error is Workers.Problem, !json {
      Output.print(visible("\(error)"))
    } else {
      Output.printError("\(program): \(visible("\(Output.failure(error))"))")
    }
  }

  /// Lines of a message, each as a terminal may have it.
  private static func visible(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { VisibleText.escaped(String($0)) }
      .joined(separator: "\n")
  }
}

/// The command line.
struct Arguments: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: InfoCommand.program, abstract: "Inspect what a Bcfg2 server makes of its repository.",
    usage: "bcfg2-info [-C <path>] [-Q <path>] [-E <encoding>] [-d] [-v] [-p] [<mode>]",
    discussion: """
      It reads the repository as a server does, serves nobody and writes nothing there. Without a mode it is a shell for modes. \
      `bcfg2-info help <mode>` tells more of one.
      """,
    subcommands: modes)

  static let modes: [any InfoMode.Type] = [
    Automatch.self, Build.self, BuildAll.self, BuildAllFile.self, BuildBundle.self, BuildDir.self, BuildFile.self,
    Bundles.self, Clients.self, CompareTrees.self, Config.self, Debug.self, Diff.self, EventDebug.self,
    ExpireCache.self, Groups.self, Mappings.self,
    PackageResolve.self, PackageSources.self, Probes.self, ProfileCommand.self, ProfileTemplates.self, Query.self,
    Quit.self,
    Shell.self, ShowClient.self, ShowEntries.self, Update.self, Version.self, Why.self,
  ]

  /// Names of the modes that can be used here, sorted, with other names of the same.
  static func names(isInteractive: Bool) -> [String] {
    let other = isInteractive ? ModePlace.commandLine : .shell
    return modes.filter { $0.configuration.shouldDisplay && $0.place != other }
      .flatMap { [$0._commandName] + $0.configuration.aliases }.sorted { $0.lowercased() < $1.lowercased() }
  }

  static func mode(_ name: String) -> (any InfoMode.Type)? {
    modes.first { $0._commandName == name || $0.configuration.aliases.contains(name) }
  }
}

/// Finds the mode that words name.
enum ModeParsing {
  enum Outcome {
    case mode(any InfoMode)
    /// There is nothing to do but to print this.
    case done(String, isError: Bool)
    /// The same, with an exit status of 1.
    case failed(String)
  }

  static func parse(_ words: [String], isInteractive: Bool) -> Outcome {
    let name = words.first ?? ""
    if name == "help" { return help(Array(words.dropFirst()), isInteractive) }
    guard let type = Arguments.mode(name) else {
      let text = isInteractive ? "*** Unknown syntax: \(words.joined(separator: " "))" : "unknown mode \(name)"
      return .done(isInteractive ? text : "\(InfoCommand.program): \(text)", isError: true)
    }
    guard type.place == .everywhere || (type.place == .shell) == isInteractive else {
      let text = isInteractive ? "\(name): this is the shell" : "\(name) is a mode of the shell alone"
      return .done(isInteractive ? text : "\(InfoCommand.program): \(text)", isError: true)
    }
    do {
      var parsed = try Arguments.parseAsRoot([type._commandName] + words.dropFirst())
      if let mode = parsed as? any InfoMode { return .mode(mode) }
      // The library's own command for `help` throws the text of the mode that was asked for.
      try parsed.run()
      return .done(Arguments.helpMessage(), isError: true)
    } catch {
      let text = Arguments.fullMessage(for: error)
      return .done(text, isError: Arguments.exitCode(for: error) != .success)
    }
  }

  private static func help(_ words: [String], _ isInteractive: Bool) -> Outcome {
    guard let name = words.first else {
      let lines = Arguments.names(isInteractive: isInteractive).compactMap { name in
        Arguments.mode(name).map { "\(usage($0, name)) - \($0.configuration.abstract)" }
      }
      let end = "help [<mode>] - List modes, or tell more of one.\nModes that print what is known take --json."
      return .done((lines + [end]).joined(separator: "\n"), isError: false)
    }
    guard let mode = Arguments.mode(name) else { return .failed("No such command: \(name)") }
    return .done(Arguments.helpMessage(for: mode), isError: false)
  }

  /// The mode's name and arguments on one line.
  private static func usage(_ mode: any InfoMode.Type, _ name: String) -> String {
    let text = Arguments.usageString(for: mode).split(whereSeparator: \.isWhitespace)
    let words = text.drop { $0 != mode._commandName }.dropFirst().joined(separator: " ")
      .replacing(" [--config <config>]", with: "").replacing("[--config <config>]", with: "")
      .replacing(" [--json]", with: "").replacing("[--json]", with: "")
    return words.isEmpty ? name : "\(name) \(words)"
  }
}

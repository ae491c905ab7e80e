import ArgumentParser
import Commands
import Core
import Glibc
import Repository
import Server

/// `bcfg2-info` without a mode, or `bcfg2-info shell`.
struct Shell: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "shell", abstract: "Open an interactive shell to run multiple bcfg2-info commands.")
  static let place = ModePlace.commandLine

  @ArgumentParser.OptionGroup var common: InfoArguments

  private static let prompt = "bcfg2-info> "

  func validate() throws {
    guard !common.json else {
      throw ArgumentParser.ValidationError("--json belongs to the shell's lines: type it behind a mode")
    }
  }

  func prepare(_ files: OutputFiles) throws {
    guard isatty(STDIN_FILENO) == 1, let path = ShellHistory.standardPath else { return }
    do {
      files.history = try ShellHistory(path)
    } catch {
      Output.printError("\(InfoCommand.program): lines are not kept: \(error)")
    }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    let loop = context.core.loop
    if isatty(STDIN_FILENO) == 1,
      let editor = LineEditor(on: loop, completer: Completer(context.core), history: context.files.history)
    {
      return await run(context, editor)
    }
    return await run(context, PlainLines(STDIN_FILENO, on: loop) { context.printText($0) })
  }

  @MainActor func run(_ context: InfoContext, _ source: any LineSource) async -> Int32 {
    let inner = context.printing(to: { context.printText($0) }, isInteractive: true)
    inner.print("Welcome to bcfg2-info\nType \"help\" for more information")
    while let line = await source.next(prompt: Self.prompt) {
      do {
        guard try await perform(line, inner) else { break }
      } catch {
        InfoCommand.tell(error, json: false)
      }
    }
    return 0
  }

  /// - Returns: whether the shell goes on.
  @MainActor private func perform(_ line: String, _ context: InfoContext) async throws -> Bool {
    let words = try ShellWords.split(line)
    if words.isEmpty { return true }
    switch ModeParsing.parse(words == ["?"] ? ["help"] : words, isInteractive: true) {
    case .mode(let mode):
      if mode is Quit { return false }
      // What was edited since the last line counts.
      context.core.fileMonitor.processPending()
      do {
        _ = try await mode.perform(context)
      } catch {
        InfoCommand.tell(error, json: mode.common.json)
      }
    case .done(let text, _), .failed(let text): context.print(text)
    }
    return true
  }
}

/// `quit`, `exit` and `EOF`.
struct Quit: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "quit", abstract: "Exit program.", aliases: ["exit", "EOF"])
  static let place = ModePlace.shell

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 { 0 }
}

/// `update`.
struct Update: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Process pending filesystem events.",
    discussion: "Each line of the shell does so before it begins.")
  static let place = ModePlace.shell

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    context.core.fileMonitor.processPending()
    return 0
  }
}

/// `expirecache`.
struct ExpireCache: InfoMode {
  static let configuration = CommandConfiguration(commandName: "expirecache", abstract: "Expire the metadata cache.")
  static let place = ModePlace.shell
  static let completions: [Completion] = [.client]

  @Argument(help: ArgumentHelp("Expire cache for the given host(s).", valueName: "hostname"))
  var hosts: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    guard !hosts.isEmpty else {
      context.core.expireMetadataCache()
      return 0
    }
    for host in try await context.clients(hosts) { context.core.expireMetadataCache(try context.client(host)) }
    return 0
  }
}

/// `eventdebug`.
struct EventDebug: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "eventdebug", abstract: "Enable debugging output for FAM events.", aliases: ["event_debug"])
  static let place = ModePlace.shell

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    context.core.fileMonitor.isDebugging = true
    return 0
  }
}

/// `version`.
struct Version: InfoMode {
  static let configuration = CommandConfiguration(commandName: "version", abstract: "Print version of this tool.")

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    if common.json {
      try context.printJSON(["version": ServerVersion.text])
    } else {
      context.print(CommandSettings.version(of: InfoCommand.program))
    }
    return 0
  }
}

/// `debug`.
struct Debug: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "debug", abstract: "A Python interpreter in Bcfg2; there is none here.", shouldDisplay: false)

  @Argument(parsing: .captureForPassthrough, help: .hidden)
  var words: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  static let problem = InfoProblem("debug: there is no Python here; use the shell, or the other modes with --json")

  func run(_ context: InfoContext) async throws -> Int32 {
    throw Self.problem
  }
}

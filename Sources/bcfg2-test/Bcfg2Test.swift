import ClientChecks
import Commands
import Core
import EventLoop
import Glibc
import Logging
import LoopDatabases
import Server
import ServerSettings

/// `bcfg2-test`: builds the configurations of clients and says which have failures.
@main
@MainActor
enum Bcfg2Test {
  nonisolated static let program = "bcfg2-test"

  static func main() {
    DatabaseHelper.runIfAsked()
    switch CommandParsing.parse(
      Arguments.self, Array(CommandLine.arguments.dropFirst()), as: Arguments.self)
    {
    case .ended(let status): exit(status)
    case .parsed(let arguments):
      if arguments.workerPart != nil { Workers.becomeWorker() }
      do {
        exit(try run(arguments))
      } catch {
        Output.printError("\(program): \(error)")
        exit(CommandParsing.usage)
      }
    }
  }

  private static func run(_ arguments: Arguments) throws -> Int32 {
    let settings = try ReadingCore.settings(arguments.options)
    let options = try TestOptions(arguments, settings)
    for word in options.unknown where arguments.part == nil {
      Output.printError("\(program): \(word): an option of nose that nothing is done for")
    }
    let xunit = arguments.workerPart == nil ? try options.xunit.map { try CommandFile($0) } : nil
    let log = GatheredLog()
    let level = arguments.debug ? Logger.Level.debug : .warning
    Log.router.configure([(log, level)], standard: level)
    return try Reactor.runAsCommand { loop in
      do {
        let run = TestRun(arguments: arguments, options: options, settings: settings, log: log, xunit: xunit)
        return try await run.run(on: loop)
      } catch {
        for record in log.take() { Output.printError(record.message) }
        Output.printError("\(program): \(error)")
        return CommandParsing.usage
      }
    }
  }
}

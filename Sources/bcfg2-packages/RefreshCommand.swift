import ArgumentParser
import EventLoop
import Glibc
import Logging
import PackageFetching
import PackageSources
import Plugins
import ServerSettings

/// `bcfg2-packages refresh`.
struct RefreshCommand: ParsableCommand, ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "refresh", abstract: "Fetch what has changed, check it, and make the indexes of changed sources anew.",
    discussion: """
      Exit status: 0 if all sources are up to date, 1 if some source failed or has an index of an earlier time, 2 for a wrong \
      command line or configuration.
      """)

  @ArgumentParser.OptionGroup var common: CommonArguments

  @Flag(help: "Only fetch sources that have no index yet, and keys that are not there.")
  var missing = false

  @Flag(help: "Print one line for each event, with fields between tabs, for the server.")
  var report = false

  @Flag(name: [.short, .long], help: "Print errors only.")
  var quiet = false

  @ArgumentParser.Option(help: "Seconds to wait for another process that refreshes the same cache.")
  var wait = 600

  @MainActor func runTool() throws -> Int32 {
    var display: any RefreshDisplay = if report { ReportLines() } else if quiet { ErrorLines() } else { ScreenLines() }
    LoggingSystem.bootstrap { DisplayLog(label: $0) }
    // The server has read the same files, and has said what is wrong with them.
    if !report { DisplayLog.display = display }
    let settings = try ToolSettings(common)
    if !report, settings.settings.logFormat == .json, isatty(STDOUT_FILENO) == 0 {
      display = JSONLines(isQuiet: quiet)
      DisplayLog.display = display
    }
    if !report { for warning in settings.settings.warnings { display.log(.warning, "\(warning)") } }
    let sources = PackagesSwitches(settings.settings).readsMetadata ? try settings.sources() : []
    var plan = Refresh.Plan(sources: sources)
    plan.fetching = settings.fetching
    plan.acceptsMissingParts = settings.settings[PackagesOptions.standard.solver] == .strict
    plan.isForMissing = missing
    let lock = try CacheLock.take(settings.cache, wait: .seconds(max(0, wait)))
    return try withExtendedLifetime(lock) { try Self.run(plan, settings.cache, display) }
  }

  @MainActor private static func run(
    _ plan: Refresh.Plan, _ cache: PackageCache, _ display: any RefreshDisplay
  ) throws -> Int32 {
    try Reactor.runAsCommand { _ in
      let refresh = Refresh(plan, cache: cache) { event in
        switch event {
        case .log(let level, let text): display.log(level, text)
        case .verdict(let level, let text): display.verdict(level, text)
        case .done(let result): display.done(result)
        }
      }
      display.begin(refresh)
      do throws(SystemError) {
        let results = try await refresh.run()
        display.end(results)
        return results.allSatisfy(\.isGood) ? 0 : Exit.failedSource
      } catch {
        display.log(.error, "Packages: \(error)")
        return Exit.usage
      }
    }
  }
}

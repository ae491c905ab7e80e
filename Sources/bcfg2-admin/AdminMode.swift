import ArgumentParser
import Commands
import Databases
import EventLoop
import Glibc
import ReportStore
import ServerSettings

/// A mode.
protocol AdminMode: ParsableCommand {
  associatedtype Common: ModeArguments
  var common: Common { get }
  /// Whether standard output is for a program: then it has nothing but JSON, and why the mode ends is on standard error.
  var json: Bool { get }

  /// - Returns: the exit status.
  /// - Throws: `AdminProblem` for what is to be told to the administrator alone.
  @MainActor func run(_ context: AdminContext) throws -> Int32
}

extension AdminMode {
  var json: Bool { false }
}

/// What a mode works with.
@MainActor
struct AdminContext {
  let options: CommandLineOptions

  /// bcfg2.conf. It is read once, at the first use.
  func settings() throws -> Settings { try CommandSettings.load(options, program: Bcfg2Admin.program) }

  /// Runs a mode that works on an event loop, which can be done once.
  ///
  /// - Throws: what the body throws.
  func onLoop(_ body: @escaping (Reactor) async throws -> Int32) throws -> Int32 {
    var failure: (any Error)?
    let status = try Reactor.runAsCommand { loop in
      do {
        return try await body(loop)
      } catch {
        failure = error
        return Exit.failed
      }
    }
    if let failure { throw failure }
    return status
  }

  /// The settings of a core that only reads the repository.
  ///
  /// - Parameter plugins: the only ones to load.
  func reading(_ settings: Settings, plugins: [String]? = nil) -> Settings {
    var settings = settings
    if let plugins { settings.plugins = settings.plugins.filter(plugins.contains) }
    AtomicFile.refuseWrites(below: settings.repository)
    return settings
  }

  /// The reporting database, which must be there.
  func reports() throws -> ReportStore { try settings().reports() }
}

import Core
public import EventLoop
import Logging
import Server

/// Runs checks over a repository.
public struct LintRun {
  public let context: LintContext
  public let plugins: [LintPlugin]
  /// True if checks that need the server were left out, because files have errors.
  public private(set) var isCutShort = false

  public init(_ plugins: [LintPlugin], _ context: LintContext) {
    self.plugins = plugins
    self.context = context
  }

  /// Runs the checks of files.
  ///
  /// - Throws: `SettingsError`.
  package func runOnFiles() throws {
    for plugin in plugins {
      guard case .files(let check) = plugin.action else { continue }
      context.report.plugin = plugin.name
      try check(context)
    }
  }

  /// Runs the checks of files, then, unless they found errors, those that need the server.
  ///
  /// - Throws: `SettingsError`; `CoreInitError` and `SystemError` if the server's core cannot be made.
  public mutating func run(on loop: Reactor) async throws {
    try runOnFiles()
    let checks = plugins.filter(\.needsServer)
    guard !checks.isEmpty else { return }
    guard context.report.errorCount == 0 else {
      isCutShort = true
      return
    }
    try await ReadingCore.with(context.settings, on: loop) { [context] core in
      for plugin in checks {
        guard case .server(let check) = plugin.action else { continue }
        context.report.plugin = plugin.name
        try await check(context, core)
      }
    }
  }
}

import Core
import Logging
import Repository
import ServerSettings

extension LintPlugin {
  /// What the server itself says while it reads the repository: what passes here, it takes.
  ///
  /// Bcfg2 has no such check. It runs last, and leaves out messages about files and plugins that other checks have told of.
  static let server = LintPlugin("Server", errors: ["server-error": .error, "server-warning": .warning]) {
    context, core in
    if let problem = core.templates.checks.pythonProblem {
      context.report.add("server-warning", problem)
    }
    for name in context.settings.plugins where !context.isPartial && !core.isLoaded(name) {
      context.report.add("server-error", "[server] plugins: the server cannot load plugin \(name)")
    }
    let paths = Set(context.report.findings.compactMap { $0.place?.path }.filter { $0 != context.repository })
    let plugins = Set(context.report.findings.filter { $0.severity == .error }.map(\.plugin))
    var told: Set<String> = []
    for record in context.messages.records where record.level >= .warning && told.insert(record.message).inserted {
      guard !plugins.contains(record.label), !paths.contains(where: { record.message.contains($0) }) else { continue }
      let place = place(in: record.message, context)
      if context.isPartial, !(place.map { context.handles($0.path) } ?? false) { continue }
      context.report.add(record.level >= .error ? "server-error" : "server-warning", record.message, at: place)
    }
  }

  /// The first file of the repository that a message names, with the line after it.
  private static func place(in message: String, _ context: LintContext) -> Finding.Place? {
    guard let start = message.firstRange(of: context.repository + "/") else { return nil }
    let words = message[start.lowerBound...].prefix { !$0.isWhitespace && $0 != "," && $0 != ";" }
      .split(separator: ":", maxSplits: 2)
    guard let path = words.first else { return nil }
    return .init(String(path), line: words.count > 1 ? Int(words[1]) ?? 0 : 0)
  }
}

import Core
import Logging
import Repository
import ServerSettings

extension LintPlugin {
  /// What the server itself says while it reads the repository: what passes here, it takes.
  ///
  /// Bcfg2 has no such check. It runs last, and leaves out messages about files that other checks have told of, and messages
  /// without a file of plugins in which other checks have found errors.
  static let server = LintPlugin("Server", errors: ["server-error": .error, "server-warning": .warning]) {
    context, core in
    if let problem = core.templates.checks.pythonProblem {
      context.report.add("server-warning", problem)
    }
    for name in context.settings.plugins where !context.isPartial && !core.isLoaded(name) {
      context.report.add("server-error", "[server] plugins: the server cannot load plugin \(name)")
    }
    let paths = toldPaths(context)
    let plugins = Set(context.report.findings.filter { $0.severity == .error }.map(\.plugin))
    var told: Set<String> = []
    for record in context.messages.records where record.level >= .warning && told.insert(record.message).inserted {
      let named = places(in: record.message, context)
      let place = named.first
      guard named.isEmpty ? !plugins.contains(record.label) : !named.contains(where: { paths.contains($0.path) }) else {
        continue
      }
      if context.isPartial, !(place.map { context.handles($0.path) } ?? false) { continue }
      context.report.add(record.level >= .error ? "server-error" : "server-warning", record.message, at: place)
    }
  }

  /// The files that findings so far are about.
  private static func toldPaths(_ context: LintContext) -> Set<String> {
    var paths: Set<String> = []
    for finding in context.report.findings {
      if let place = finding.place { paths.insert(place.path) }
      for part in finding.parts { paths.insert(part.place.path) }
      for line in finding.lines { for place in places(in: line, context) { paths.insert(place.path) } }
    }
    return paths
  }

  /// The files of the repository that a message names, each with the line after it.
  private static func places(in message: String, _ context: LintContext) -> [Finding.Place] {
    var places: [Finding.Place] = []
    var rest = message[...]
    while let start = rest.firstRange(of: context.repository + "/") {
      let whole = rest[start.lowerBound...].prefix { !$0.isWhitespace && $0 != "," && $0 != ";" && $0 != ")" }
      rest = rest[whole.endIndex...]
      let words = whole.split(separator: ":", maxSplits: 2)
      guard var path = words.first else { continue }
      // The end of a sentence, or of a quotation.
      while let last = path.last, ".'\"".contains(last) { path.removeLast() }
      places.append(.init(String(path), line: words.count > 1 ? Int(words[1]) ?? 0 : 0))
    }
    return places
  }
}

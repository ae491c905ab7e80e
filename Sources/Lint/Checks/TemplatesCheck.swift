import Core
import Plugins

extension LintPlugin {
  /// Genshi templates of Cfg and XML files, and Cheetah templates, can be compiled.
  static let genshi = LintPlugin(
    "Genshi", errors: ["genshi-syntax-error": .error, "unknown-genshi-error": .error]
  ) { context, core in
    for (path, reason) in await templateFailures(context, core) where !isJinja2(path) {
      let isSyntax = isSyntaxError(reason, path)
      let engine = isCheetah(path) ? "Cheetah" : "Genshi"
      context.report.add(
        isSyntax ? "genshi-syntax-error" : "unknown-genshi-error",
        "\(isSyntax ? "\(engine) syntax error" : "Unknown \(engine) error") in \(path): \(reason)",
        at: .init(path, line: line(in: reason, of: path)))
    }
  }

  /// Jinja2 templates of Cfg can be compiled.
  static let jinja2 = LintPlugin(
    "Jinja2", errors: ["jinja2-syntax-error": .error, "unknown-jinja2-error": .error]
  ) { context, core in
    for (path, reason) in await templateFailures(context, core) where isJinja2(path) {
      let isSyntax = isSyntaxError(reason, path)
      context.report.add(
        isSyntax ? "jinja2-syntax-error" : "unknown-jinja2-error",
        "\(isSyntax ? "Jinja2 syntax error" : "Unknown Jinja2 error") in \(path): \(reason)",
        at: .init(path, line: line(in: reason, of: path)))
    }
  }

  private static func isJinja2(_ path: String) -> Bool { isTemplate(path, of: "jinja2") }

  private static func isCheetah(_ path: String) -> Bool { isTemplate(path, of: "cheetah") }

  private static func isTemplate(_ path: String, of engine: String) -> Bool {
    [".\(engine)", ".\(engine).crypt", ".crypt.\(engine)"].contains { path.hasSuffix($0) }
  }

  /// Why templates cannot be loaded, by path. The renderers of templates load each of them once for all checks.
  private static func templateFailures(
    _ context: LintContext, _ core: ServerCore
  ) async -> [(path: String, reason: String)] {
    if context.templateFailures == nil {
      var failures: [String: String] = [:]
      let before = core.templates.onFailed
      core.templates.onFailed = { path, reason in
        if failures[path] == nil { failures[path] = reason }
      }
      _ = await core.templates.checks.load(except: [])
      core.templates.onFailed = before
      context.templateFailures = failures
    }
    return (context.templateFailures ?? [:])
      .filter { context.handles($0.key) && !$0.key.hasSuffix(".py") }.sorted { $0.key < $1.key }
      .map { ($0.key, $0.value) }
  }

  /// Whether a template was not understood: the reason names a line of it.
  private static func isSyntaxError(_ reason: String, _ path: String) -> Bool {
    reason.contains("SyntaxError") || line(in: reason, of: path) > 0
  }

  /// The line that a reason names after the path; 0 if there is none.
  private static func line(in reason: String, of path: String) -> Int {
    guard let range = reason.firstRange(of: path + ", line ") else { return 0 }
    return Int(reason[range.upperBound...].prefix { $0.isNumber }) ?? 0
  }
}

import Core
import ServerSettings

extension LintPlugin {
  /// Modules of TemplateHelper can be imported and export what they say.
  static let templateHelper = LintPlugin(
    "TemplateHelper", serverPlugin: "TemplateHelper",
    errors: [
      "templatehelper-import-error": .error, "templatehelper-no-export": .error,
      "templatehelper-nonlist-export": .error,
      "templatehelper-nonexistent-export": .error, "templatehelper-reserved-export": .error,
      "templatehelper-reserved-default": .error, "templatehelper-underscore-export": .warning,
      "templatehelper-export-and-default": .warning,
    ]
  ) { context, core in
    await core.templates.checks.loadHelpers()
    // Another check may have had them loaded before.
    let found = context.messages.records.compactMap { record in kind(of: record.message).map { ($0, record.message) } }
    let withoutList = Set(found.filter { $0.0.name == "templatehelper-nonlist-export" }.map(\.0.path))
    for ((name, path), message) in found where context.handles(path) {
      // Of what is no list there is nothing to look up.
      if name != "templatehelper-nonlist-export", withoutList.contains(path) { continue }
      context.report.add(name, message.dropPrefix("TemplateHelper: "), at: .init(path))
    }
  }

  /// Parts of the messages of the renderer, and what they are found under.
  private static let kinds: [(part: String, name: String)] = [
    ("Failed to import ", "templatehelper-import-error"), (" has no __export__ list", "templatehelper-no-export"),
    ("__export__ is not a list", "templatehelper-nonlist-export"),
    (" but has no such attribute", "templatehelper-nonexistent-export"),
    (" is a reserved keyword, skipping export", "templatehelper-reserved-export"),
    (" is a reserved keyword, not adding as default", "templatehelper-reserved-default"),
    (" begins with an underscore", "templatehelper-underscore-export"),
    (" is listed in both __default__ and __export__", "templatehelper-export-and-default"),
  ]

  private static func kind(of message: String) -> (name: String, path: String)? {
    guard message.hasPrefix("TemplateHelper: "), let kind = kinds.first(where: { message.contains($0.part) }),
      let end = message.firstRange(of: ".py"), let start = message[..<end.lowerBound].firstIndex(of: "/")
    else { return nil }
    return (kind.name, String(message[start..<end.upperBound]))
  }
}

extension String {
  fileprivate func dropPrefix(_ prefix: String) -> String { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self }
}

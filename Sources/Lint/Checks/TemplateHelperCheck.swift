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
    let absent = Set(found.filter { $0.0.name == "templatehelper-nonexistent-export" }.map { text($0.0, $0.1).subject })
    for (kind, message) in found where context.handles(kind.path) {
      let (text, subject) = text(kind, message)
      // Of what is no list there is nothing to look up, and a name that is absent has one fault.
      if kind.name != "templatehelper-nonlist-export", withoutList.contains(kind.path) { continue }
      if kind.name == "templatehelper-underscore-export" || kind.name == "templatehelper-reserved-export",
        absent.contains(subject)
      {
        continue
      }
      context.report.add(kind.name, text, at: .init(kind.path))
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

  /// What Bcfg2's check says of a message of the renderer, and the module and name that it is about.
  private static func text(_ kind: (name: String, path: String), _ message: String) -> (text: String, subject: String) {
    let message = message.dropPrefix("TemplateHelper: ")
    /// The word behind a part of the message.
    func symbol(behind part: String) -> String {
      message.firstRange(of: part).map { String(message[$0.upperBound...].prefix { $0 != " " && $0 != "," }) } ?? ""
    }
    let name: String
    let text: String
    switch kind.name {
    case "templatehelper-nonlist-export":
      return ("__export__ is not a list in \(kind.path)", kind.path)
    case "templatehelper-nonexistent-export":
      name = symbol(behind: " exports ")
      text = "exported symbol \(name) does not exist"
    case "templatehelper-reserved-export":
      name = symbol(behind: "\(kind.path): ")
      text = "exported symbol \(name) is reserved"
    case "templatehelper-reserved-default":
      name = symbol(behind: "\(kind.path): ")
      text = "default symbol \(name) is reserved"
    case "templatehelper-underscore-export":
      name = symbol(behind: " exported symbol ")
      text = "exported symbol \(name) starts with underscore"
    default:
      return (message, kind.path)
    }
    return ("\(kind.path): \(text)", "\(kind.path):\(name)")
  }

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

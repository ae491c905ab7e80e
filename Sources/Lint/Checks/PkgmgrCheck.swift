import Repository
import XMLRPC

extension LintPlugin {
  /// A package is listed once for the same priority, type and groups.
  static let pkgmgr = LintPlugin("Pkgmgr", serverPlugin: "Pkgmgr", errors: ["duplicate-packages": .error]) { context in
    var known: Set<[String]> = []
    for path in context.files("Pkgmgr/*.xml") {
      guard case .success(let document) = context.document(path).document else { continue }
      check(document.root, [], document.root, path, &known, context)
    }
  }

  /// - Parameter conditions: those around the element.
  private static func check(
    _ parent: Element, _ conditions: [String], _ root: Element, _ path: String, _ known: inout Set<[String]>,
    _ context: LintContext
  ) {
    for child in parent.children {
      if child.tag == "Group" || child.tag == "Client" {
        let condition = "\(child.tag) \(child.isTrue("negate") ? "not " : "")\(child.name ?? "None")"
        check(child, conditions + [condition], root, path, &known, context)
      } else if child.tag == "Package", let name = child.name {
        let priority = root["priority"] ?? "None"
        let type = child["type"] ?? root["type"] ?? "None"
        guard !known.insert([name, priority, type] + conditions).inserted else { continue }
        context.report.add(
          "duplicate-packages", "Duplicate Package \(name), priority:\(priority), type:\(type)",
          at: .init(path, line: Int(child.line)))
      }
    }
  }
}

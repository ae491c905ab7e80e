import Core
import EventLoop
import Plugins
import Repository

extension LintPlugin {
  /// Names of groups have no white space.
  static let groupNames = LintPlugin("GroupNames", errors: ["invalid-group-name": .error]) { context, core in
    if let groups = context.metadataRoot("groups.xml") { checkGroups(groups.root, groups.path, context) }
    for file in core.loaded(RulesPlugin.self)?.files ?? [] where !file.isTemplate {
      if let root = file.root { checkGroups(root, file.path, context) }
    }
    for file in core.loaded(BundlerPlugin.self)?.bundleFiles ?? [] where !file.isTemplate {
      if let root = file.root { checkGroups(root, file.path, context) }
    }
    if core.loaded(GroupPatternsPlugin.self) != nil { checkPatterns(context) }
    if core.loaded(CfgPlugin.self) != nil { checkCfg(context) }
  }

  private static func isValid(_ name: String) -> Bool {
    !name.isEmpty && !name.contains { $0.isWhitespace }
  }

  private static func checkGroups(_ root: Element, _ path: String, _ context: LintContext) {
    guard context.handles(path) else { return }
    for group in root.all(tagged: "Group") where !isValid(group.name ?? "") {
      context.report.add(
        "invalid-group-name", "Invalid group name in \(path): \(group.rendered())",
        at: .init(path, line: Int(group.line)))
    }
  }

  private static func checkPatterns(_ context: LintContext) {
    let path = "\(context.repository)/GroupPatterns/config.xml"
    guard context.handles(path), fileExists(path),
      case .success(let document) = context.document(path).document
    else { return }
    for pattern in document.root.all(tagged: "GroupPattern") {
      for group in pattern.children(tagged: "Group") where !isValid(group.text ?? "") {
        context.report.add(
          "invalid-group-name", "Invalid group name in \(path): \(group.rendered(keepsText: true))",
          at: .init(path, line: Int(group.line)))
      }
    }
  }

  private static func checkCfg(_ context: LintContext) {
    for path in context.allFiles(below: "Cfg") {
      let base = RepositoryPath.name(of: RepositoryPath.folder(of: path))
      let name = RepositoryPath.name(of: path)
      guard name.hasPrefix(base + ".G") else { continue }
      let rest = name.dropFirst(base.count + 2)
      guard rest.prefix(2).allSatisfy(\.isNumber), rest.dropFirst(2).hasPrefix("_"),
        !isValid(String(rest.dropFirst(3)))
      else { continue }
      context.report.add("invalid-group-name", "Invalid group name referenced in \(path)", at: .init(path))
    }
  }
}

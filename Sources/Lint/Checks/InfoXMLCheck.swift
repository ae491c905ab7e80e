import Core
import Plugins
import Repository
import ServerSettings

extension LintPlugin {
  /// Each entry of Cfg has an info.xml that sets what is asked for.
  static let infoXML = LintPlugin(
    "InfoXML", serverPlugin: "Cfg",
    errors: ["no-infoxml": .warning, "paranoid-false": .warning, "required-infoxml-attrs-missing": .error]
  ) { context, core in
    guard let cfg = core.loaded(CfgPlugin.self) else { return }
    let required = try context.configuration.requiredInfoAttributes()
    for folder in cfg.folders {
      let path = folder.path + "/info.xml"
      guard context.handles(path) else { continue }
      guard let info = folder.files.first(where: { $0.kind == .infoXML }) else {
        context.report.add("no-infoxml", "No info.xml found for \(folder.name)", at: .init(folder.path))
        continue
      }
      for element in info.root?.all(tagged: "Info") ?? [] { check(element, path, required, context) }
    }
  }

  private static func check(_ info: Element, _ path: String, _ required: [String], _ context: LintContext) {
    let place = Finding.Place(path, line: Int(info.line))
    let missing = required.filter { info[$0] == nil }
    if !missing.isEmpty {
      context.report.add(
        "required-infoxml-attrs-missing",
        "Required attribute(s) \(missing.joined(separator: ",")) not found in \(path):\(info.rendered())", at: place)
    }
    let paranoid = info["paranoid"]?.lowercased()
    let isLax =
      context.settings.pathDefaults.paranoid.lowercased() == "true" ? paranoid == "false" : paranoid != "true"
    if isLax {
      context.report.add("paranoid-false", "Paranoid must be true in \(path):\(info.rendered())", at: place)
    }
  }
}

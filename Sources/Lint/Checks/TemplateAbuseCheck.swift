import Core
import Plugins
import Repository
import ServerSettings
import Templates

extension LintPlugin {
  /// Programs are no templates.
  static let templateAbuse = LintPlugin(
    "TemplateAbuse", errors: ["templated-script": .warning, "templated-executable": .warning]
  ) { context, core in
    for folder in core.loaded(CfgPlugin.self)?.folders ?? [] {
      for file in folder.files where context.handles(file.path) {
        if case .template = file.kind { check(file, folder, context) }
      }
    }
  }

  private static let extensions = [".pl", ".py", ".sh", ".rb"]

  private static func check(_ file: CfgFileSummary, _ folder: CfgFolder, _ context: LintContext) {
    let place = Finding.Place(file.path)
    if let ending = extensions.first(where: { folder.path.hasSuffix($0) }) {
      context.report.add(
        "templated-script",
        "Templated script found: \(file.path)",
        more: ["File has a known script extension: \(ending)", "Template a config file for the script instead"],
        at: place)
      return
    }
    if let data = file.data, data.starts(with: "#!".utf8) {
      let line = String(decoding: data.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
      context.report.add(
        "templated-script",
        "Templated script found: \(file.path)",
        more: ["File starts with a shebang: \(line)", "Template a config file for the script instead"],
        at: .init(file.path, line: 1))
      return
    }
    let modes = folder.files.first { $0.kind == .infoXML }?.root?.all(tagged: "Info").map {
      $0["mode"] ?? context.settings.pathDefaults.mode
    }
    // RequiredAttrs and the schema tell of a mode that is no number.
    guard modes?.contains(where: { (Int($0, radix: 8) ?? 0) & 0o100 != 0 }) == true else { return }
    context.report.add(
      "templated-executable",
      "Templated executable found: \(file.path)",
      more: ["Template a config file for the executable instead"], at: place)
  }
}

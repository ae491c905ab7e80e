import Core
import EventLoop
import Plugins
import Repository
import Templates

extension LintPlugin {
  /// Files have the comments and the keywords of version control that `[Comments]` asks for.
  static let comments = LintPlugin(
    "Comments",
    errors: [
      "unexpanded-keywords": .warning, "keywords-not-found": .warning, "comments-not-found": .warning,
      "broken-xinclude-chain": .warning,
    ]
  ) { context, core in
    let check = CommentsCheck(context)
    for file in core.loaded(BundlerPlugin.self)?.bundleFiles ?? [] {
      try check.checkXML(file.path, file.isTemplate ? .genshibundler : .bundler)
    }
    if core.loaded(PropertiesPlugin.self) != nil {
      for path in context.allFiles(below: "Properties") where path.hasSuffix(".xml") {
        try check.checkXML(path, .properties)
      }
    }
    try check.checkMetadata("groups.xml")
    try check.checkMetadata("clients.xml")
    for folder in core.loaded(CfgPlugin.self)?.folders ?? [] { try check.checkCfg(folder) }
    for name in core.loaded(ProbesPlugin.self)?.programNames ?? [] {
      let path = "\(context.repository)/Probes/\(name)"
      try check.checkText(path, context.bytes(of: path), .probes)
    }
  }
}

private struct CommentsCheck {
  private let context: LintContext

  init(_ context: LintContext) { self.context = context }

  /// A file of Metadata with all that it includes. Of some files alone only those are known whose includes are all given.
  func checkMetadata(_ name: String) throws {
    let path = "\(context.repository)/Metadata/\(name)"
    guard context.handles(path), fileExists(path) else { return }
    let included = context.document(path).includedFiles
    if let missing = included.first(where: { !context.handles($0) }) {
      context.report.add(
        "broken-xinclude-chain", "Broken XInclude chain: could not include \(missing) of \(path)", at: .init(path))
      return
    }
    try check(path, ([path] + included).flatMap { comments(of: $0) }, .metadata)
  }

  func checkCfg(_ folder: CfgFolder) throws {
    for file in folder.files {
      switch file.kind {
      case .infoXML: try checkXML(file.path, .infoxml)
      case .plain: try checkText(file.path, file.data, .cfg)
      case .template(let kind, isEncrypted: false):
        let kind: LintConfiguration.CommentKind =
          switch kind {
          case .jinja2: .jinja2
          case .cheetah: .cheetah
          default: .genshi
          }
        try checkText(file.path, file.data, kind)
      default: break
      }
    }
  }

  func checkXML(_ path: String, _ kind: LintConfiguration.CommentKind) throws {
    guard context.handles(path) else { return }
    try check(path, comments(of: path), kind)
  }

  func checkText(_ path: String, _ data: [UInt8]?, _ kind: LintConfiguration.CommentKind) throws {
    guard context.handles(path), let data else { return }
    try check(path, [String(decoding: data, as: UTF8.self)], kind)
  }

  private func comments(of path: String) -> [String] {
    context.bytes(of: path).flatMap { SourceDocument($0, path: path) }?.comments ?? []
  }

  private func check(_ path: String, _ texts: [String], _ kind: LintConfiguration.CommentKind) throws {
    let keywords = try context.configuration.required("keywords", of: kind)
    let expanded = keywords.filter { keyword in texts.contains { $0.contains("$\(keyword):") } }
    let absent = keywords.filter { !expanded.contains($0) }
    let unexpanded = absent.filter { keyword in texts.contains { $0.contains("$\(keyword)$") } }
    let missing = absent.filter { !unexpanded.contains($0) }
    if !unexpanded.isEmpty {
      context.report.add(
        "unexpanded-keywords",
        "\(path): Required keywords(s) found but not expanded: \(unexpanded.joined(separator: ", "))", at: .init(path))
    }
    if !missing.isEmpty {
      context.report.add(
        "keywords-not-found", "\(path): Required keywords(s) not found: $\(missing.joined(separator: "$, $"))$",
        at: .init(path))
    }
    let comments = try context.configuration.required("comments", of: kind)
    let lacking = comments.filter { comment in !texts.contains { $0.contains(comment) } }
    if !lacking.isEmpty {
      context.report.add(
        "comments-not-found", "\(path): Required comments(s) not found: \(lacking.joined(separator: ", "))",
        at: .init(path))
    }
  }
}

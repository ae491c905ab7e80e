import Core
import EventLoop
import Plugins
import Repository

extension LintPlugin {
  /// Entries of rules, bound entries of bundles and package sources have what clients and the server need of them.
  static let requiredAttrs = LintPlugin(
    "RequiredAttrs",
    errors: [
      "missing-elements": .error, "unknown-entry-type": .error, "unknown-entry-tag": .error,
      "required-attrs-missing": .error, "required-attr-format": .error, "extra-attrs": .warning,
    ]
  ) { context, core in
    let check = RequiredAttrsCheck(context)
    if core.loaded(PackagesPlugin.self) != nil { check.checkSources() }
    // Defaults may give an entry what it lacks.
    guard core.loaded(DefaultsPlugin.self) == nil else { return }
    for file in core.loaded(RulesPlugin.self)?.files ?? [] where !file.isTemplate {
      for path in file.root?.all(tagged: "Path") ?? [] { check.checkEntry(path, file.path) }
    }
    for file in core.loaded(BundlerPlugin.self)?.bundleFiles ?? [] where !file.isTemplate {
      if let root = file.root { check.checkBundle(root, file.path) }
    }
  }
}

private struct RequiredAttrsCheck {
  private let context: LintContext

  init(_ context: LintContext) { self.context = context }

  private func add(_ name: String, _ message: String, more: [String] = [], _ element: Element, _ path: String) {
    context.report.add(name, message, more: more, at: .init(path, line: Int(element.line)))
  }

  // MARK: Packages

  func checkSources() {
    let path = "\(context.repository)/Packages/sources.xml"
    guard context.handles(path), fileExists(path),
      case .success(let document) = context.document(path).document
    else { return }
    for source in document.root.all(tagged: "Source") {
      let type = source["type"] ?? "None"
      let names = type == "yum" ? ["url", "rawurl", "pulp_id"] : ["url", "rawurl"]
      if names.allSatisfy({ (source[$0] ?? "").isEmpty }) {
        let list = names.count == 2 ? "url or rawurl" : "url, rawurl, or pulp_id"
        add(
          "required-attrs-missing",
          "A \(type) source must have either a \(list) attribute: \(source.rendered())", source, path)
      }
      if type != "apt", source.isTrue("recommended") {
        add(
          "extra-attrs",
          "The recommended attribute is not supported on \(type) sources: \(source.rendered())", source, path)
      }
    }
  }

  // MARK: Entries

  func checkBundle(_ root: Element, _ path: String) {
    guard context.handles(path) else { return }
    root.forEachDescendant { element in
      if element.isBound {
        checkEntry(element, path)
      } else if element.tag == "Path", element.name == nil, element["glob"] == nil {
        add(
          "required-attrs-missing",
          "Path tags require either a 'name' or 'glob' attribute: ", more: [element.rendered()], element, path)
      } else if element.tag == "Package", element.name == nil, element["group"] == nil {
        add(
          "required-attrs-missing",
          "Package tags require either a 'name' or 'group' attribute: ", more: [element.rendered()], element, path)
      }
    }
  }

  func checkEntry(_ entry: Element, _ path: String) {
    guard context.handles(path) else { return }
    let tag = entry.isBound ? String(entry.tag.dropFirst("Bound".count)) : entry.tag
    let name = entry.name ?? "None"
    switch EntryRequirements.of(tag, { entry[$0] }) {
    case .unknownTag:
      add("unknown-entry-tag", "Unknown entry tag '\(tag)': \(entry.rendered())", entry, path)
    case .unknownType:
      add(
        "unknown-entry-type", "Unknown \(tag) type \(entry["type"] ?? "None"): \(entry.rendered())", entry, path)
    case .requirements(let required):
      if tag == "Path" { checkDefaultACL(entry, path) }
      if required.needsText, (entry.text ?? "").isEmpty, !entry.isTrue("empty") {
        add(
          "required-attrs-missing", "Text missing for \(tag) \(name) in \(path): \(entry.rendered())", entry, path)
      }
      let missing = required.attributes.map(\.name).filter { entry[$0] == nil }
      if !missing.isEmpty {
        add(
          "required-attrs-missing",
          "The following required attribute(s) are missing for \(tag) \(name) in \(path): "
            + missing.joined(separator: ", "), more: [entry.rendered()], entry, path)
      }
      for (attribute, format) in required.attributes {
        guard let format, let value = entry[attribute], !format(value) else { continue }
        add(
          "required-attr-format",
          "The \(attribute) attribute of \(tag) \(name) in \(path) is malformed", more: [entry.rendered()], entry, path)
      }
    }
  }

  /// Default ACLs of a path are none, or at least those of its owner, its group and others.
  private func checkDefaultACL(_ entry: Element, _ path: String) {
    let defaults = entry.children(tagged: "ACL").filter { $0["type"] == "default" }
    let count = [("user", "user"), ("group", "group"), ("other", "")].count { scope, attribute in
      defaults.contains { $0["scope"] == scope && (attribute.isEmpty || ($0[attribute] ?? "").isEmpty) }
    }
    guard !defaults.isEmpty, count < 3 else { return }
    add(
      "missing-elements",
      "A Path must have either no default ACLs or at least default:user::, default:group:: and default:other::: "
        + entry.rendered(), entry, path)
  }
}

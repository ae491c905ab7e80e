import Core
import EventLoop
import Plugins
import Repository

extension LintPlugin {
  /// Bundles that are referred to exist, those that exist are referred to, and none has an outdated name.
  static let bundler = LintPlugin(
    "Bundler", serverPlugin: "Bundler",
    errors: [
      "bundle-not-found": .error, "unused-bundle": .warning, "explicit-bundle-name": .error,
      "genshi-extension-bundle": .error,
    ]
  ) { context, core in
    guard let bundler = core.loaded(BundlerPlugin.self) else { return }
    if !context.isPartial { checkReferences(bundler, context) }
    for file in bundler.bundleFiles where context.handles(file.path) {
      if let name = file.root?.name, !name.isEmpty {
        context.report.add(
          "explicit-bundle-name", "Deprecated explicit bundle name in \(file.path)",
          at: .init(file.path, line: Int(file.root?.line ?? 0)))
      }
      if file.path.hasSuffix(".genshi") {
        context.report.add(
          "genshi-extension-bundle", "Bundle \(file.path) uses deprecated .genshi extension", at: .init(file.path))
      }
    }
  }

  private static func checkReferences(_ bundler: BundlerPlugin, _ context: LintContext) {
    var references: [(name: String, place: Finding.Place)] = []
    if let groups = context.metadataRoot("groups.xml") {
      references += groups.root.all(tagged: "Bundle").compactMap { bundle in
        bundle.name.map { ($0, .init(groups.path, line: Int(bundle.line))) }
      }
    }
    for file in bundler.bundleFiles {
      // Names that a template computes are not known.
      references += (file.root?.all(tagged: "RequiredBundle") ?? []).compactMap { bundle in
        guard let name = bundle.name, !file.isTemplate || !name.contains("$") else { return nil }
        return (name, .init(file.path, line: Int(bundle.line)))
      }
    }
    let existing = Set(bundler.bundleNames)
    var told: Set<String> = []
    for (name, place) in references where !existing.contains(name) && told.insert(name).inserted {
      context.report.add(
        "bundle-not-found", "Bundle \(name) referenced, but does not exist\(bundler.reason(toLack: name))", at: place)
    }
    let referred = Set(references.map(\.name))
    for file in bundler.bundleFiles where !referred.contains(file.bundleName) {
      context.report.add(
        "unused-bundle", "Bundle \(file.bundleName) defined, but is not referenced in Metadata", at: .init(file.path))
    }
  }
}

extension LintContext {
  /// The root of a file of Metadata with all that it includes; nil where there is none that can be read.
  func metadataRoot(_ name: String) -> (path: String, root: Element)? {
    let path = "\(repository)/Metadata/\(name)"
    guard fileExists(path), case .success(let document) = document(path).document else { return nil }
    return (path, document.root)
  }
}

package import Core
import Formats
package import PackageSources
import Repository
import ServerSettings

/// A `<Source>` of sources.xml with the conditions around it.
package struct ConditionalSource {
  package var source: PackageSource
  /// Of the elements around it, outermost first.
  package let conditions: [CompiledStructure.Condition]
  /// Names of the groups around it that a client must be in, innermost first.
  package let groups: [String]

  /// Whether the conditions hold for a client; its architectures do not count here.
  package func holds(for metadata: ClientMetadata) -> Bool { conditions.allSatisfy { $0.holds(metadata) } }

  /// The architectures of the source that a client has, by its groups.
  package func arches(of metadata: ClientMetadata) -> [String] {
    source.arches.filter { metadata.isMember(of: $0) }
  }
}

extension ConditionalSource {
  /// Reads one `<Source>`.
  ///
  /// - Parameter compatibility: 1.3 has no `name`.
  init(
    _ element: Element, _ kind: SourceKind, conditions: [CompiledStructure.Condition], groups: [String],
    compatibility: Compatibility
  ) {
    var source = PackageSource(kind: kind)
    source.url = Self.folder(element["url"])
    source.rawURL = Self.folder(element["rawurl"])
    source.version = element["version"] ?? ""
    source.name = compatibility == .v1_3 ? nil : element["name"].flatMap { $0.isEmpty ? nil : $0 }
    func texts(_ tag: String) -> [String] { element.children(tagged: tag).map { $0.text ?? "" } }
    source.components = texts("Component")
    source.arches = texts("Arch")
    source.blacklist = texts("Blacklist")
    source.whitelist = texts("Whitelist")
    source.gpgKeys = texts("GPGKey")
    source.usesRecommended = element["recommended"]?.lowercased() == "true"
    source.usesEssential = element["essential"].map { $0.lowercased() == "true" } ?? true
    source.hasDebSource = element["debsrc"] == "true"
    var (serverOptions, clientOptions) = (PythonDictionary<String>(), PythonDictionary<String>())
    for options in element.children(tagged: "Options") {
      func isFalse(_ name: String) -> Bool { options[name].map { $0.lowercased() == "false" } ?? true }
      var own = PythonDictionary<String>()
      for (name, value) in options.attributes where name != "clientonly" && name != "serveronly" {
        own.set(name, value)
      }
      if isFalse("clientonly") { serverOptions.merge(own) }
      if isFalse("serveronly") { clientOptions.merge(own) }
    }
    source.serverOptions = serverOptions.items
    source.clientOptions = clientOptions.items
    self.source = source
    self.conditions = conditions
    self.groups = groups
  }

  private static func folder(_ url: String?) -> String {
    guard let url, !url.isEmpty else { return "" }
    return url.hasSuffix("/") ? url : url + "/"
  }
}

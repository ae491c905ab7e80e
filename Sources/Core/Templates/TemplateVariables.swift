import Logging
public import Repository

/// The variables of templates that TemplateDataProvider plugins provide. The renderer adds its own: `metadata`, `repo`, for
/// text templates also `name` and `source_path`.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, get_template_data.
extension ServerCore {
  /// Variables for a text template of an entry.
  ///
  /// - Parameters:
  ///   - template: absolute path of the template.
  ///   - reserved: names that the renderer has itself: a provider's variable of such a name is logged and left out.
  /// - Throws: what a provider throws: the template is not rendered.
  public func templateData(
    entry: Element, metadata: ClientMetadata, template: String, reserved: Set<String> = []
  ) throws -> [String: any ConnectorData] {
    try collect(reserved) { try $0.templateData(entry: entry, metadata: metadata, template: template) }
  }

  /// Variables for an XML template: a bundle, a rules file.
  ///
  /// - Parameter path: absolute path of the template.
  /// - Throws: what a provider throws: the template is not rendered.
  public func xmlTemplateData(
    path: String, metadata: ClientMetadata, reserved: Set<String> = []
  ) throws -> [String: any ConnectorData] {
    try collect(reserved) { try $0.xmlTemplateData(path: path, metadata: metadata) }
  }

  /// The first provider of a name counts, by `sortOrder`, then by name.
  private func collect(
    _ reserved: Set<String>, _ ask: (any TemplateDataProvider) throws -> [String: any ConnectorData]
  ) rethrows -> [String: any ConnectorData] {
    var variables: [String: any ConnectorData] = [:]
    var sources: [String: String] = Dictionary(uniqueKeysWithValues: reserved.map { ($0, "the renderer") })
    for provider in plugins(of: (any TemplateDataProvider).self) {
      for (name, value) in try ask(provider).sorted(by: { $0.key < $1.key }) {
        if let source = sources[name] {
          logger.warning("Duplicate template variable \(name) provided by both \(provider.name) and \(source)")
          continue
        }
        variables[name] = value
        sources[name] = provider.name
      }
    }
    return variables
  }
}

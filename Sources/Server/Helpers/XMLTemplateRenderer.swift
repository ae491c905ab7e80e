/// Renders Genshi templates of XML files: bundles, rules. Works outside of the loop, in a child process.
///
/// Variables of plugins are at `ServerCore.xmlTemplateData`; where that throws, so does the rendering.
public protocol XMLTemplateRenderer: AnyObject {
  /// The document that a template gives for a client, without comments; conditions are still in it.
  ///
  /// - Throws: what is wrong with the template, with file and line.
  func render(path: String, _ metadata: ClientMetadata) async throws -> Element
}

extension StructFile {
  /// The compiled document for a client: the file's own, or what its template gives.
  ///
  /// - Throws: `PluginExecutionError` where the file was never good, or is a template and nothing renders it; the
  ///   renderer's errors.
  func resolved(_ metadata: ClientMetadata, by renderer: (any XMLTemplateRenderer)?) async throws -> CompiledStructure {
    guard let compiled else { throw PluginExecutionError("\(path) has no data") }
    guard isTemplate else { return compiled }
    guard let renderer else { throw PluginExecutionError("\(path) is a template, and nothing renders templates") }
    // A template's code may ask for anything.
    metadata.dependOnMore()
    let root = try await renderer.render(path: path, metadata)
    return CompiledStructure(root, path: path, conditionTags: conditionTags)
  }
}

public import Repository

/// Renders Genshi templates of XML files: bundles, rules. Works outside of the loop, in a child process.
///
/// Variables of plugins are at `ServerCore.xmlTemplateData`; where that throws, so does the rendering.
public protocol XMLTemplateRenderer: AnyObject {
  /// The document that a template gives for a client, without comments; conditions are still in it.
  ///
  /// - Throws: what is wrong with the template, with file and line.
  func render(path: String, _ metadata: ClientMetadata) async throws -> Element
  /// The same of a structure file, ready to be matched; it says by `ClientMetadata.markUncacheable` where it depends on more
  /// than files, settings and the client's own data.
  func structure(of file: StructFile, _ metadata: ClientMetadata) async throws -> CompiledStructure
  /// Begins to render those of some files that are templates, together; `structure` then finds what they give.
  func begin(_ files: [StructFile], _ metadata: ClientMetadata)
}

extension XMLTemplateRenderer {
  public func begin(_ files: [StructFile], _ metadata: ClientMetadata) {}

  public func structure(of file: StructFile, _ metadata: ClientMetadata) async throws -> CompiledStructure {
    // A template's code may ask for anything.
    metadata.markUncacheable()
    return file.compileContents(try await render(path: file.path, metadata))
  }
}

extension StructFile {
  /// The compiled document for a client: the file's own, or what its template gives.
  ///
  /// - Throws: `PluginExecutionError` where the file was never good, or is a template and nothing renders it; the
  ///   renderer's errors.
  package func resolved(_ metadata: ClientMetadata, by renderer: (any XMLTemplateRenderer)?) async throws
    -> CompiledStructure
  {
    guard let compiled else { throw PluginExecutionError("\(path) has no data") }
    guard isTemplate else { return compiled }
    guard let renderer else { throw PluginExecutionError("\(path) is a template, and nothing renders templates") }
    return try await renderer.structure(of: self, metadata)
  }
}

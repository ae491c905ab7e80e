public import Repository

/// Renders Genshi templates of XML files (bundles, rules) in a child process.
///
/// Variables come from `ServerCore.xmlTemplateData`; its errors fail the rendering.
public protocol XMLTemplateRenderer: AnyObject {
  /// Renders a template for a client. The result has no comments, and still has its conditions.
  ///
  /// - Throws: errors of the template, with file and line.
  func render(path: String, _ metadata: ClientMetadata) async throws -> Element
  /// Renders a structure file and compiles it for matching. Calls `ClientMetadata.markUncacheable` if the result
  /// depends on more than files, settings and the client's own data.
  func structure(of file: StructFile, _ metadata: ClientMetadata) async throws -> CompiledStructure
  /// Starts rendering the templates among some files in one batch; `structure` then returns the results.
  func begin(_ files: [StructFile], _ metadata: ClientMetadata)
}

extension XMLTemplateRenderer {
  public func begin(_ files: [StructFile], _ metadata: ClientMetadata) {}

  public func structure(of file: StructFile, _ metadata: ClientMetadata) async throws -> CompiledStructure {
    // Template code may read anything.
    metadata.markUncacheable()
    return file.compileContents(try await render(path: file.path, metadata))
  }
}

extension StructFile {
  /// The compiled document for a client: the file's own, or its rendered template.
  ///
  /// - Throws: `PluginExecutionError` if the file was never good, or is a template without a renderer; the renderer's
  ///   errors.
  package func resolved(_ metadata: ClientMetadata, by renderer: (any XMLTemplateRenderer)?) async throws
    -> CompiledStructure
  {
    metadata.read(input)
    guard let compiled else { throw PluginExecutionError("\(path) has no data") }
    guard isTemplate else { return compiled }
    guard let renderer else { throw PluginExecutionError("\(path) is a template, and there is no renderer") }
    return try await renderer.structure(of: self, metadata)
  }
}

import EventLoop
public import Repository
import ServerSettings
import Templates

/// Structure files: bundles, rules and the like in XML.
extension TemplateRenderer: XMLTemplateRenderer {
  /// Most bytes of the output of a template in XML.
  package static let xmlLimitBytes = 64 << 20

  public func structure(of file: StructFile, _ metadata: ClientMetadata) async throws -> CompiledStructure {
    guard let request = request(of: file) else {
      guard let compiled = file.compiled else { throw PluginExecutionError("\(file.path) has no data") }
      return compiled
    }
    guard let structure = try await render(request, metadata) as? CompiledStructure else {
      throw PluginExecutionError("\(file.path): a result of another kind is kept")
    }
    return structure
  }

  public func begin(_ files: [StructFile], _ metadata: ClientMetadata) {
    renderAhead(files.compactMap { request(of: $0) }, metadata)
  }

  /// How a file is rendered; nil where it is no template.
  func request(of file: StructFile) -> Request? {
    let is13 = core.settings.compatibility == .v1_3
    guard let source = file.templateSource, !is13 || file.isTemplateIn13 else { return nil }
    return Request(kind: .xml, source: source, entryName: nil, limitBytes: Self.xmlLimitBytes) { bytes in
      try file.compileRendered(try RepositoryXML.parse(bytes, path: file.path).root)
    }
  }

  public func render(path: String, _ metadata: ClientMetadata) async throws -> Element {
    let source = TemplateSource(path: path)
    source.update(try AtomicFile.readFile(path, limitBytes: RepositoryXML.fileLimitBytes))
    let request = Request(kind: .xml, source: source, entryName: nil, limitBytes: Self.xmlLimitBytes) { bytes in
      try RepositoryXML.parse(bytes, path: path).root
    }
    guard let root = try await render(request, metadata) as? Element else {
      throw PluginExecutionError("\(path): a result of another kind is kept")
    }
    return root
  }
}

extension ServerCore {
  /// An encrypted file below the repository, decrypted: what an encrypted template includes.
  ///
  /// - Throws: `PluginExecutionError` for files elsewhere; `SystemError`, `EncryptionError`.
  func decryptedFile(_ path: String) throws -> [UInt8] {
    let normal = RepositoryPath.normalised(path)
    guard normal.hasPrefix(settings.repository + "/") else {
      throw PluginExecutionError("\(path) is not in the repository")
    }
    let bytes = try AtomicFile.readFile(normal, limitBytes: 64 << 20)
    return try Encryption(settings).decryptWithAny(bytes)
  }
}

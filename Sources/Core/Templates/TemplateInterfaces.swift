public import Templates

/// A connector's data that consists of files: Properties.
public protocol TemplateFileData: TemplateReadable {
  /// A file by its name; nil where there is none.
  func templateFile(_ name: String) -> TemplateFile?
}

/// A file of data for templates, in its last good version.
public struct TemplateFile {
  /// Absolute path.
  public let path: String
  /// Another number for each version of whatever file.
  public let version: Int
  /// `xml`, `json` or `yaml`.
  public let kind: String
  public let bytes: [UInt8]
  /// Whether templates get what applies to their client in place of the file.
  public let isMatched: Bool
  /// Whether what applies is rendered first.
  public let isTemplate: Bool

  public init(
    path: String, version: Int, kind: String, bytes: [UInt8], isMatched: Bool = false, isTemplate: Bool = false
  ) {
    self.path = path
    self.version = version
    self.kind = kind
    self.bytes = bytes
    self.isMatched = isMatched
    self.isTemplate = isTemplate
  }

  /// What a renderer gets that has this version, or another, or none.
  func form(known: Int?) -> TemplateValue {
    guard known != version else { return ["version": .int(version)] }
    return [
      "version": .int(version), "kind": .text(kind), "path": .text(path), "data": .bytes(bytes),
      "matches": .bool(isMatched), "is_template": .bool(isTemplate),
    ]
  }
}

/// A plugin whose files templates may write: Properties.
public protocol TemplateFileWriter: Plugin {
  /// Replaces a file. It is on disk when this returns.
  func writeTemplateFile(_ bytes: [UInt8], to name: String) async throws
}

/// The plugin with modules in Python for templates: TemplateHelper.
public protocol HelperModules: Plugin {
  /// Another number after each change of a module.
  var helperSerial: Int { get }
  /// What a renderer gets that has these versions of modules, by name.
  func helperForm(known: TemplateValue?) -> TemplateValue
}

/// A generator whose entries are templates in part: they are rendered ahead, many in one message.
public protocol TemplateGenerator: Generator {
  /// False if none of its entries is a template.
  var hasTemplates: Bool { get }
  /// The request to render an entry for a client; nil if it is no template, or another generator's.
  /// - Parameters:
  ///   - name: the name that is looked up: that of altsrc, where there is one.
  ///   - realName: the name that the entry has on the client.
  func templateRequest(tag: String, name: String, realName: String, _ metadata: ClientMetadata)
    -> TemplateRenderer.Request?
  /// Structure files that binding an entry for a client reads, as its `info.xml`; those that are templates are rendered
  /// ahead, too.
  func structureFiles(tag: String, name: String, _ metadata: ClientMetadata) -> [StructFile]
  /// The request to render a file, whatever the client; nil if it is no template of this generator.
  func templateRequest(path: String) -> TemplateRenderer.Request?
}

extension TemplateGenerator {
  public func structureFiles(tag: String, name: String, _ metadata: ClientMetadata) -> [StructFile] { [] }
}

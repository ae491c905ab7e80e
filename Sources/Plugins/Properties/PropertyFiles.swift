public import Core
import EventLoop
public import Formats
import Logging
public import Repository
import Templates

/// The contents of a Properties file, as they were when a client's metadata was built.
public enum PropertyContents {
  case xml(XMLProperty)
  case json(JSONValue)
  /// The text of a YAML file.
  case yaml(String)
}

/// An XML Properties file.
public struct XMLProperty {
  /// The document with its Group and Client conditions.
  public let structure: CompiledStructure
  /// True: templates get what applies to the client; false: the document as it is.
  public let isMatched: Bool

  /// The root element as templates get it: a copy.
  public func element(for metadata: ClientMetadata) -> Element {
    isMatched ? structure.xmlMatch(metadata) : structure.root.source.deepCopy()
  }
}

/// A file of Properties: its last good version.
protocol PropertyFile: FileBacked {
  /// nil before the first good version.
  /// - Parameter matches: `[properties] automatch`, which a file can overrule.
  func contents(matches: Bool) -> PropertyContents?
  /// The same for templates.
  /// - Parameter rendersTemplates: whether a file that is a template is rendered when it is matched.
  func source(matches: Bool, rendersTemplates: Bool) -> TemplateFile?
}

final class XMLPropertyFile: StructFile, PropertyFile {
  /// The last good version as templates parse it, with its number.
  private var text: (bytes: [UInt8], number: Int)?

  override func compile(_ document: RepositoryDocument) throws {
    // The text of the file with comments and layout; the document if it includes others or was decrypted.
    var isPlain = includedFiles.isEmpty && document.root["encrypted"] == nil
    document.root.forEachDescendant { isPlain = isPlain && $0["encrypted"] == nil }
    let bytes = isPlain ? try AtomicFile.readFile(path, limitBytes: RepositoryXML.fileLimitBytes) : nil
    try super.compile(document)
    text = (bytes ?? WireWriter.xml(document.root), TemplateSource.nextNumber())
  }

  func isMatched(_ matches: Bool) -> Bool {
    compiled?.root.source["automatch"].map { $0.lowercased() == "true" } ?? matches
  }

  func source(matches: Bool, rendersTemplates: Bool) -> TemplateFile? {
    text.map {
      let isTemplate = isTemplate && rendersTemplates
      return TemplateFile(
        path: path, version: $0.number, kind: "xml", bytes: $0.bytes, isMatched: isMatched(matches),
        isTemplate: isTemplate)
    }
  }

  func contents(matches: Bool) -> PropertyContents? {
    guard let compiled else { return nil }
    return .xml(XMLProperty(structure: compiled, isMatched: isMatched(matches)))
  }
}

final class JSONPropertyFile: FileBacked, PropertyFile {
  private var value: JSONValue?
  private var text: (bytes: [UInt8], number: Int)?

  override func index(_ bytes: [UInt8]) throws {
    do throws(JSONError) {
      value = try JSONValue(json: String(decoding: bytes, as: UTF8.self))
    } catch {
      throw XMLFileError(path: path, line: error.line, message: "Could not load JSON data: \(error)")
    }
    text = (bytes, TemplateSource.nextNumber())
  }

  func contents(matches: Bool) -> PropertyContents? { value.map { .json($0) } }

  func source(matches: Bool, rendersTemplates: Bool) -> TemplateFile? {
    text.map { TemplateFile(path: path, version: $0.number, kind: "json", bytes: $0.bytes) }
  }
}

final class YAMLPropertyFile: FileBacked, PropertyFile {
  private var text: String?
  private var number = 0

  override func index(_ bytes: [UInt8]) throws {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw XMLFileError(path: path, line: 0, message: "Could not load YAML data: is not UTF-8")
    }
    do throws(YAMLError) {
      _ = try JSONValue(yaml: text)
    } catch {
      throw XMLFileError(path: path, line: error.line, message: "Could not load YAML data: \(error.message)")
    }
    self.text = text
    number = TemplateSource.nextNumber()
  }

  func contents(matches: Bool) -> PropertyContents? { text.map { .yaml($0) } }

  func source(matches: Bool, rendersTemplates: Bool) -> TemplateFile? {
    text.map { TemplateFile(path: path, version: number, kind: "yaml", bytes: Array($0.utf8)) }
  }
}

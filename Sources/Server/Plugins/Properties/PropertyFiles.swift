import EventLoop
import Logging

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
}

final class XMLPropertyFile: StructFile, PropertyFile {
  func contents(matches: Bool) -> PropertyContents? {
    guard let compiled else { return nil }
    let isMatched = compiled.root.source["automatch"].map { $0.lowercased() == "true" } ?? matches
    return .xml(XMLProperty(structure: compiled, isMatched: isMatched))
  }
}

final class JSONPropertyFile: FileBacked, PropertyFile {
  private var value: JSONValue?

  override func index(_ bytes: [UInt8]) throws {
    do throws(JSONError) {
      value = try JSONValue(json: String(decoding: bytes, as: UTF8.self))
    } catch {
      throw XMLFileError(path: path, line: 0, message: "Could not load JSON data: \(error)")
    }
  }

  func contents(matches: Bool) -> PropertyContents? { value.map { .json($0) } }
}

final class YAMLPropertyFile: FileBacked, PropertyFile {
  private var text: String?

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
  }

  func contents(matches: Bool) -> PropertyContents? { text.map { .yaml($0) } }
}

import CLibXML2
import EventLoop
import Glibc

/// A parsed file of the repository.
public struct RepositoryDocument {
  /// The root element; each element's line is the one in its own file.
  public let root: Element
  /// Namespaces declared on the root element, by prefix; the default namespace under the empty prefix.
  public let namespaces: [String: String]
}

/// Parses XML files of the repository as `lxml.etree.XMLParser(remove_blank_text=True)` does.
///
/// It drops blank text between elements, comments and processing instructions; names with a namespace read
/// `{uri}local`. It loads only the file itself: no external entity, no DTD, no network; internal entities are expanded
/// within libxml2's bounds (amplification, 256 levels, 10 MB of text).
public enum RepositoryXML {
  /// The most bytes of one file.
  public static let fileLimitBytes = 256 << 20

  /// The attribute that XInclude sets on an included root from another folder.
  static let baseAttribute = "{http://www.w3.org/XML/1998/namespace}base"

  /// Reads and parses one file without expanding XInclude elements.
  ///
  /// - Throws: if the file is unreadable or not well-formed.
  public static func parse(path: String) throws(XMLFileError) -> RepositoryDocument {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try AtomicFile.readFile(path, limitBytes: fileLimitBytes)
    } catch {
      throw XMLFileError(path: path, notRead: error)
    }
    return try parse(bytes, path: path)
  }

  /// Parses the contents of a file without expanding XInclude elements.
  ///
  /// - Parameter path: the name for errors.
  public static func parse(_ bytes: [UInt8], path: String) throws(XMLFileError) -> RepositoryDocument {
    guard !bytes.isEmpty else { throw XMLFileError(path: path, line: 1, message: "Document is empty") }
    guard let context = xmlNewParserCtxt() else {
      throw XMLFileError(path: path, line: 0, message: "no memory for a parser")
    }
    defer { xmlFreeParserCtxt(context) }
    let document = withoutExternalEntities {
      bytes.withUnsafeBytes { buffer in
        xmlCtxtReadMemory(
          context, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: buffer.count), path, nil,
          options)
      }
    }
    defer { if let document { xmlFreeDoc(document) } }
    if refusedExternalEntity {
      throw unknownReference(in: bytes, path: path)
        ?? XMLFileError(path: path, line: 1, message: "external entities are not loaded")
    }
    // Not valid: it may refer to an entity that only a DTD which is not read can declare.
    if context.pointee.wellFormed != 0, context.pointee.valid == 0 {
      if let problem = unknownReference(in: bytes, path: path) { throw problem }
      if context.pointee.lastError.code == Int32(XML_WAR_UNDECLARED_ENTITY.rawValue) {
        throw XMLFileError(
          path: path, line: Int(context.pointee.lastError.line),
          message: "it refers to an entity that is not in this file")
      }
    }
    // libxml2 returns a tree despite an undeclared prefix; lxml rejects it.
    guard let document, let root = xmlDocGetRootElement(document), context.pointee.nsWellFormed != 0 else {
      let error = context.pointee.lastError
      let message = error.message.map { String(cString: $0) } ?? "not well-formed"
      throw XMLFileError(path: path, line: Int(error.line), message: oneLine(message))
    }
    var builder = TreeBuilder(document: document)
    let element = builder.element(root)
    var namespaces: [String: String] = [:]
    var declaration = root.pointee.nsDef
    while let namespace = declaration {
      let prefix = namespace.pointee.prefix.map { string($0) } ?? ""
      namespaces[prefix] = namespace.pointee.href.map { string($0) } ?? ""
      declaration = namespace.pointee.next
    }
    return RepositoryDocument(root: element, namespaces: namespaces)
  }

  /// Parses with every external entity refused.
  nonisolated static func withoutExternalEntities(_ parse: () -> xmlDocPtr?) -> xmlDocPtr? {
    let previous = xmlGetExternalEntityLoader()
    refusedExternalEntity = false
    xmlSetExternalEntityLoader(refuseExternalEntity)
    defer { xmlSetExternalEntityLoader(previous) }
    return parse()
  }

  private static let options = Int32(
    XML_PARSE_NONET.rawValue | XML_PARSE_NOBLANKS.rawValue | XML_PARSE_NOENT.rawValue | XML_PARSE_NOCDATA.rawValue
      | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue | XML_PARSE_BIG_LINES.rawValue
      | XML_PARSE_COMPACT.rawValue)

  private static func oneLine(_ message: String) -> String {
    var bytes = Array(message.utf8)
    while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: " ") { bytes.removeLast() }
    for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") { bytes[index] = UInt8(ascii: " ") }
    return String(decoding: bytes, as: UTF8.self)
  }

  fileprivate static func string(_ pointer: UnsafePointer<xmlChar>) -> String {
    String(decodingCString: pointer, as: UTF8.self)
  }
}

/// Set if a document referred to an external entity. The parser calls back on its own thread, which is the loop's.
nonisolated(unsafe) private var refusedExternalEntity = false

nonisolated private func refuseExternalEntity(
  _: UnsafePointer<CChar>?, _: UnsafePointer<CChar>?, _: xmlParserCtxtPtr?
) -> xmlParserInputPtr? {
  refusedExternalEntity = true
  return nil
}

/// Copies libxml2's tree, which lives only while a file is loaded.
private struct TreeBuilder {
  let document: xmlDocPtr
  /// Names by their pointer in libxml2's dictionary, so that each is made once a document.
  private var names: [UnsafePointer<xmlChar>: String] = [:]

  init(document: xmlDocPtr) { self.document = document }

  mutating func element(_ node: xmlNodePtr) -> Element {
    let element = Element(
      name(node.pointee.name, node.pointee.ns), attributes(node), line: Int32(clamping: xmlGetLineNo(node)))
    var child = node.pointee.children
    if let text = leadingText(&child) { element.content = .string(text) }
    while let current = child {
      switch current.pointee.type {
      case XML_ELEMENT_NODE: element.children.append(self.element(current))
      case XML_COMMENT_NODE, XML_PI_NODE: element.hasComments = true
      default: break
      }
      child = current.pointee.next
    }
    return element
  }

  /// The text before the first child, comment or instruction; advances `child` past it.
  private func leadingText(_ child: inout xmlNodePtr?) -> String? {
    var text: String?
    while let current = child,
      current.pointee.type == XML_TEXT_NODE || current.pointee.type == XML_CDATA_SECTION_NODE
    {
      if let content = current.pointee.content {
        let part = RepositoryXML.string(content)
        text = text.map { $0 + part } ?? part
      }
      child = current.pointee.next
    }
    return text
  }

  private mutating func attributes(_ node: xmlNodePtr) -> Attributes {
    var pairs: [(name: String, value: String)] = []
    var next = node.pointee.properties
    while let attribute = next {
      pairs.append((name: name(attribute.pointee.name, attribute.pointee.ns), value: value(attribute)))
      next = attribute.pointee.next
    }
    return Attributes(pairs)
  }

  private func value(_ attribute: xmlAttrPtr) -> String {
    guard let first = attribute.pointee.children else { return "" }
    if first.pointee.next == nil, first.pointee.type == XML_TEXT_NODE {
      return first.pointee.content.map { RepositoryXML.string($0) } ?? ""
    }
    guard let copy = xmlNodeListGetString(document, first, 1) else { return "" }
    defer { clibxml2_free(copy) }
    return RepositoryXML.string(copy)
  }

  private mutating func name(_ pointer: UnsafePointer<xmlChar>, _ namespace: xmlNsPtr?) -> String {
    if let namespace, let href = namespace.pointee.href {
      return "{\(RepositoryXML.string(href))}\(RepositoryXML.string(pointer))"
    }
    if let known = names[pointer] { return known }
    let name = RepositoryXML.string(pointer)
    names[pointer] = name
    return name
  }
}

import CLibXML2
import Repository

/// A problem of a schema, or of a document that does not fit one.
nonisolated struct SchemaProblem: Error, Hashable, CustomStringConvertible {
  /// 0 where there is none.
  let line: Int
  let message: String
  /// libxml2's number.
  let code: Int32

  /// Whether it is text where only elements may be.
  var isTextBetweenElements: Bool { code == Int32(XML_SCHEMAV_CVC_COMPLEX_TYPE_2_3.rawValue) }

  var description: String { line > 0 ? "line \(line): \(message)" : message }
}

/// An XML schema, by libxml2.
nonisolated final class XMLSchema {
  private let schema: xmlSchemaPtr
  private let files: SchemaFiles

  /// Reads a schema with all that it includes from its folder.
  ///
  /// - Throws: the first problem of it.
  init(path: String) throws(SchemaProblem) {
    guard let files = SchemaFiles(schema: path) else { throw SchemaProblem(line: 0, message: "not a file", code: 0) }
    guard let parser = xmlSchemaNewParserCtxt(files.path) else {
      throw SchemaProblem(line: 0, message: "no memory for a schema", code: 0)
    }
    defer { xmlSchemaFreeParserCtxt(parser) }
    let problems = GatheredProblems()
    xmlSchemaSetParserStructuredErrors(
      parser, { GatheredProblems.add($0, $1) }, Unmanaged.passUnretained(problems).toOpaque())
    let schema = withExtendedLifetime(problems) { files.alone { xmlSchemaParse(parser) } }
    guard let schema else {
      throw problems.found.first ?? SchemaProblem(line: 0, message: "not a schema", code: 0)
    }
    self.schema = schema
    self.files = files
  }

  deinit { xmlSchemaFree(schema) }

  /// What of a document does not fit, in the order of the document.
  func problems(in document: SourceDocument) -> [SchemaProblem] {
    guard let context = xmlSchemaNewValidCtxt(schema) else {
      return [SchemaProblem(line: 0, message: "no memory to validate", code: 0)]
    }
    defer { xmlSchemaFreeValidCtxt(context) }
    let problems = GatheredProblems()
    xmlSchemaSetValidStructuredErrors(
      context, { GatheredProblems.add($0, $1) }, Unmanaged.passUnretained(problems).toOpaque())
    let result = withExtendedLifetime(problems) { files.alone { xmlSchemaValidateDoc(context, document.pointer) } }
    if result != 0, problems.found.isEmpty {
      return [SchemaProblem(line: 0, message: "does not fit the schema", code: result)]
    }
    return problems.found
  }
}

/// What libxml2 reports.
private nonisolated final class GatheredProblems {
  var found: [SchemaProblem] = []
  /// More are not kept.
  private static let limit = 100

  static func add(_ context: UnsafeMutableRawPointer?, _ error: UnsafePointer<xmlError>?) {
    guard let context, let error else { return }
    let problems = Unmanaged<GatheredProblems>.fromOpaque(context).takeUnretainedValue()
    guard problems.found.count < limit else { return }
    let message = error.pointee.message.map { String(cString: $0) } ?? "unknown"
    // libxml2 keeps only 16 bits of a line in an error, but all of it in the node.
    let node = error.pointee.node?.assumingMemoryBound(to: xmlNode.self)
    let line = node.map { Int(xmlGetLineNo($0)) } ?? Int(error.pointee.line)
    problems.found.append(SchemaProblem(line: line, message: message.trimmingWhitespace, code: error.pointee.code))
  }

  static func add(_ context: UnsafeMutableRawPointer?, _ error: UnsafeMutablePointer<xmlError>?) {
    add(context, error.map { UnsafePointer($0) })
  }
}

/// A file as libxml2 parses it, with comments and lines. Read after the server's parser took it: that one refuses external
/// entities.
nonisolated final class SourceDocument {
  let pointer: xmlDocPtr

  /// nil if the bytes are no XML.
  init?(_ bytes: [UInt8], path: String) {
    let options = Int32(
      XML_PARSE_NONET.rawValue | XML_PARSE_NOENT.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
        | XML_PARSE_BIG_LINES.rawValue | XML_PARSE_NOCDATA.rawValue)
    let document = bytes.withUnsafeBytes { buffer in
      SchemaFiles.reading(nil) {
        xmlReadMemory(
          buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: buffer.count), path, nil, options)
      }
    }
    guard let document else { return nil }
    pointer = document
  }

  deinit { xmlFreeDoc(pointer) }

  /// The texts of all comments in the root element, in the order of the document. Those before and after it do not count, as
  /// in Bcfg2.
  var comments: [String] {
    var found: [String] = []
    var node = xmlDocGetRootElement(pointer)?.pointee.children
    while let current = node {
      if current.pointee.type == XML_COMMENT_NODE, let content = current.pointee.content {
        found.append(String(cString: content))
      }
      node = RepositoryXML.following(current)
    }
    return found
  }

  /// Whether the root element, or one below it, declares Genshi's namespace.
  var isGenshi: Bool {
    var declaration = xmlDocGetRootElement(pointer)?.pointee.nsDef
    while let namespace = declaration {
      if namespace.pointee.href.map({ String(cString: $0) }) == "http://genshi.edgewall.org/" { return true }
      declaration = namespace.pointee.next
    }
    return false
  }
}

package import CLibXML2

/// References of a document to entities that are not there: `&name;` of an external entity, or of one that only a DTD that
/// is not read could declare.
///
/// libxml2 leaves such a reference out of the text without an error, so that a value would silently lack a part.
nonisolated extension RepositoryXML {
  /// The first such reference, with the element that has it.
  ///
  /// - Parameter bytes: of a file that is well-formed but for it. It is parsed once more, without expanding anything.
  /// - Returns: nil if there is none.
  public static func unknownReference(in bytes: [UInt8], path: String) -> XMLFileError? {
    guard let context = xmlNewParserCtxt() else { return nil }
    defer { xmlFreeParserCtxt(context) }
    let options =
      XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
      | XML_PARSE_BIG_LINES.rawValue | XML_PARSE_RECOVER.rawValue
    let document = withoutExternalEntities {
      bytes.withUnsafeBytes { buffer in
        xmlCtxtReadMemory(
          context, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: buffer.count), path, nil,
          Int32(options))
      }
    }
    guard let document else { return nil }
    defer { xmlFreeDoc(document) }
    var next = xmlDocGetRootElement(document)
    while let node = next {
      // libxml2 notes a reference in an attribute at the element around that of the attribute.
      if node.pointee.type == XML_ELEMENT_NODE, let entity = unknownReference(of: node) {
        let element = node.pointee.name.map { String(decodingCString: $0, as: UTF8.self) } ?? ""
        return XMLFileError(
          path: path, line: xmlGetLineNo(node),
          message: "in or below element \(element): the entity \(entity) is not in this file")
      }
      next = following(node)
    }
    return nil
  }

  /// The name of an entity that the text or an attribute of an element refers to, and that is not known.
  private static func unknownReference(of element: xmlNodePtr) -> String? {
    if let name = unknownReference(among: element.pointee.children) { return name }
    var attribute = element.pointee.properties
    while let current = attribute {
      if let name = unknownReference(among: current.pointee.children) { return name }
      attribute = current.pointee.next
    }
    return nil
  }

  private static func unknownReference(among first: xmlNodePtr?) -> String? {
    var next = first
    while let node = next {
      if node.pointee.type == XML_ENTITY_REF_NODE, let name = node.pointee.name {
        let entity = xmlGetDocEntity(node.pointee.doc, name)
        if entity == nil || entity?.pointee.etype == XML_EXTERNAL_GENERAL_PARSED_ENTITY {
          return String(decodingCString: name, as: UTF8.self)
        }
      }
      next = node.pointee.next
    }
    return nil
  }

  /// The node after another in the document, without contents of entities.
  package static func following(_ node: xmlNodePtr) -> xmlNodePtr? {
    if node.pointee.type == XML_ELEMENT_NODE, let child = node.pointee.children { return child }
    var current: xmlNodePtr? = node
    while let here = current {
      if let next = here.pointee.next { return next }
      current = here.pointee.parent
      if current?.pointee.type != XML_ELEMENT_NODE { return nil }
    }
    return nil
  }
}

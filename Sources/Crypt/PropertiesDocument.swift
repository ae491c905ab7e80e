import CLibXML2
import Glibc
import Repository

/// A file of Properties whose elements are encrypted and decrypted. Comments, blanks between elements and the declaration stay.
/// libxml2 writes the tags: quotes of attributes, CDATA and line ends are its own.
final class PropertiesDocument {
  private let document: xmlDocPtr
  private let path: String
  private let hasDeclaration: Bool

  init(_ bytes: [UInt8], _ path: String) throws(CryptProblem) {
    self.path = path
    hasDeclaration = bytes.starts(with: "<?xml".utf8) || bytes.starts(with: [0xEF, 0xBB, 0xBF] + Array("<?xml".utf8))
    document = try Self.parse(bytes, path)
  }

  deinit { xmlFreeDoc(document) }

  /// Whether a file has the root `Properties`.
  ///
  /// - Throws: for what is no XML: it may be one of Properties with a mistake.
  static func isProperties(_ bytes: [UInt8], _ path: String) throws(CryptProblem) -> Bool {
    let document: xmlDocPtr
    do throws(CryptProblem) {
      document = try parse(bytes, path)
    } catch {
      throw CryptProblem("\(error), skipping: use --cfg to take the file for a whole one")
    }
    defer { xmlFreeDoc(document) }
    return Self.name(xmlDocGetRootElement(document)) == "Properties"
  }

  private static func parse(_ bytes: [UInt8], _ path: String) throws(CryptProblem) -> xmlDocPtr {
    guard bytes.count <= Int(Int32.max), let context = xmlNewParserCtxt() else {
      throw CryptProblem("\(path) is too large")
    }
    defer { xmlFreeParserCtxt(context) }
    let options =
      XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
      | XML_PARSE_BIG_LINES.rawValue
    let document = bytes.withUnsafeBytes { bytes in
      xmlCtxtReadMemory(
        context, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), path, nil,
        Int32(options))
    }
    if let document {
      // Without a DTD there are no entities.
      if document.pointee.intSubset != nil, let problem = RepositoryXML.unknownReference(in: bytes, path: path) {
        xmlFreeDoc(document)
        throw CryptProblem("\(problem)")
      }
      return document
    }
    guard let error = xmlCtxtGetLastError(context), let message = error.pointee.message else {
      throw CryptProblem("\(path) is not XML")
    }
    let text = String(cString: message).split(separator: "\n").first.map(String.init) ?? ""
    throw CryptProblem("\(path):\(error.pointee.line): \(text)")
  }

  // MARK: Encryption

  /// Encrypts the text of elements. Those that are encrypted already stay as they are.
  ///
  /// - Throws: also if there is nothing but encrypted elements.
  func encrypt(_ request: CryptRequest, _ whole: Passphrase?) throws(CryptProblem) -> [CryptNotice] {
    var notices: [CryptNotice] = []
    let found = try elements(request, &notices)
    var elements = found.filter { !Encryption.isEncrypted(Array(text($0).utf8)) }
    if let first = found.first, elements.isEmpty {
      throw CryptProblem("Element is already encrypted: \(summary(first))")
    }
    if let confirm = request.confirm { elements.removeAll { !confirm(markup($0, withText: true)) } }
    for element in elements {
      let passphrase = try passphrase(of: element, request, whole, &notices)
      do throws(EncryptionError) {
        var bytes = try request.encryption.encrypt(Array(text(element).utf8), with: passphrase.text)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        setText(element, bytes)
      } catch {
        throw CryptProblem(error.description)
      }
      xmlSetProp(element, "encrypted", passphrase.name)
    }
    return notices
  }

  /// Decrypts the text of elements. What cannot be decrypted stays as it is.
  ///
  /// - Throws: also if nothing could be decrypted.
  func decrypt(_ request: CryptRequest, _ whole: Passphrase?) throws(CryptProblem) -> [CryptNotice] {
    var notices: [CryptNotice] = []
    var isAny = false
    for element in try elements(request, &notices) {
      let passphrase = try passphrase(of: element, request, whole, &notices)
      let plain: [UInt8]
      do throws(EncryptionError) {
        plain = try request.encryption.decrypt(Array(text(element).utf8), with: passphrase.text)
      } catch {
        notices.append(.error("Could not decrypt \(summary(element)), skipping"))
        continue
      }
      guard let decoded = String(validating: plain, as: UTF8.self), decoded.unicodeScalars.allSatisfy(Self.isXML)
      else {
        notices.append(.warning("Decrypted \(Self.name(element)) to gibberish, skipping"))
        continue
      }
      setText(element, plain)
      xmlSetProp(element, "encrypted", passphrase.name)
      isAny = true
    }
    guard isAny else { throw CryptProblem("Failed to decrypt any data in \(path)") }
    return notices
  }

  /// The passphrase that the element names, else that of the command line, else the only one.
  private func passphrase(
    of element: xmlNodePtr, _ request: CryptRequest, _ whole: Passphrase?, _ notices: inout [CryptNotice]
  ) throws(CryptProblem) -> Passphrase {
    if let name = attribute(element, "encrypted"), !name.isEmpty {
      if let named = request.named(name) { return named }
      guard whole != nil else {
        throw CryptProblem("There is no passphrase \(name) in \(request.configurationFile): \(summary(element))")
      }
      notices.append(
        .warning(
          "Passphrase \(name) not found in \(request.configurationFile), using passphrase given on command line"))
    }
    if let whole { return whole }
    notices.append(.warning("No passphrase specified for \(Self.name(element)) element"))
    throw request.ambiguous
  }

  /// What the document holds now.
  func bytes() throws(CryptProblem) -> [UInt8] {
    let options = XML_SAVE_AS_XML.rawValue | (hasDeclaration ? 0 : XML_SAVE_NO_DECL.rawValue)
    let encoding = hasDeclaration ? document.pointee.encoding.map { String(cString: $0) } ?? "UTF-8" : "UTF-8"
    guard let buffer = xmlBufferCreate() else { throw CryptProblem("no memory for \(path)") }
    defer { xmlBufferFree(buffer) }
    guard let saving = xmlSaveToBuffer(buffer, encoding, Int32(options)) else {
      throw CryptProblem("\(path) cannot be written in \(encoding)")
    }
    let isSaved = xmlSaveDoc(saving, document) >= 0
    guard xmlSaveClose(saving) >= 0, isSaved, let content = xmlBufferContent(buffer) else {
      throw CryptProblem("\(path) cannot be written in \(encoding)")
    }
    return Array(UnsafeBufferPointer(start: content, count: Int(xmlBufferLength(buffer))))
  }
}

// MARK: - Elements

extension PropertiesDocument {
  /// The elements that are meant, those with text, in the order of the document.
  private func elements(
    _ request: CryptRequest, _ notices: inout [CryptNotice]
  ) throws(CryptProblem) -> [xmlNodePtr] {
    var found: [xmlNodePtr]
    if let xpath = request.xpath {
      found = try select(xpath)
      if found.isEmpty { notices.append(.warning("XPath expression \(xpath) matched no elements")) }
    } else {
      found = try select("//*[@encrypted]")
      if found.isEmpty { found = try select("//*") }
    }
    return found.filter { element in !text(element).utf8.allSatisfy { $0 <= 0x20 } }
  }

  /// The most steps of an expression, as libxml2 counts them: some seconds.
  private static let stepLimit: UInt = 50_000_000

  /// After this time the process gets SIGALRM.
  private static let timeLimitSeconds: UInt32 = 60

  private func select(_ xpath: String) throws(CryptProblem) -> [xmlNodePtr] {
    guard let context = xmlXPathNewContext(document) else { throw CryptProblem("no memory for XPath") }
    defer { xmlXPathFreeContext(context) }
    // Without it the library prints what is wrong.
    context.pointee.error = { _, _ in }
    context.pointee.opLimit = Self.stepLimit
    // One step may still read the whole document.
    alarm(Self.timeLimitSeconds)
    let evaluated = xmlXPathEvalExpression(xpath, context)
    alarm(0)
    guard let result = evaluated else {
      switch context.pointee.lastError.code {
      case Int32(XML_XPATH_EXPRESSION_OK.rawValue + XPATH_OP_LIMIT_EXCEEDED.rawValue):
        throw CryptProblem("\(xpath) takes more than \(Self.stepLimit) steps in this file")
      case Int32(XML_XPATH_EXPRESSION_OK.rawValue + XPATH_RECURSION_LIMIT_EXCEEDED.rawValue):
        throw CryptProblem("\(xpath) is nested too deeply")
      default: throw CryptProblem("\(xpath) is not an XPath expression")
      }
    }
    defer { xmlXPathFreeObject(result) }
    guard result.pointee.type == XPATH_NODESET else { throw CryptProblem("\(xpath) selects no elements") }
    guard let nodes = result.pointee.nodesetval else { return [] }
    return (0..<Int(nodes.pointee.nodeNr)).compactMap { index in
      guard let node = nodes.pointee.nodeTab[index], node.pointee.type == XML_ELEMENT_NODE else { return nil }
      return node
    }
  }

  /// The nodes of the text before an element's first child.
  private func textNodes(_ element: xmlNodePtr) -> [xmlNodePtr] {
    var nodes: [xmlNodePtr] = []
    var next = element.pointee.children
    while let node = next,
      node.pointee.type == XML_TEXT_NODE || node.pointee.type == XML_CDATA_SECTION_NODE
        || node.pointee.type == XML_ENTITY_REF_NODE
    {
      nodes.append(node)
      next = node.pointee.next
    }
    return nodes
  }

  /// The text before an element's first child.
  private func text(_ element: xmlNodePtr) -> String {
    textNodes(element).map { node in
      guard let content = xmlNodeGetContent(node) else { return "" }
      defer { clibxml2_free(content) }
      return String(cString: content)
    }.joined()
  }

  private func setText(_ element: xmlNodePtr, _ bytes: [UInt8]) {
    for node in textNodes(element) {
      xmlUnlinkNode(node)
      xmlFreeNode(node)
    }
    guard !bytes.isEmpty else { return }
    let node = xmlNewDocText(document, bytes + [0])
    if let first = element.pointee.children {
      xmlAddPrevSibling(first, node)
    } else {
      xmlAddChild(element, node)
    }
  }

  private static func name(_ node: xmlNodePtr?) -> String {
    node?.pointee.name.map { String(cString: $0) } ?? ""
  }

  private func attribute(_ element: xmlNodePtr, _ name: String) -> String? {
    guard let value = xmlGetNoNsProp(element, name) else { return nil }
    defer { clibxml2_free(value) }
    return String(cString: value)
  }

  /// An element for messages, without its text: `<A encrypted="one">...</A> (line 3)`.
  private func summary(_ element: xmlNodePtr) -> String {
    "\(markup(element, withText: false)) (line \(xmlGetLineNo(element)))"
  }

  /// An element without its children.
  private func markup(_ element: xmlNodePtr, withText: Bool) -> String {
    guard let copy = xmlDocCopyNode(element, document, 2) else { return Self.name(element) }
    defer { xmlFreeNode(copy) }
    let shown = withText ? text(element) : "..."
    xmlAddChild(copy, xmlNewDocText(document, shown))
    guard let buffer = xmlBufferCreate() else { return Self.name(element) }
    defer { xmlBufferFree(buffer) }
    guard xmlNodeDump(buffer, document, copy, 0, 0) >= 0, let content = xmlBufferContent(buffer) else {
      return Self.name(element)
    }
    return String(cString: content)
  }

  /// Whether XML can hold a character.
  private static func isXML(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A, 0x0D, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
    default: false
    }
  }
}

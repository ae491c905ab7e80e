package import Repository

/// A tree in a line: tag, attributes, text, children, as lxml's tostring without a declaration.
package func text(of element: Element) -> String {
  String(decoding: WireWriter.xml(element), as: UTF8.self)
}

/// A tree from a line.
package func tree(_ text: String) throws -> Element {
  try RepositoryXML.parse(Array(text.utf8), path: "test.xml").root
}

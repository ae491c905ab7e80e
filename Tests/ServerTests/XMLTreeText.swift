@testable import Server

/// A tree in a line: tag, attributes, text, children, as lxml's tostring without a declaration.
func text(of element: Element) -> String {
  String(decoding: WireWriter.xml(element), as: UTF8.self)
}

/// A tree from a line.
func tree(_ text: String) throws -> Element {
  try RepositoryXML.parse(Array(text.utf8), path: "test.xml").root
}

/// Metadata of a client that no plugin was asked about.
func clientMetadata(
  _ name: ClientName = "one.example.com", groups: NameSet = [], bundles: [Name] = [], version: String? = nil
) -> ClientMetadata {
  ClientMetadata(
    hostname: name, profile: nil, groups: groups, bundles: .init(bundles), aliases: [], addresses: [], categories: [:],
    uuid: nil, password: nil, version: version)
}

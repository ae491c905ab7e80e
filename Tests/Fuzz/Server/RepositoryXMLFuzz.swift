import OrderedCollections

@testable import Core
@testable import Identity
@testable import Repository
@testable import XMLRPC

/// Reads the bytes as a file of the repository, matches it, writes it, edits it: no trap, what is written is read the
/// same, and an edit either does what it says or is refused.
func fuzzRepositoryXML(_ bytes: [UInt8]) {
  guard let document = try? RepositoryXML.parse(bytes, path: "fuzz.xml") else { return }
  let compiled = CompiledStructure(document.root, path: "fuzz.xml")
  let client = ClientMetadata(
    hostname: ClientName(unchecked: "h"), profile: "p", groups: ["p", "g"], bundles: [], aliases: [], addresses: [],
    categories: [:],
    uuid: nil, password: nil, version: nil)
  _ = compiled.match(client)
  let matched = compiled.xmlMatch(client)
  if WireWriter.flawedEntries(matched).isEmpty { checkWriting(matched) }
  checkEditing(bytes)
}

private func checkWriting(_ element: Element) {
  let written = WireWriter.xml(element)
  do {
    let again = try RepositoryXML.parse(written, path: "written.xml").root
    precondition(again.tag == element.tag && again.attributes.count == element.attributes.count, "read otherwise")
    precondition(element.attributes.allSatisfy { again[$0.name] == $0.value }, "attributes read otherwise")
  } catch {
    preconditionFailure("what was written is not read: \(error)")
  }
}

private func checkEditing(_ bytes: [UInt8]) {
  guard var editor = try? XMLSourceEditor(bytes, path: "fuzz.xml") else { return }
  do {
    let hasClient = try editor.setAttribute("profile", to: "a<\"'&b", of: "Client", where: "name", is: "h")
    try editor.appendChild(Element("Client", ["name": "new", "profile": "p"]))
    try editor.removeElement("Client", where: "name", is: "gone")
    let result = try editor.contents()
    let root = try RepositoryXML.parse(result, path: "edited.xml").root
    let clients = root.descendants(tagged: "Client")
    precondition(clients.contains { $0.name == "new" } && !root.children.isEmpty, "the new element is not there")
    if hasClient {
      // The editor goes by the names as written; read, one may be in a namespace.
      var all = [root]
      root.forEachDescendant { if $0.tag == "Client" || $0.tag.hasSuffix("}Client") { all.append($0) } }
      precondition(all.contains { $0.name == "h" && $0["profile"] == "a<\"'&b" }, "the attribute is not there")
    }
  } catch {
    // Refused: the file stays as it is.
  }
}

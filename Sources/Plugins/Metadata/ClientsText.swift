import Core
import Identity
import Repository

/// The text of clients.xml and of the files that it includes, while it is changed. It is parsed and compared as a whole, for
/// changes that `ClientsPatch` cannot make.
struct ClientsText {
  private let file: MetadataFile
  private let contents: [String: [UInt8]]
  private let table: ClientsTable
  private var editors: [String: XMLSourceEditor] = [:]
  private var changedPaths: Set<String> = []
  /// Clients that were added here.
  private var added: Set<ClientName> = []

  init(file: MetadataFile, contents: [String: [UInt8]], table: ClientsTable) {
    self.file = file
    self.contents = contents
    self.table = table
  }

  mutating func make(_ edit: ClientsEdit) throws {
    switch edit {
    case .add(let name, let attributes):
      let lower = name.lowercased
      guard table.client(named: lower) == nil, table.client(ofAlias: lower) == nil, added.insert(lower).inserted else {
        return
      }
      let element = Element("Client", ClientsEdit.attributes(of: name, attributes))
      try change(file.path) { try $0.appendChild(element) }
    case .update(let name, let attributes):
      let (path, spelling) = try place(of: name)
      try change(path) { editor in
        for (key, value) in attributes {
          try editor.setAttribute(key, to: value, of: "Client", where: "name", is: spelling)
        }
      }
    case .remove(let name):
      let (path, spelling) = try place(of: name)
      try change(path) { try $0.removeElement("Client", where: "name", is: spelling) }
    }
  }

  /// The files whose contents change.
  func changed() throws -> [(path: String, bytes: [UInt8])] {
    try changedPaths.sorted().compactMap { path in
      try editors[path].map { (path: path, bytes: try $0.contents()) }
    }
  }

  /// The file that has a client, and the name as it stands there.
  private mutating func place(of name: ClientName) throws -> (path: String, spelling: String) {
    let spelling = table.client(named: name)?.spelling ?? name.text
    for path in file.paths {
      try load(path)
      if let count = editors[path]?.count(tag: "Client", where: "name", is: spelling), count > 0 {
        return (path, spelling)
      }
    }
    throw MetadataConsistencyError("Client \"\(name)\" does not exist")
  }

  private mutating func change(_ path: String, _ body: (inout XMLSourceEditor) throws -> Void) throws {
    try load(path)
    // Taken out of the table, so that it is changed in place, not copied.
    guard var editor = editors.removeValue(forKey: path) else { return }
    defer { editors[path] = editor }
    try body(&editor)
    changedPaths.insert(path)
  }

  private mutating func load(_ path: String) throws {
    if editors[path] == nil { editors[path] = try XMLSourceEditor(contents[path] ?? [], path: path) }
  }
}

import EventLoop
import XMLRPC

/// One change that the server makes to clients.xml.
enum ClientsEdit {
  case add(name: ClientName, Attributes)
  /// By the name in lower case.
  case update(name: ClientName, Attributes)
  /// By the name in lower case.
  case remove(name: ClientName)

  /// The texts that go into the file.
  var texts: [String] {
    switch self {
    case .add(let name, let attributes), .update(let name, let attributes): [name.text] + attributes.map(\.value)
    case .remove: []
    }
  }
}

/// Writes changes to clients.xml and to the files that it includes.
///
/// Changes of one iteration of the loop are written together, then those who wait for them go on: what was answered is
/// on disk. What an administrator saved meanwhile is read first and stays; a file that cannot be parsed is not touched.
final class ClientsWriter {
  /// How often the file is read again where an administrator saves it while it is edited.
  private static let attempts = 5

  private unowned let plugin: MetadataPlugin
  private let file: MetadataFile
  private var waiting: [(edit: ClientsEdit, done: CheckedContinuation<Void, any Error>)] = []

  init(plugin: MetadataPlugin, file: MetadataFile) {
    self.plugin = plugin
    self.file = file
  }

  /// Makes a change. It is on disk when this returns.
  ///
  /// - Throws: `MetadataConsistencyError` where the client does not exist or the text cannot stand in XML,
  ///   `MetadataRuntimeError` where the file cannot be read or written.
  func commit(_ edit: ClientsEdit) async throws {
    guard edit.texts.allSatisfy({ XMLCharacters.firstFlaw(in: Array($0.utf8)) == nil }) else {
      throw MetadataConsistencyError("Control characters cannot be written to \(file.path)")
    }
    try await withCheckedThrowingContinuation { continuation in
      if waiting.isEmpty { plugin.core.loop.atEndOfIteration { [self] in flush() } }
      waiting.append((edit, continuation))
    }
  }

  private func flush() {
    let batch = waiting
    waiting = []
    var outcomes: [(any Error)?]
    do {
      outcomes = try write(batch.map(\.edit))
    } catch {
      let message = "Failed to write \(file.path): \(error)"
      plugin.logger.error("\(message)")
      outcomes = batch.map { _ in MetadataRuntimeError(message) }
    }
    for (item, outcome) in zip(batch, outcomes) {
      if let outcome { item.done.resume(throwing: outcome) } else { item.done.resume() }
    }
  }

  /// Makes changes in the text of the files, writes those, and takes the changes over.
  ///
  /// - Returns: for each change, why it was not made; nil where it was.
  private func write(_ edits: [ClientsEdit]) throws -> [(any Error)?] {
    for _ in 0..<Self.attempts {
      guard plugin.refreshClients() else {
        throw MetadataRuntimeError("it cannot be read as it is now, and so is not replaced")
      }
      guard let contents = file.unchangedContents() else { continue }
      var text = ClientsText(file: file, contents: contents, table: plugin.clients)
      var outcomes: [(any Error)?] = []
      for edit in edits {
        do {
          try text.make(edit)
          outcomes.append(nil)
        } catch let error as MetadataConsistencyError {
          plugin.logger.error("\(error)")
          outcomes.append(error)
        }
      }
      let files = try text.changed()
      guard file.isSameOnDisk else { continue }
      if !files.isEmpty { try AtomicFile.write(files) }
      for (path, bytes) in files { file.wrote(bytes, to: path) }
      for (edit, outcome) in zip(edits, outcomes) where outcome == nil { plugin.take(edit) }
      return outcomes
    }
    throw MetadataRuntimeError("it keeps changing")
  }
}

/// The text of clients.xml and of the files that it includes, while changes are made to it.
private struct ClientsText {
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
      var element: Attributes = ["name": name.text]
      for (key, value) in attributes { element[key] = value }
      try change(file.path) { try $0.appendChild(Element("Client", element)) }
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

  /// The files that say something new.
  func changed() throws -> [(path: String, bytes: [UInt8])] {
    try changedPaths.sorted().compactMap { path in
      try editors[path].map { (path: path, bytes: try $0.contents()) }
    }
  }

  /// The file that has a client, and the name as it stands there.
  private mutating func place(of name: ClientName) throws -> (path: String, spelling: String) {
    let spelling = table.client(named: name)?.spelling ?? name.text
    for path in file.paths where try editor(path).count(tag: "Client", where: "name", is: spelling) > 0 {
      return (path, spelling)
    }
    throw MetadataConsistencyError("Client \"\(name)\" does not exist")
  }

  private mutating func change(_ path: String, _ body: (inout XMLSourceEditor) throws -> Void) throws {
    var editor = try editor(path)
    editors[path] = nil
    try body(&editor)
    editors[path] = editor
    changedPaths.insert(path)
  }

  private mutating func editor(_ path: String) throws -> XMLSourceEditor {
    if let editor = editors[path] { return editor }
    let editor = try XMLSourceEditor(contents[path] ?? [], path: path)
    editors[path] = editor
    return editor
  }
}

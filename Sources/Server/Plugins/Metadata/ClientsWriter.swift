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
/// Changes of one iteration of the loop are written together, and so are those that come while the disk is waited for;
/// then those who wait for them go on: what was answered is on disk. What an administrator saves meanwhile is read first
/// and stays; a file that cannot be parsed is not touched.
final class ClientsWriter {
  private typealias Waiting = (edit: ClientsEdit, done: CheckedContinuation<Void, any Error>)

  private unowned let plugin: MetadataPlugin
  private let file: MetadataFile
  private var waiting: [Waiting] = []
  private var isWriting = false
  /// How often the text was scanned, changed and written.
  private(set) var attempts = 0

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
      waiting.append((edit, continuation))
      guard !isWriting else { return }
      isWriting = true
      plugin.core.loop.atEndOfIteration { [self] in Task { await writeWaiting() } }
    }
  }

  private func writeWaiting() async {
    while !waiting.isEmpty {
      let batch = waiting
      waiting = []
      await write(batch)
    }
    isWriting = false
  }

  private func write(_ batch: [Waiting]) async {
    var outcomes: [(any Error)?]
    do {
      outcomes = try await write(batch.map(\.edit))
    } catch {
      let message = "Failed to write \(file.path): \(error)"
      plugin.logger.error("\(message)")
      let shown = "Failed to write \(plugin.core.textForClients(error, writing: file.path))"
      outcomes = batch.map { _ in MetadataRuntimeError(message, forClients: shown) }
    }
    for (item, outcome) in zip(batch, outcomes) {
      if let outcome { item.done.resume(throwing: outcome) } else { item.done.resume() }
    }
  }

  /// Makes changes in the text of the files, writes those, and takes the changes over.
  ///
  /// - Returns: for each change, why it was not made; nil where it was.
  private func write(_ edits: [ClientsEdit]) async throws -> [(any Error)?] {
    for _ in 0..<FileWriter.attemptLimit {
      attempts += 1
      guard plugin.refreshClients() else {
        throw MetadataRuntimeError("it cannot be read as it is now, and so is not replaced")
      }
      guard let contents = file.unchangedContents() else { continue }
      var text = ClientsText(file: file, contents: contents.mapValues(\.bytes), table: plugin.clients)
      let outcomes = try edits.map { edit -> (any Error)? in
        do {
          try text.make(edit)
          return nil
        } catch let error as MetadataConsistencyError {
          plugin.logger.error("\(error)")
          return error
        }
      }
      let files = try text.changed().map { path, bytes in
        guard bytes.count <= MetadataFile.limitBytes else {
          throw MetadataRuntimeError(
            "\(plugin.core.pathForClients(path)) would have \(bytes.count) bytes, more than are read")
        }
        return FileWrite(bytes, to: path, replacing: contents[path]?.version ?? .missing, mode: .secret)
      }
      let made = zip(edits, outcomes).filter { $1 == nil }.map(\.0)
      guard !files.isEmpty else {
        plugin.take(made)
        return outcomes
      }
      do throws(FileWriteError) {
        try await plugin.core.loop.fileWriter.write(files) { [plugin, file] versions in
          for (written, version) in zip(files, versions) { file.wrote(version, to: written.path) }
          plugin.take(made)
        }
        return outcomes
      } catch {
        guard case .changed(let path) = error else { throw error }
        plugin.logger.info("\(path) was saved by somebody else meanwhile, changing it once more")
      }
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
    // Out of the table, so that it is changed and not copied.
    guard var editor = editors.removeValue(forKey: path) else { return }
    defer { editors[path] = editor }
    try body(&editor)
    changedPaths.insert(path)
  }

  private mutating func load(_ path: String) throws {
    if editors[path] == nil { editors[path] = try XMLSourceEditor(contents[path] ?? [], path: path) }
  }
}

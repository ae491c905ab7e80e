import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// One change that the server makes to clients.xml.
enum ClientsEdit {
  case add(name: ClientName, Attributes)
  /// By the name in lower case.
  case update(name: ClientName, Attributes)
  /// By the name in lower case.
  case remove(name: ClientName)

  /// The attributes of a new client's element.
  static func attributes(of name: ClientName, _ others: Attributes) -> Attributes {
    var attributes: Attributes = ["name": name.text]
    for (key, value) in others { attributes[key] = value }
    return attributes
  }

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
/// Writes the changes of one iteration of the loop together, and so those that come during a write. Callers go on once their
/// change is on disk. An edit that an administrator saves meanwhile is read first and stays; a file that cannot be parsed is
/// not touched.
final class ClientsWriter {
  private typealias Waiting = (edit: ClientsEdit, done: CheckedContinuation<Void, any Error>)

  private unowned let plugin: MetadataPlugin
  private let file: MetadataFile
  private var waiting: [Waiting] = []
  private var isWriting = false
  /// How often changes were made and written.
  private(set) var attempts = 0
  /// How often, and how long each time, somebody else's save is waited for: half a second.
  private static let savingTurns = 20
  var savingTurn = Duration.milliseconds(25)
  /// How often changes needed the whole text, which is parsed for them.
  private(set) var wholeEdits = 0
  /// Where the clients are in the files.
  let places: ClientPlaces

  init(plugin: MetadataPlugin, file: MetadataFile) {
    self.plugin = plugin
    self.file = file
    places = ClientPlaces(file)
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
    } catch  where batch.count > 1 && file.paths.count > 1 {
      // A file that cannot be written fails the changes of the clients in it, and no others.
      for item in batch { await write([item]) }
      return
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

  /// Makes changes in the text of the files, writes the files, and applies the changes to the table.
  ///
  /// - Returns: for each change, why it was not made; nil where it was.
  private func write(_ edits: [ClientsEdit]) async throws -> [(any Error)?] {
    for _ in 0..<FileWriter.attemptLimit {
      attempts += 1
      guard await refreshes() else {
        throw MetadataRuntimeError("it cannot be read as it is now, and so is not replaced")
      }
      let admitted = admit(edits)
      let possible = admitted.compactMap { try? $0.get() }
      guard let draft = try await draft(of: possible) else { continue }
      for case let error? in draft.outcomes { plugin.logger.error("\(error)") }
      let made = zip(possible, draft.outcomes).filter { $1 == nil }.map(\.0)
      var drafted = draft.outcomes.makeIterator()
      let outcomes = admitted.map { edit -> (any Error)? in
        switch edit {
        case .success: drafted.next() ?? nil
        case .failure(let error): error
        }
      }
      guard !draft.files.isEmpty else {
        plugin.apply(made)
        return outcomes
      }
      do throws(FileWriteError) {
        try await plugin.core.loop.fileWriter.write(draft.files) { [plugin, file] versions in
          for (written, version) in zip(draft.files, versions) { file.wrote(version, to: written.path) }
          draft.taken()
          plugin.apply(made)
        }
        return outcomes
      } catch {
        guard case .changed(let path) = error else { throw error }
        plugin.logger.info("\(path) was saved by somebody else meanwhile, changing it once more")
      }
    }
    throw MetadataRuntimeError("it keeps changing")
  }

  /// Takes what is on disk. An editor that writes into the file leaves it without an end for a moment, which is waited for.
  ///
  /// - Returns: whether it can be read.
  private func refreshes() async -> Bool {
    for _ in 0..<Self.savingTurns {
      if plugin.refreshClients() { return true }
      guard (try? await plugin.core.loop.sleep(for: savingTurn)) != nil else { return false }
    }
    return plugin.refreshClients()
  }

  /// The changes that are allowed: no more clients than may add themselves, and none with an address that another client
  /// has.
  private func admit(_ edits: [ClientsEdit]) -> [Result<ClientsEdit, any Error>] {
    var count = plugin.clients.count
    var addresses: Set<Name> = []
    return edits.map { edit in
      guard case .add(let name, var attributes) = edit, plugin.record(of: name) == nil else { return .success(edit) }
      do throws(MetadataConsistencyError) {
        try plugin.requireRoom(for: name, besides: count)
      } catch {
        return .failure(error)
      }
      count += 1
      if let address = attributes["address"], !MetadataPlugin.isThisMachine(address),
        !plugin.clients.clients(at: address).isEmpty || !addresses.insert(Name(address)).inserted
      {
        plugin.core.refusals.write(
          .warning, of: address, to: plugin.logger,
          "\(address) is another client's address, and so not recorded as that of \(name)")
        attributes["address"] = nil
      }
      return .success(.add(name: name, attributes))
    }
  }

  /// Makes the changes in their elements, or in the whole text if that is not possible.
  ///
  /// - Returns: nil where a file was changed by somebody else meanwhile.
  private func draft(of edits: [ClientsEdit]) async throws -> ClientsDraft? {
    if let places = places.current() {
      do {
        let patch = try ClientsPatch(file: file, table: plugin.clients, places: places)
        return try await patch.draft(of: edits, on: plugin.core.loop, places: self.places)
      } catch is ClientsPatch.NotInPlace {
        // Then in the whole text.
      } catch is XMLFileError {
        // An element that cannot be read by itself.
      }
    }
    guard let contents = file.unchangedContents() else { return nil }
    wholeEdits += 1
    var text = ClientsText(file: file, contents: contents.mapValues(\.bytes), table: plugin.clients)
    let outcomes = try edits.map { edit -> (any Error)? in
      do {
        try text.make(edit)
        return nil
      } catch let error as MetadataConsistencyError {
        return error
      }
    }
    let files = try text.changed().map { path, bytes in
      try file.require(bytes.count, of: path)
      return FileWrite(bytes, to: path, replacing: contents[path]?.version ?? .missing, mode: .secret)
    }
    return ClientsDraft(outcomes: outcomes, files: files) { [places] in places.forget() }
  }
}

import EventLoop

/// One change that the server makes to clients.xml.
enum ClientsEdit {
  case add(name: String, Attributes)
  /// By the name in lower case.
  case update(name: String, Attributes)
  /// By the name in lower case.
  case remove(name: String)
}

/// Writes changes to clients.xml and to the files that it includes.
///
/// Changes of one iteration of the loop are written together, then those who wait for them go on: what was answered is
/// on disk. What an administrator saved meanwhile is read first and stays; a file that cannot be parsed is not touched.
final class ClientsWriter {
  private unowned let plugin: MetadataPlugin
  private let file: MetadataFile
  private var waiting: [(edit: ClientsEdit, done: CheckedContinuation<Void, any Error>)] = []

  init(plugin: MetadataPlugin, file: MetadataFile) {
    self.plugin = plugin
    self.file = file
  }

  /// Makes a change. It is on disk when this returns.
  ///
  /// - Throws: `MetadataConsistencyError` where the client does not exist, `MetadataRuntimeError` where the file cannot
  ///   be read or written.
  func commit(_ edit: ClientsEdit) async throws {
    try await withCheckedThrowingContinuation { continuation in
      if waiting.isEmpty { plugin.core.loop.atEndOfIteration { [self] in flush() } }
      waiting.append((edit, continuation))
    }
  }

  private func flush() {
    let batch = waiting
    waiting = []
    var outcomes: [(any Error)?] = []
    do {
      guard plugin.refreshClients() else {
        throw MetadataRuntimeError("\(file.path) cannot be read as it is now, not written")
      }
      var editors: [String: XMLSourceEditor] = [:]
      outcomes = try batch.map { try outcome(of: $0.edit, &editors) }
      try write(editors)
      for (item, outcome) in zip(batch, outcomes) where outcome == nil { apply(item.edit) }
    } catch {
      plugin.logger.error("\(error)")
      outcomes = batch.map { _ in error }
    }
    for (item, outcome) in zip(batch, outcomes) {
      if let outcome { item.done.resume(throwing: outcome) } else { item.done.resume() }
    }
  }
}

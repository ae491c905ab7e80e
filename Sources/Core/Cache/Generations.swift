public import Identity
import Repository

/// Identifies the state that an answer to a client was made from: equal generations, equal answers.
///
/// The repository's generation grows with every change that concerns all clients: new file contents, settings, expired
/// plugin caches. A client's generation grows with its probe data, profile, version, and other data of its own.
public struct AnswerGeneration: Hashable, Sendable {
  public let repository: UInt64
  public let client: UInt64
}

extension ServerCore {
  /// Grows with everything that may change the answers to all clients. The server's own writes do not count: the writer
  /// knows the contents, and calls `clientChanged` for the clients they concern.
  public var repositoryGeneration: UInt64 { fileMonitor.generation &+ ownChanges }

  /// The generation of an answer made for the client now.
  public func generation(of client: ClientName) -> AnswerGeneration {
    AnswerGeneration(repository: repositoryGeneration, client: clientGenerations[client] ?? 0)
  }

  /// Records a change that concerns all clients and that no change set of the file monitor reports.
  public func repositoryChanged() { ownChanges &+= 1 }

  /// As `repositoryChanged`, for a change that making the current answer caused: it does not outdate that answer.
  public func repositoryChangedByAnswer() {
    repositoryChanged()
    AnswerChanges.record()
  }

  /// Records a change that concerns one client: its probe data, its record in clients.xml.
  /// - Parameter client: the canonical name.
  public func clientChanged(_ client: ClientName) {
    clientGenerations[client, default: 0] &+= 1
    clientChanges &+= 1
    metadataCache[client] = nil
    answerCache.removeAll(of: client)
  }
}

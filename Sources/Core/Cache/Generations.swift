public import Identity
import Repository

/// What an answer to a client was made from: equal generations, equal answers.
///
/// The repository's generation grows with what concerns all clients: files that took new contents, settings, plugins
/// that forgot what they knew. A client's own grows with its probe data, profile, version, and what else only it has.
public struct AnswerGeneration: Hashable, Sendable {
  public let repository: UInt64
  public let client: UInt64
}

extension ServerCore {
  /// Grows with everything that may change the answers to all clients. The server's own writes do not count: who wrote
  /// a file knows what is in it, and says by `clientChanged` whom it concerns.
  public var repositoryGeneration: UInt64 { fileMonitor.generation &+ ownChanges }

  /// What an answer to a client that is made now is made from.
  public func generation(of client: ClientName) -> AnswerGeneration {
    AnswerGeneration(repository: repositoryGeneration, client: clientGenerations[client] ?? 0)
  }

  /// Something that concerns all clients has changed, and no change set of the file monitor tells of it.
  public func repositoryChanged() { ownChanges &+= 1 }

  /// As `repositoryChanged`, where the answer that this task makes has changed it: that does not overtake the answer.
  public func repositoryChangedByAnswer() {
    repositoryChanged()
    ChangesOfAnAnswer.note()
  }

  /// Something that concerns one client has changed: its probe data, its record in clients.xml.
  /// - Parameter client: the canonical name.
  public func clientChanged(_ client: ClientName) {
    clientGenerations[client, default: 0] &+= 1
    clientChanges &+= 1
    metadataCache[client] = nil
    answerCache.removeAll(of: client)
  }
}

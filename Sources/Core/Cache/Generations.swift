public import Identity
import Repository

/// Identifies the state that an answer to a client was made from: equal generations, equal answers.
public struct AnswerGeneration: Hashable, Sendable {
  /// Grows with every change that concerns all answers: new file contents, settings, expired plugin caches.
  public let repository: UInt64
  /// Grows with every change of what all clients' metadata is made from.
  public let clients: UInt64
  /// Grows with the client's probe data, profile, version, and other data of its own.
  public let client: UInt64
}

extension ServerCore {
  /// Grows with everything that may change the answers to all clients. The server's own writes do not count: the writer
  /// knows the contents, and calls `clientChanged` for the clients they concern.
  public var repositoryGeneration: UInt64 { fileMonitor.generation &+ ownChanges }

  /// The same without changes that concern only answers that record them (`FileEventHandler.concernsReadersAlone`), and
  /// without those of `clientsChanged`.
  var commonGeneration: UInt64 { fileMonitor.commonGeneration &+ ownCommonChanges }

  /// The generation of an answer to the client, whatever it is made from.
  public func generation(of client: ClientName) -> AnswerGeneration {
    AnswerGeneration(
      repository: repositoryGeneration, clients: clientsGeneration, client: clientGenerations[client] ?? 0)
  }

  /// The generation of the client's metadata. An answer has parts beside it, which know their own inputs.
  func metadataGeneration(of client: ClientName) -> AnswerGeneration {
    AnswerGeneration(repository: commonGeneration, clients: clientsGeneration, client: clientGenerations[client] ?? 0)
  }

  /// Records a change that concerns all answers and that no change set of the file monitor reports.
  public func repositoryChanged() {
    ownChanges &+= 1
    ownCommonChanges &+= 1
  }

  /// As `repositoryChanged`, for a change that making the current answer caused: it does not outdate that answer.
  ///
  /// - Parameter isCommon: false for a change that concerns only answers that record it.
  public func repositoryChangedByAnswer(isCommon: Bool = true) {
    ownChanges &+= 1
    if isCommon { ownCommonChanges &+= 1 }
    AnswerChanges.record()
  }

  /// Records a change of what the metadata of all clients is made from: groups, connectors' data. Parts of answers stay
  /// for those clients for whom their questions still have the same answers.
  public func clientsChanged() {
    ownChanges &+= 1
    clientsGeneration &+= 1
    metadataCache.removeAll()
  }

  /// Records that the list of clients was read again. What changed for one of them is recorded by `clientChanged`.
  public func clientListChanged() {
    ownChanges &+= 1
    clientChanges &+= 1
  }

  /// As `clientsChanged`, for a group that a connector defined for the current answer.
  func groupsChangedByAnswer() {
    clientsChanged()
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

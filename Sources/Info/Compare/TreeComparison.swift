import Core
import Identity
import Repository

/// Compares what clients get from two repositories.
@MainActor
struct TreeComparison {
  let old: ServerCore
  let new: ServerCore
  /// Where the repositories lie, and what messages call these places.
  let names: [String: String]

  /// Clients of both repositories, sorted.
  ///
  /// - Throws: `InfoProblem` for a glob that matches none.
  func clients(_ globs: [String]) async throws -> [String] {
    let all = await Set(old.metadata.listClients().map(\.text)).union(new.metadata.listClients().map(\.text))
    return try Selection.names(globs, among: Array(all), kind: "client")
  }

  /// Whether one of them knows a client.
  func knows(_ host: String) -> Bool {
    guard let client = try? ClientName(recorded: host) else { return false }
    return old.metadata.knowsClient(client) || new.metadata.knowsClient(client)
  }

  /// - Throws: `InfoProblem` for a text that is no name of a client.
  func changes(_ host: String) async throws -> [ConfigurationChange] {
    let client: ClientName
    do {
      client = try knows(host) ? ClientName(recorded: host) : ClientName(host)
    } catch {
      throw InfoProblem("\(host) is no name of a client: \(error)")
    }
    let isKnown = [old, new].map { $0.metadata.knowsClient(client) }
    if isKnown[0] != isKnown[1] {
      return [ConfigurationChange(kind: isKnown[0] ? .removed : .added, entry: "Client", bundle: nil)]
    }
    let (before, after) = (await configuration(client, old), await configuration(client, new))
    switch (before, after) {
    case (.success(let before), .success(let after)):
      return ConfigurationComparison.changes(from: before, to: after, renaming: names)
    default:
      let problems = [before, after].map { result in
        if case .failure(let problem) = result { problem.description } else { String?.none }
      }
      return problems[0] == problems[1]
        ? [] : [ConfigurationComparison.failure(before: problems[0], after: problems[1])]
    }
  }

  private func configuration(_ client: ClientName, _ core: ServerCore) async -> Result<Element, InfoProblem> {
    do {
      return .success(try await core.buildConfiguration(client))
    } catch {
      return .failure(InfoProblem(ConfigurationComparison.renamed("\(error)", names)))
    }
  }
}

public import Identity
import Repository

/// `bcfg2-admin pull` and `minestruct` by the PullSource and PullTarget plugins: copies a client's own version of an
/// entry into the repository. Clients cannot call this; the tools run a core in their own process.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Admin.py, Pull and Minestruct.
extension ServerCore {
  /// Returns the entries that a client has and its configuration lacks, from every PullSource, each once, in their
  /// order.
  ///
  /// - Throws: what a source throws.
  public func extraEntries(of client: ClientName) async throws -> [(tag: String, name: String)] {
    var found: [(tag: String, name: String)] = []
    for source in plugins(of: (any PullSource).self) {
      for entry in try await source.getExtra(client) where !found.contains(where: { $0 == entry }) {
        found.append(entry)
      }
    }
    return found
  }

  /// Copies a client's version of an entry into the repository, by the one generator that binds the entry.
  ///
  /// - Parameter choose: picks a variant to store it in, from the most specific on; nil picks none.
  /// - Returns: the variant's path; nil if none was picked.
  /// - Throws: `PluginExecutionError` if no source has the entry, if not exactly one generator has it, or if that
  ///   generator accepts none; other errors of plugins.
  public func pull(
    _ client: ClientName, tag: String, name: String, choosing choose: ([String]) -> String? = { $0.first }
  ) async throws -> String? {
    let entry = try await currentEntry(client, tag: tag, name: name)
    let metadata = try await buildMetadata(client)
    let generators = interfaces.generators.filter { $0.binder(tag: tag, name: name) != nil }
    guard generators.count == 1 else {
      let names = generators.map(\.name).joined(separator: ", ")
      throw PluginExecutionError("Got wrong numbers of matching generators for entry:[\(names)]")
    }
    let generator = generators[0]
    let refusal = "Configuration upload not supported by plugin \(generator.name)"
    guard let target = generator as? any PullTarget else { throw PluginExecutionError(refusal) }
    do {
      guard let path = choose(try target.acceptChoices(entry, metadata)) else { return nil }
      try await target.acceptPullData(specificTo: path, entry)
      return path
    } catch let error as PluginExecutionError {
      throw PluginExecutionError("\(refusal): \(error)")
    }
  }

  /// Returns the entry of the first source that knows it.
  private func currentEntry(_ client: ClientName, tag: String, name: String) async throws -> Element {
    let sources = plugins(of: (any PullSource).self)
    guard !sources.isEmpty else {
      throw PluginExecutionError(
        "Unable to build entry: [server] plugins lacks Reporting, which has what clients have reported")
    }
    var failure = "Unable to build entry"
    for source in sources {
      do {
        return try await source.getCurrentEntry(client, tag: tag, name: name)
      } catch let error as PluginExecutionError {
        failure = "Pull Source failure; could not fetch current state: \(error)"
      }
    }
    throw PluginExecutionError(failure)
  }
}

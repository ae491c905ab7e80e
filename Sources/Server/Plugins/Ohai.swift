import EventLoop
import XMLRPC

/// What a client's `ohai` knows of it: asked for by a probe, kept as JSON, given to templates.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Ohai.py.
final class OhaiPlugin: Plugin, Probing, Connector, Caching {
  override class var name: String { "Ohai" }

  private static let limitBytes = 64 << 20
  /// Answers an empty object where there is no ohai, so that templates can ask for members all the same.
  private static let program = """
    #!/bin/sh
    PATH=$PATH:/sbin:/usr/sbin
    export PATH
    if command -v ohai >/dev/null 2>&1; then
        exec ohai
    fi
    echo '{}'

    """

  private var cache = BoundedCache<ClientName, OhaiData>()

  override var reportsChanges: Bool { true }

  func getProbes(_ metadata: ClientMetadata) -> [Element] {
    let probe = Element("probe", ["name": name, "source": name, "interpreter": "/bin/sh"])
    probe.text = Self.program
    return [probe]
  }

  /// - Throws: `JSONError`, `LimitExceeded`, `FileWriteError`; nothing is kept then.
  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    guard let text = data.first?.text, !text.isEmpty else { return }
    let client = metadata.hostname
    if let known = cache[client], Name.areSame(known.text, text) { return }
    try core.settings.require(text.utf8.count, within: ClientDataOptions.standard.ohaiBytes)
    let budget = RequestBudget.currentOr(bytes: text.utf8.count)
    let before = budget.heldBytes
    let new = OhaiData(text: text, value: try JSONValue(json: text, budget: budget))
    let bytes = budget.heldBytes - before
    try await core.loop.fileWriter.overwrite(
      try path(of: client), with: Array(text.utf8), mode: .ordinary, limitBytes: Self.limitBytes
    ) { [self] in
      keep(new, of: client, bytes: bytes)
      core.expireMetadataCache(client)
    }
  }

  /// - Throws: `PluginExecutionError` where the plugin's folder is away, and nothing is known of the client.
  func additionalData(_ metadata: ClientMetadata) throws -> (any ConnectorData)? {
    if let known = cache[metadata.hostname] { return known }
    // A file of our own: what was taken once is read again.
    let budget = RequestBudget(limits: HTTPLimits().withoutRequestBounds, bodyBytes: 0)
    let stored = read(metadata.hostname, budget)
    guard stored != nil || isFolder(folder) else { throw PluginExecutionError("\(folder) is not there") }
    let data = stored ?? OhaiData(text: "{}", value: .object([]))
    keep(data, of: metadata.hostname, bytes: budget.heldBytes)
    return data
  }

  func expireCache(key: ClientName?) {
    if let key { cache.remove(key) } else { cache.removeAll() }
  }

  private func keep(_ data: OhaiData, of client: ClientName, bytes: Int) {
    cache.limitBytes = core.settings[ClientDataOptions.standard.ohaiCacheBytes]
    cache.insert(data, for: client, bytes: data.text.utf8.count + bytes)
  }

  private func path(of client: ClientName) throws -> String { try NamedFile.path("\(client).json", in: folder) }

  /// What was kept of a client. A file that cannot be read is logged and taken for none.
  private func read(_ client: ClientName, _ budget: RequestBudget) -> OhaiData? {
    do {
      let path = try path(of: client)
      guard fileExists(path) else { return nil }
      let text = String(decoding: try AtomicFile.readFile(path, limitBytes: Self.limitBytes), as: UTF8.self)
      return OhaiData(text: text, value: try JSONValue(json: text, budget: budget))
    } catch {
      logger.error("The Ohai data of \(client) could not be read: \(error)")
      return nil
    }
  }
}

/// `metadata.Ohai`: the members of a client's JSON object.
public struct OhaiData: ConnectorData {
  /// As the client sent it.
  public let text: String
  public let value: JSONValue
}

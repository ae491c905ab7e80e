public import Core
import EventLoop
public import Formats
import Identity
import Logging
import Repository
import ServerSettings
public import Templates
import XMLRPC

/// Ohai: asks for the output of a client's `ohai` by a probe, keeps it as JSON, and gives it to templates.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Ohai.py.
final class OhaiPlugin: Plugin, Probing, Connector, Caching, Replicated {
  override class var name: String { "Ohai" }
  override class var options: any OptionGroup { OhaiOptions.standard }

  private static let limitBytes = 64 << 20
  /// Prints an empty object if there is no ohai, so that templates can still ask for members.
  private static let program = """
    #!/bin/sh
    PATH=$PATH:/sbin:/usr/sbin
    export PATH
    if command -v ohai >/dev/null 2>&1; then
        exec ohai
    fi
    echo '{}'

    """

  private struct Kept {
    let data: OhaiData
    /// The status of the client's file when this data was written to it; nil: it may not be on disk.
    var onDisk: FileVersion.Status?
  }

  private var cache = BoundedCache<ClientName, Kept>()

  override var reportsChanges: Bool { true }

  func getProbes(_ metadata: ClientMetadata) -> [Element] {
    let probe = Element("probe", ["name": name, "source": name, "interpreter": "/bin/sh"])
    probe.text = Self.program
    return [probe]
  }

  /// Returns when the data is on disk; at once if the file is unchanged and has this data already.
  ///
  /// - Throws: `JSONError`, `LimitExceeded`, `FileWriteError`; nothing is kept then.
  func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    guard let text = data.first?.text, !text.isEmpty else { return }
    let client = metadata.hostname
    let path = try path(of: client)
    if let known = cache[client], Name.areSame(known.data.text, text), let onDisk = known.onDisk,
      onDisk == FileVersion.Status(of: path)
    {
      return
    }
    try core.settings.require(text.utf8.count, within: OhaiOptions.standard.clientBytes)
    let budget = RequestBudget.currentOr(bytes: text.utf8.count)
    let before = budget.heldBytes
    let new = OhaiData(text: text, value: try JSONValue(json: text, budget: budget))
    let bytes = budget.heldBytes - before
    var written: FileVersion.Status?
    try await core.loop.fileWriter.overwrite(
      path, with: Array(text.utf8), mode: .ordinary, limitBytes: Self.limitBytes
    ) { [self] in
      written = FileVersion.Status(of: path)
      keep(new, of: client, bytes: bytes)
      core.replicate([], of: client, for: self)
      core.expireMetadataCache(client)
    }
    // A later report may have been received meanwhile, whose file is not on disk yet.
    if written == FileVersion.Status(of: path) { keep(new, of: client, bytes: bytes, onDisk: written) }
  }

  /// Forgets the client's data: the parent has written it to disk, where it is read again.
  func applyReplica(_ data: [UInt8], of client: ClientName) { cache.remove(client) }

  func reloadReplicas() { cache.removeAll() }

  /// - Throws: `PluginExecutionError` where the plugin's folder is away, and nothing is known of the client.
  func additionalData(_ metadata: ClientMetadata) throws -> (any ConnectorData)? {
    if let known = cache[metadata.hostname] { return known.data }
    // The plugin's own file: what was accepted once is always read again, whatever its size.
    let budget = RequestBudget(limits: HTTPLimits().withoutRequestBounds, bodyBytes: 0)
    let stored = read(metadata.hostname, budget)
    guard stored != nil || core.isReadOnly || isFolder(folder) else {
      throw PluginExecutionError("\(folder) is not there")
    }
    let data = stored ?? OhaiData(text: "{}", value: .object([]))
    keep(data, of: metadata.hostname, bytes: budget.heldBytes)
    return data
  }

  func expireCache(key: ClientName?) {
    if let key { cache.remove(key) } else { cache.removeAll() }
  }

  private func keep(_ data: OhaiData, of client: ClientName, bytes: Int, onDisk: FileVersion.Status? = nil) {
    cache.limitBytes = core.settings[OhaiOptions.standard.cacheBytes]
    cache.insert(Kept(data: data, onDisk: onDisk), for: client, bytes: data.text.utf8.count + bytes)
  }

  private func path(of client: ClientName) throws -> String { try NamedFile.path("\(client).json", in: folder) }

  /// Reads the data of a client. Logs a file that cannot be read, and returns nil.
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

extension OhaiData: TemplateReadable {
  public var templateForm: TemplateValue { ["form": "json", "text": .text(text)] }
}

/// `[ohai]`.
nonisolated struct OhaiOptions: OptionGroup {
  static let standard = OhaiOptions()

  let clientBytes = Option(
    "ohai", "client_bytes", .size, default: "4m", .ours, help: "The most bytes of JSON that are kept of one client")
  let cacheBytes = Option(
    "ohai", "cache", .size, default: "64m", .ours,
    help: "Memory for what was read of all clients; those that were read first are read again when they are wanted")
}

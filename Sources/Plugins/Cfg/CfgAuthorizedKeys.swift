import Core
import Formats
import Identity
import Logging
import OrderedCollections
import Repository
import ServerSettings
import XMLRPC

/// authorizedkeys.xml: makes a list of SSH keys from the entries that hold the public keys.
final class CfgAuthorizedKeysFile: CfgGenerator {
  let file: StructFile

  override init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    file = StructFile(path: path, monitor: plugin.core.fileMonitor, logger: plugin.logger)
    file.rootTags = ["AuthorizedKeys"]
    file.recordsReads = true
    super.init(path: path, specificity: specificity, plugin: plugin)
    file.encryption = plugin.encryption
  }

  /// Waits: keys may have to be made, and metadata of other clients to be built.
  override var isImmediate: Bool { false }

  override func load() { file.load() }

  override func stopWatching() { file.stopWatching() }

  override func contents(_ entry: Element, _ metadata: ClientMetadata) async throws -> FileContents {
    var lines: [String] = []
    try await file.prepare(metadata, by: plugin.core.xmlTemplateRenderer)
    for allow in try file.xmlMatch(metadata).children(tagged: "Allow") {
      guard let key = try await key(allow, metadata) else { continue }
      let line = options(allow).joined(separator: ",") + " " + key
      lines.append(line.trimmingBlanks)
    }
    return FileContents(Array(lines.joined(separator: "\n").utf8), encoding: .utf8)
  }

  private func options(_ allow: Element) -> [String] {
    var options: [String] = []
    if let parameters = allow.firstChild(tagged: "Params") {
      if plugin.core.settings.compatibility == .v1_3 {
        file.warnOnce("\(path): Use of <Params> in authorized_keys.xml is deprecated; use <Option> instead")
        options += parameters.attributes.map { "\($0.name)=\($0.value)" }
      } else {
        file.warnOnce(
          "\(path):\(parameters.line): <Params> has no effect without [server] compatibility = 1.3; use <Option>")
      }
    }
    for option in allow.children(tagged: "Option") {
      guard let name = option.name else { continue }
      if let value = option["value"], !value.isEmpty {
        options.append("\(name)=\(value)")
      } else {
        options.append(name)
      }
    }
    return options
  }

  /// The public key of an `<Allow>`. Logs why there is none, and returns nil.
  private func key(_ allow: Element, _ metadata: ClientMetadata) async throws -> String? {
    guard let source = allow["from"], !source.isEmpty else {
      if let text = allow.text, !text.isEmpty { return text.trimmingBlanks }
      plugin.logger.warning("Cfg: \(metadata.facts.hostname) ignoring empty Allow tag: \(path):\(allow.line)")
      return nil
    }
    let owner: ClientMetadata
    if let host = allow["host"], !host.isEmpty {
      guard let name = try? ClientName(recorded: host) else {
        plugin.logger.warning(
          "Cfg: \(metadata.facts.hostname) ignoring Allow from \(source): \(host) is no client's name")
        return nil
      }
      owner = try await plugin.core.buildMetadata(name)
      // A change of that client's metadata changes this list.
      metadata.markUncacheable()
    } else if let group = allow["group"], !group.isEmpty {
      owner = ClientMetadata(
        hostname: ClientName(unchecked: "dummy"), profile: group, groups: [group], bundles: [], aliases: [],
        addresses: [], categories: [:], uuid: nil, password: nil, version: nil)
    } else {
      if let category = allow["category"] ?? plugin.core.settings[CfgOptions.standard.sshCategory], !category.isEmpty,
        metadata.categories[category] == nil
      {
        plugin.logger.warning(
          "Cfg: \(metadata.facts.hostname) ignoring Allow from \(source): No group in category \(category)")
        return nil
      }
      owner = metadata
    }
    // A list of keys that includes itself would never end.
    plugin.core.entryInputs.read(tag: "Path", name: source, metadata)
    if plugin.entrySets[source]?.generators.contains(where: { $0 is CfgAuthorizedKeysFile }) ?? false {
      plugin.logger.warning(
        "Cfg: \(metadata.facts.hostname) skipping Allow from \(source): it is a list of keys itself")
      return nil
    }
    let entry = Element("Path", ["name": source])
    do {
      try await metadata.recordingInputs(of: owner) { try await plugin.core.bind(entry, owner) }
    } catch is PluginExecutionError {
      metadata.markUncacheable()
      plugin.logger.info("Cfg: \(metadata.facts.hostname) skipping Allow from \(source): No key found")
      return nil
    }
    if owner.isUncacheable { metadata.markUncacheable() }
    guard let text = entry.text, !text.isEmpty else {
      plugin.logger.warning("Cfg: \(metadata.facts.hostname) skipping Allow from \(source): Empty public key")
      return nil
    }
    return text
  }
}

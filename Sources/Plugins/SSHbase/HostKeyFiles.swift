import Core
import Formats
import Logging
import Repository
import ServerSettings
import XMLRPC

/// One key file, or a known hosts file, of SSHbase.
final class HostKeyData: SpecificData {
  /// How `.crypt` files are decrypted, and bytes become text.
  var encryption: Encryption?
  var encoding = TextEncoding.utf8
  /// The contents, decrypted; nil where they could not be read.
  private(set) var key: [UInt8]?

  /// Contents without white space at their end.
  var trimmedKey: String {
    var bytes = key ?? []
    while let last = bytes.last, last.isXMLSpace || last == 0x0B || last == 0x0C { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  override func index() {
    guard path.hasSuffix(".crypt"), let encryption else {
      key = data
      return
    }
    do throws(EncryptionError) {
      key = try encryption.decryptWithAny(data ?? [])
    } catch {
      key = nil
      logger.error("Failed to decrypt \(path): \(error)")
    }
  }

  /// - Throws: `PluginExecutionError` where the file is not readable, or no text and not to be sent as Base64.
  override func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    entry["type"] = "file"
    guard let key else { throw PluginExecutionError("Failed to decrypt \(path)") }
    let name = entry.name ?? "None"
    if entry["encoding"] == "base64" {
      entry.text = String(decoding: Base64.encode(key), as: UTF8.self)
    } else {
      let text: [UInt8]
      do throws(TextEncodingError) {
        text = try encoding.decode(key)
      } catch {
        throw PluginExecutionError("Failed to decode \(name): \(error)")
      }
      if let flaw = XMLCharacters.firstFlaw(in: text) {
        throw PluginExecutionError(
          "Error in specification for \(name): \(flaw); it needs encoding=\"base64\" in info.xml")
      }
      entry.text = String(decoding: text, as: UTF8.self)
    }
    if entry.text?.isEmpty ?? true { entry["empty"] = "true" }
  }
}

/// The files of one kind of key, or of known hosts, by host and group.
final class HostKeySet: EntrySet {
  /// The permissions of entries without info.xml.
  private var attributes: [(name: String, value: String)]

  init(_ baseName: String, _ plugin: SSHbasePlugin) {
    attributes = [("owner", "root"), ("group", "root"), ("type", "file")]
    // Keys of version 1 of the protocol are binary.
    if baseName.hasPrefix("ssh_host_key") { attributes.append(("encoding", "base64")) }
    let isPublic = baseName.hasSuffix(".pub") || baseName == SSHbasePlugin.knownHosts
    attributes.append(("mode", isPublic ? "0644" : "0600"))
    super.init(
      baseName: baseName, folder: plugin.folder, defaults: plugin.core.settings.pathDefaults,
      compatibility: plugin.core.settings.compatibility, monitor: plugin.core.fileMonitor, logger: plugin.logger
    ) { [unowned plugin] path, specificity in
      let data = HostKeyData(path: path, specificity: specificity, logger: plugin.logger)
      data.encryption = Encryption(plugin.core.settings)
      data.encoding = TextEncoding(plugin.core.settings.encoding)
      return data
    }
    renderer = { [unowned plugin] in plugin.core.xmlTemplateRenderer }
  }

  override func specificity(ofFileNamed name: String) -> Specificity? {
    super.specificity(ofFileNamed: name.hasSuffix(".crypt") ? String(name.dropLast(6)) : name)
  }

  /// The file for a client; nil where there is none.
  func best(_ metadata: ClientMetadata) -> HostKeyData? { matching(metadata).first as? HostKeyData }

  /// Owner, group, mode: the set's own, then those of info.xml.
  func bindPermissions(_ entry: Element, _ metadata: ClientMetadata) throws {
    for (name, value) in attributes { entry[name] = value }
    try bindInfoFiles(to: entry, metadata)
  }

  override func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    try bindPermissions(entry, metadata)
    try bestMatching(metadata).bindEntry(entry, metadata)
  }
}

extension Specificity {
  /// The host or group that a file is for; empty for all.
  var subject: Name {
    switch self {
    case .all: ""
    case .host(let name): name
    case .group(let name, _): name
    }
  }
}

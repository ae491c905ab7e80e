import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// A file with a key or a certificate.
private final class SSLCADataFile: SpecificData {
  override func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    guard let data else { throw PluginExecutionError("Failed to read file \(path)") }
    try entry.setCredential(data, path)
  }
}

extension Element {
  /// Makes the entry a file with this key or certificate.
  ///
  /// - Throws: `PluginExecutionError` where the bytes are no text that XML can carry.
  fileprivate func setCredential(_ bytes: [UInt8], _ path: String) throws {
    if let flaw = XMLCharacters.firstFlaw(in: bytes) {
      throw PluginExecutionError("Error in specification for \(name ?? "None"): \(path): \(flaw)")
    }
    text = String(decoding: bytes, as: UTF8.self)
    self["type"] = "file"
  }
}

/// One folder of SSLCA: key.xml or cert.xml, info.xml, and the keys or certificates that there are.
final class SSLCAEntrySet: EntrySet {
  private unowned let plugin: SSLCAPlugin
  private var keyFile: StructFile?
  private var certificateFile: StructFile?
  /// Contents that are being made, by whom they are for: requests at the same time share them.
  private var underway: [ClientName: Task<[UInt8], any Error>] = [:]

  init(path: String, plugin: SSLCAPlugin) {
    self.plugin = plugin
    super.init(
      baseName: RepositoryPath.name(of: path), folder: path, defaults: plugin.core.settings.pathDefaults,
      compatibility: plugin.core.settings.compatibility, monitor: plugin.core.fileMonitor, logger: plugin.logger
    ) { [logger = plugin.logger] in SSLCADataFile(path: $0, specificity: $1, logger: logger) }
    renderer = { [unowned plugin] in plugin.core.xmlTemplateRenderer }
  }

  // MARK: Files

  override func handleEvent(_ event: FileEvent) {
    switch event.fileName {
    case "key.xml": specificationEvent(event, &keyFile)
    case "cert.xml": specificationEvent(event, &certificateFile)
    default: super.handleEvent(event)
    }
  }

  private func specificationEvent(_ event: FileEvent, _ file: inout StructFile?) {
    if event.action == .deleted {
      file?.stopWatching()
      file = nil
      return
    }
    let known = file ?? StructFile(path: event.path, monitor: monitor, logger: logger)
    known.rootTags = [event.fileName.hasPrefix("key") ? "KeyInfo" : "CertInfo"]
    file = known
    known.load()
  }

  override func stopWatching() {
    super.stopWatching()
    keyFile?.stopWatching()
    certificateFile?.stopWatching()
  }

  /// The `<Key>` or `<Cert>` for a client, and the other elements that apply to it.
  private func specification(
    _ file: StructFile, _ tag: String, _ metadata: ClientMetadata
  ) throws -> (element: Element, all: [Element]) {
    let all = file.match(metadata)
    let fitting = all.filter { $0.tag == tag }
    guard let element = fitting.first else {
      throw PluginExecutionError("No matching \(tag) entry found for \(metadata.hostname) in \(file.path)")
    }
    if fitting.count > 1 {
      logger.warning(
        "More than one matching \(tag) entry found for \(metadata.hostname) in \(file.path); using first match")
    }
    return (element, all)
  }

  // MARK: Binding

  override var binder: EntryBinder {
    if let keyFile { return .later { [self] in try await bindKey($0, $1, keyFile) } }
    if let certificateFile { return .later { [self] in try await bindCertificate($0, $1, certificateFile) } }
    // As in 1.3.4, an entry whose folder has neither stays as it is.
    return .now { _, _ in }
  }

  private func bindKey(_ entry: Element, _ metadata: ClientMetadata, _ file: StructFile) async throws {
    try await prepareInfo(metadata)
    try bindInfo(to: entry, metadata)
    if let best = matching(metadata).first { return try best.bindEntry(entry, metadata) }
    let name = createdName(metadata)
    let key = try await once(metadata.hostname, name) { [self] in
      plugin.logger.info("SSLCA: Generating new key \(name)")
      let specification = try specification(file, "Key", metadata).element
      return try await credentials.makeKey(
        type: specification["type"] ?? "rsa", bits: specification["bits"] ?? "2048",
        purpose: "Failed to generate key \(entry.name ?? "None") for \(metadata.hostname)")
    }
    try entry.setCredential(key, name)
  }

  private func bindCertificate(_ entry: Element, _ metadata: ClientMetadata, _ file: StructFile) async throws {
    try await prepareInfo(metadata)
    let (certificate, all) = try specification(file, "Cert", metadata)
    let keyName = certificate["key"] ?? "None"
    let key = try await key(keyName, metadata)
    try bindInfo(to: entry, metadata)
    let authority = TLSCredentials.Authority(certificate["ca"] ?? "default", plugin.core.settings)
    guard !plugin.core.settings.options(of: "sslca_\(authority.name)").isEmpty else {
      throw PluginExecutionError("SSLCA: No section [sslca_\(authority.name)] in bcfg2.conf")
    }
    if let best = matching(metadata).first,
      await isRight(best, entry.name ?? "None", key, keyName, authority, metadata)
    {
      return try best.bindEntry(entry, metadata)
    }
    let name = createdName(metadata)
    try await plugin.core.requireOwnName(metadata.hostname)
    let bytes = try await once(metadata.hostname, name) { [self] in
      plugin.logger.info("SSLCA: Generating new cert \(name)")
      return try await credentials.makeCertificate(
        subject(certificate, all, metadata), key: key, days: certificate["days"] ?? "365", by: authority,
        appendsChain: certificate["append_chain"] == "true")
    }
    try entry.setCredential(bytes, name)
  }

  /// The private key of a certificate: from another folder of the plugin, or from the generator that binds the entry.
  private func key(_ name: String, _ metadata: ClientMetadata) async throws -> [UInt8] {
    guard let set = plugin.entrySets[name] else {
      throw PluginExecutionError("SSLCA: No key defined for \(name)")
    }
    if let key = set.matching(metadata).first?.data { return key }
    let entry = Element("Path", ["name": name])
    try await plugin.core.bind(entry, metadata)
    return entry.contentBytes
  }

  /// Whether a certificate can still be sent. With an authority that has no chain, every one can.
  private func isRight(
    _ file: SpecificData, _ name: String, _ key: [UInt8], _ keyName: String, _ authority: TLSCredentials.Authority,
    _ metadata: ClientMetadata
  ) async -> Bool {
    guard authority.chain != nil, let certificate = file.data else { return true }
    // Certificates expire.
    metadata.markUncacheable()
    do {
      try await credentials.verify(certificate, of: name, against: authority)
      plugin.debugLog("SSLCA: \(name) verified successfully against CA")
      try await credentials.verify(certificate, of: name, fits: key, named: keyName)
      plugin.debugLog("SSLCA: \(name) verified successfully against key \(keyName)")
      return true
    } catch {
      logger.warning("\(error)")
      return false
    }
  }

  // MARK: Making

  private var credentials: TLSCredentials { TLSCredentials(loop: plugin.core.loop, label: "SSLCA: ") }

  /// Contents are made for the host alone, whatever file they are made from.
  private func createdName(_ metadata: ClientMetadata) -> String { "\(baseName).H_\(metadata.hostname)" }

  /// The attributes of cert.xml in lower case, as in 1.3.4.
  private func subject(
    _ certificate: Element, _ all: [Element], _ metadata: ClientMetadata
  ) -> TLSCredentials.Subject {
    let names = all.filter { $0.tag == "subjectAltName" }.compactMap(\.text)
    return .init(
      name: metadata.hostname,
      alternativeNames: names + (metadata.aliases.sorted() + [metadata.hostname]).map(\.text),
      fields: TLSCredentials.Subject.fieldNames.compactMap { field in
        certificate[field.lowercased()].map { (field, $0) }
      })
  }

  /// Makes the contents of a file, which is on disk when this returns. Requests that come meanwhile get the same contents.
  private func once(
    _ client: ClientName, _ name: String, _ make: @escaping @MainActor () async throws -> [UInt8]
  ) async throws -> [UInt8] {
    if let task = underway[client] { return try await task.value }
    let task = Task { [plugin, folder] in
      let path = try NamedFile.path(name, in: folder)
      try AtomicFile.requireWritable(path)
      let old = try AtomicFile.version(of: path, limitBytes: KeyProgram.outputLimitBytes)
      let bytes = try await make()
      do throws(FileWriteError) {
        try await plugin.core.loop.fileWriter.write(FileWrite(bytes, to: path, replacing: old, mode: .secret))
      } catch {
        throw PluginExecutionError(
          "SSLCA: Could not write \(path): \(error)",
          forClients: "SSLCA: Could not write \(plugin.core.textForClients(error))")
      }
      plugin.handleWrittenFile(path)
      return bytes
    }
    underway[client] = task
    defer { underway[client] = nil }
    return try await task.value
  }
}

import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// sslkey.xml: makes a TLS key.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgSSLCAKeyCreator.py.
final class CfgSSLKeyCreator: CfgCreator {
  override var category: Option<String?> { CfgOptions.standard.tlsCategory }
  override var passphrase: Option<String?> { CfgOptions.standard.tlsPassphrase }

  override func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    plugin.logger.info("Cfg: Generating new SSL key for \(path)")
    let specificity = try createdSpecificity(metadata)
    try AtomicFile.requireWritable(createdPath(specificity))
    try await file.prepare(metadata, by: plugin.core.xmlTemplateRenderer)
    let key = try file.xmlMatch(metadata).firstChild(tagged: "Key")
    let bytes = try await TLSCredentials(loop: plugin.core.loop, label: "").makeKey(
      type: key?["type"] ?? "rsa", bits: key?["bits"] ?? "2048",
      purpose: "Failed to generate key \(path) for \(metadata.hostname)")
    try await write([newFile(bytes, for: specificity)])
    return bytes
  }
}

/// sslcert.xml: has a certificate authority sign a certificate for a key that another entry has, and checks that the
/// certificate which is sent fits key and authority.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgSSLCACertCreator.py.
final class CfgSSLCertificateCreator: CfgCreator, CfgVerifier {
  override var category: Option<String?> { CfgOptions.standard.tlsCategory }
  override var passphrase: Option<String?> { CfgOptions.standard.tlsPassphrase }
  override var mode: FileWrite.Mode { .ordinary }

  private var credentials: TLSCredentials { TLSCredentials(loop: plugin.core.loop, label: "") }

  private func authority(_ certificate: Element) -> TLSCredentials.Authority {
    .init(certificate["ca"] ?? "default", plugin.core.settings)
  }

  private func specification(_ metadata: ClientMetadata) async throws -> (root: Element, certificate: Element) {
    try await file.prepare(metadata, by: plugin.core.xmlTemplateRenderer)
    let root = try file.xmlMatch(metadata)
    guard let certificate = root.firstChild(tagged: "Cert") else {
      throw PluginExecutionError("\(path): no <Cert> for \(metadata.hostname)")
    }
    return (root, certificate)
  }

  override func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    try await plugin.core.requireOwnName(metadata.hostname)
    plugin.logger.info("Cfg: Generating new SSL cert for \(path)")
    let specificity = try createdSpecificity(metadata)
    try AtomicFile.requireWritable(createdPath(specificity))
    let (root, certificate) = try await specification(metadata)
    let names = root.children(tagged: "subjectAltName").compactMap { $0.text?.trimmingBlanks }
    let subject = TLSCredentials.Subject(
      name: metadata.hostname,
      alternativeNames: names + (metadata.aliases.sorted() + [metadata.hostname]).map(\.text),
      fields: TLSCredentials.Subject.fieldNames.compactMap { name in certificate[name].map { (name, $0) } })
    let bytes = try await credentials.makeCertificate(
      subject, key: try await key(certificate, metadata), days: certificate["days"] ?? "365",
      by: authority(certificate), appendsChain: certificate["append_chain"].map { !$0.isEmpty } ?? false)
    try await write([newFile(bytes, for: specificity)])
    return bytes
  }

  /// The key of the entry that `key=` names, made where nobody has it yet.
  private func key(_ certificate: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    let name = certificate["key"] ?? ""
    guard let set = plugin.entrySets[name] else {
      throw PluginExecutionError("Cfg: No SSL key or key creator defined for \(name)")
    }
    guard set.generator(for: metadata) != nil || set.creators.contains(where: { $0 is CfgSSLKeyCreator }) else {
      throw PluginExecutionError("Cfg: No SSL key or key creator defined for \(name)")
    }
    let entry = Element("Path", ["name": name])
    try await plugin.core.bind(entry, metadata)
    return entry.contentBytes
  }

  // MARK: Verifying

  func verify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws {
    let name = entry.name ?? path
    let certificate = try await specification(metadata).certificate
    let authority = authority(certificate)
    try await credentials.verify(bytes, of: name, against: authority)
    if authority.chain != nil { plugin.debugLog("Cfg: \(name) verified successfully against CA") }
    let keyName = certificate["key"] ?? ""
    try await credentials.verify(bytes, of: name, fits: try await key(certificate, metadata), named: keyName)
    plugin.debugLog("Cfg: \(name) verified successfully against key \(keyName)")
  }
}

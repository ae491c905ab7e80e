import EventLoop
import XMLRPC

/// sslkey.xml: makes a TLS key.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgSSLCAKeyCreator.py.
final class CfgSSLKeyCreator: CfgCreator {
  override var section: String { "sslca" }

  override func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    plugin.logger.info("Cfg: Generating new SSL key for \(path)")
    let key = try file.xmlMatch(metadata).firstChild(tagged: "Key")
    let bits = key?["bits"] ?? "2048"
    let command: [String]
    switch key?["type"] ?? "rsa" {
    case "rsa": command = ["openssl", "genrsa", bits]
    case "dsa": command = ["openssl", "dsaparam", "-noout", "-genkey", bits]
    case let type: throw PluginExecutionError("\(path): unknown type of key \(type): rsa or dsa")
    }
    let output = try await run(
      command, purpose: "Failed to generate key \(path) for \(metadata.hostname)")
    try write(output.standardOutput, for: try createdSpecificity(metadata))
    return output.standardOutput
  }
}

/// sslcert.xml: has a certificate authority sign a certificate for a key that another entry has, and checks that the
/// certificate which is sent fits key and authority.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgSSLCACertCreator.py. Works by the openssl program, because an
/// authority is what its `openssl ca` configuration makes it.
final class CfgSSLCertificateCreator: CfgCreator, CfgVerifier {
  override var section: String { "sslca" }

  /// `[sslca_NAME]` of bcfg2.conf.
  private struct Authority {
    let name: String
    let configuration: String?
    let passphrase: String?
    let chain: String?
    let isRoot: Bool
  }

  private func authority(_ certificate: Element) -> Authority {
    let name = certificate["ca"] ?? "default"
    let section = "sslca_\(name)"
    return Authority(
      name: name, configuration: plugin.option(section, "config"), passphrase: plugin.option(section, "passphrase"),
      chain: plugin.option(section, "chaincert"),
      isRoot: plugin.core.settings.value(section, "root_ca")?.value.boolean ?? false)
  }

  private func specification(_ metadata: ClientMetadata) throws -> (root: Element, certificate: Element) {
    let root = try file.xmlMatch(metadata)
    guard let certificate = root.firstChild(tagged: "Cert") else {
      throw PluginExecutionError("\(path): no <Cert> for \(metadata.hostname)")
    }
    return (root, certificate)
  }

  override func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    plugin.logger.info("Cfg: Generating new SSL cert for \(path)")
    let (root, certificate) = try specification(metadata)
    let authority = authority(certificate)
    guard let configuration = authority.configuration else {
      throw PluginExecutionError("Cfg: [sslca_\(authority.name)] section has no 'config' option")
    }
    let folder = try TemporaryFolder()
    let key = try folder.write(try await key(certificate, metadata), "key.pem")
    let days = certificate["days"] ?? "365"
    let request = folder.path + "/request.pem"
    let requestConfiguration = try folder.write(
      Array(Self.requestConfiguration(root, certificate, metadata).utf8), "request.cnf")
    _ = try await run(
      ["openssl", "req", "-new", "-config", requestConfiguration, "-key", key, "-text", "-out", request],
      purpose: "Failed to generate CSR")
    var command = ["openssl", "ca", "-config", configuration, "-in", request, "-days", days, "-batch"]
    if let passphrase = authority.passphrase {
      // By a file, not by the command line, which every user can read.
      command += ["-passin", "file:\(try folder.write(Array("\(passphrase)\n".utf8), "passphrase"))"]
    }
    var bytes = try await run(command, purpose: "Failed to generate cert").standardOutput
    if let append = certificate["append_chain"], !append.isEmpty, let chain = authority.chain {
      bytes += try AtomicFile.readFile(chain, limitBytes: Self.outputLimitBytes)
    }
    try write(bytes, for: try createdSpecificity(metadata))
    return bytes
  }

  /// What `openssl req` needs to know: the subject, and every name of the client.
  static func requestConfiguration(_ root: Element, _ certificate: Element, _ metadata: ClientMetadata) -> String {
    var names = root.children(tagged: "subjectAltName").compactMap { $0.text?.trimmingBlanks }
    names += metadata.aliases.sorted()
    names.append(metadata.hostname)
    var lines = [
      "[req]", "default_md = sha256", "distinguished_name = req_distinguished_name", "req_extensions = v3_req",
      "prompt = no", "", "[req_distinguished_name]",
    ]
    for field in ["C", "L", "ST", "O", "OU", "emailAddress"] {
      if let value = certificate[field], !value.isEmpty { lines.append("\(field) = \(value)") }
    }
    lines += ["CN = \(metadata.hostname)", "", "[v3_req]", "subjectAltName = @alt_names", "", "[alt_names]"]
    for (index, name) in names.enumerated() { lines.append("DNS.\(index + 1) = \(name)") }
    return lines.joined(separator: "\n") + "\n"
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
    let text = Array((entry.text ?? "").utf8)
    return entry["encoding"] == "base64" ? Base64.decode(text) ?? [] : text
  }

  // MARK: Verifying

  func verify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws {
    let name = entry.name ?? path
    let certificate = try specification(metadata).certificate
    let authority = authority(certificate)
    let folder = try TemporaryFolder()
    let file = try folder.write(bytes, "cert.pem")
    if let chain = authority.chain {
      let options = authority.isRoot ? ["-CAfile", chain] : ["-purpose", "sslserver", "-untrusted", chain]
      _ = try await run(["openssl", "verify"] + options + [file], purpose: "\(name) failed verification against CA")
      plugin.debugLog("Cfg: \(name) verified successfully against CA")
    }
    let key = try folder.write(try await key(certificate, metadata), "key.pem")
    let purpose = "Failed to get public key of \(name)"
    let ofCertificate = try await run(["openssl", "x509", "-noout", "-pubkey", "-in", file], purpose: purpose)
    let ofKey = try await run(["openssl", "pkey", "-pubout", "-in", key], purpose: purpose)
    guard ofCertificate.standardOutput == ofKey.standardOutput else {
      throw CfgVerificationError("\(name) failed verification against key \(certificate["key"] ?? "")")
    }
    plugin.debugLog("Cfg: \(name) verified successfully against key \(certificate["key"] ?? "")")
  }
}

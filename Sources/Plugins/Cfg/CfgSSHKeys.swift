import Core
import EventLoop
import Logging
import Repository
import ServerSettings
import XMLRPC

/// privkey.xml: makes an SSH key pair; the public key goes to the entry of the same name with `.pub`.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgPrivateKeyCreator.py.
final class CfgPrivateKeyCreator: CfgCreator {
  override var category: Option<String?> { CfgOptions.standard.sshCategory }
  override var passphrase: Option<String?> { CfgOptions.standard.sshPassphrase }
  /// The most bytes of a passphrase that ssh-keygen reads from its prompt.
  private static let passphraseLimitBytes = 1023

  override func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    try await file.prepare(metadata, by: plugin.core.xmlTemplateRenderer)
    let specification = try file.xmlMatch(metadata)
    let specificity = try createdSpecificity(metadata)
    try AtomicFile.requireWritable(createdPath(specificity))
    let pair = try await makePair(specification, metadata)
    // The comment of the public key says where it is from.
    let publicPath = try createdPath(in: RepositoryPath.folder(of: path) + ".pub", specificity)
    let words = String(decoding: pair.publicKey, as: UTF8.self).split(whereSeparator: \.isWhitespace).prefix(2)
    let publicKey = (words.map(String.init) + [publicPath]).joined(separator: " ") + "\n"
    let old = try AtomicFile.version(of: publicPath, limitBytes: KeyProgram.outputLimitBytes)
    try await write([
      FileWrite(Array(publicKey.utf8), to: publicPath, replacing: old, mode: .ordinary),
      newFile(pair.privateKey, for: specificity),
    ])
    return pair.privateKey
  }

  /// Whether a private key has a passphrase: OpenSSH's form names the cipher at its beginning, PEM says ENCRYPTED.
  private static func isEncrypted(_ key: [UInt8]) -> Bool {
    let text = String(decoding: key, as: UTF8.self)
    if text.contains("ENCRYPTED") { return true }
    // "openssh-key-v1", a zero, and the cipher "none" with its length.
    return text.contains("OPENSSH PRIVATE KEY") && !text.contains("b3BlbnNzaC1rZXktdjEAAAAABG5vbmU")
  }

  private func makePair(
    _ specification: Element, _ metadata: ClientMetadata
  ) async throws -> (privateKey: [UInt8], publicKey: [UInt8]) {
    let parameters = specification.firstChild(tagged: "Params")
    let folder = try TemporaryFolder()
    let key = folder.path + "/privkey"
    var command = ["ssh-keygen", "-q", "-f", key, "-t", parameters?["type"] ?? "rsa"]
    if let bits = parameters?["bits"], !bits.isEmpty { command += ["-b", bits] }
    let passphrase = specification.firstChild(tagged: "Passphrase")?.text ?? ""
    var answers: [UInt8]?
    if passphrase.isEmpty {
      command += ["-N", ""]
    } else {
      // ssh-keygen asks twice, each time for a line of at most 1,023 bytes.
      guard passphrase.utf8.count <= Self.passphraseLimitBytes, !passphrase.utf8.contains(where: { $0 < 0x20 }) else {
        throw PluginExecutionError(
          "Cfg: Passphrase of \(path) is longer than \(Self.passphraseLimitBytes) bytes or has control characters")
      }
      answers = Array("\(passphrase)\n\(passphrase)\n".utf8)
    }
    plugin.debugLog("Cfg: Generating new SSH key pair: \(command.joined(separator: " "))")
    let output = try await run(
      command, purpose: "Cfg: Failed to generate SSH key pair at \(path) for \(metadata.hostname)", answers: answers)
    // Its prompts are not errors.
    let text = String(decoding: output.standardError, as: UTF8.self).split(separator: "\n")
      .filter { !$0.hasPrefix("Enter ") }.joined(separator: "\n")
    if !text.isEmpty {
      plugin.logger.warning(
        "Cfg: Generated SSH key pair at \(path) for \(metadata.hostname) with errors: \(text)")
    }
    let privateKey = try folder.read("privkey", limitBytes: KeyProgram.outputLimitBytes)
    guard answers == nil || Self.isEncrypted(privateKey) else {
      throw PluginExecutionError("Cfg: ssh-keygen did not take the passphrase of \(path)")
    }
    return (
      privateKey,
      try folder.read("privkey.pub", limitBytes: KeyProgram.outputLimitBytes)
    )
  }
}

/// pubkey.xml: takes the public key of the private key that the entry of the same name without `.pub` has.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgPublicKeyCreator.py.
final class CfgPublicKeyCreator: CfgCreator {
  /// Of its file only the attributes of the root element are used, as they stand.
  override var readsTemplate: Bool { false }
  override var isEncryptable: Bool { false }
  override var mode: FileWrite.Mode { .ordinary }

  override func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    let name = entry.name ?? ""
    guard name.hasSuffix(".pub") else {
      throw PluginExecutionError(
        "Cfg: Could not determine private key for \(name): Filename does not end in .pub")
    }
    let privateName = String(name.dropLast(4))
    let privateEntry = Element("Path", ["name": privateName])
    do {
      try await plugin.core.bind(privateEntry, metadata)
    } catch let error as PluginExecutionError {
      throw PluginExecutionError("Cfg: Could not bind \(privateName) (private key for \(path)): \(error)")
    }
    guard let set = plugin.entrySets[privateName] else {
      throw PluginExecutionError("Cfg: No private key defined for \(path) (\(privateName))")
    }
    guard let creator = set.creators.first else {
      throw PluginExecutionError("Cfg: No privkey.xml defined for \(privateName) (private key for \(path))")
    }
    let specificity = try creator.createdSpecificity(metadata)
    let publicPath = try createdPath(specificity)
    // Making the private key has made the public one.
    if fileExists(publicPath) {
      return try AtomicFile.readFile(publicPath, limitBytes: KeyProgram.outputLimitBytes)
    }
    let folder = try TemporaryFolder()
    let key = try folder.write(Array((privateEntry.text ?? "").utf8), "privkey")
    plugin.debugLog("Cfg: Extracting SSH public key from \(privateName)")
    let output = try await run(
      ["ssh-keygen", "-y", "-f", key], purpose: "Cfg: Failed to extract public key from \(privateName)")
    try await write([newFile(output.standardOutput, for: specificity)])
    return output.standardOutput
  }
}

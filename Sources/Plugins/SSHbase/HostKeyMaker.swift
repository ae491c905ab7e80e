import Core
import EventLoop
import Identity
import Repository
import ServerSettings
import XMLRPC

/// Makes host keys by ssh-keygen, one pair of a kind and host at a time.
final class HostKeyMaker {
  private static let timeout: Duration = .seconds(60)
  private static let limitBytes = 1 << 20

  private unowned let plugin: SSHbasePlugin
  private struct Pair: Hashable {
    let privateName: Name
    let client: ClientName
  }

  /// Pairs that are being made.
  private var underway: [Pair: Task<Void, any Error>] = [:]
  /// Files that are being written.
  private var paths: Set<Name> = []

  init(_ plugin: SSHbasePlugin) { self.plugin = plugin }

  /// True for a file that is being written here: its events in the file monitor report nothing new.
  func isMaking(_ path: String) -> Bool { paths.contains(Name(path)) }

  /// Makes the files of a pair that a client lacks; they are on disk when this returns.
  ///
  /// A private key that the repository has is never replaced: its public key is taken from it.
  /// - Parameter name: of the private or the public key, without the host.
  /// - Throws: `PluginExecutionError`.
  func makeKey(_ name: String, for metadata: ClientMetadata) async throws {
    let privateName = name.hasSuffix(".pub") ? String(name.dropLast(4)) : name
    let pair = Pair(privateName: Name(privateName), client: metadata.hostname)
    if let task = underway[pair] { return try await task.value }
    let task = Task { try await make(privateName, metadata) }
    underway[pair] = task
    defer { underway[pair] = nil }
    try await task.value
  }

  private func make(_ name: String, _ metadata: ClientMetadata) async throws {
    do {
      let privatePath = try plugin.path(of: name, for: metadata.hostname)
      let publicPath = try plugin.path(of: "\(name).pub", for: metadata.hostname)
      try AtomicFile.requireWritable(publicPath)
      let folder = try TemporaryFolder()
      if let known = plugin.sets[name]?.best(metadata) {
        let file = try publicFile(try await publicKey(of: known, metadata, folder), publicPath)
        try await write([file], name, metadata)
        return
      }
      try await run([
        "ssh-keygen", "-q", "-f", "\(folder.path)/key", "-N", "", "-t", Self.type(of: name), "-C",
        "root@\(metadata.hostname)",
      ])
      let secret = try folder.read("key", limitBytes: Self.limitBytes)
      let open = try folder.read("key.pub", limitBytes: Self.limitBytes)
      // A private key that was made meanwhile stays, and the entry fails.
      try await write([try secretFile(secret, privatePath), try publicFile(open, publicPath)], name, metadata)
    } catch let error as SystemError {
      throw failure(error)
    } catch let error as NamedFileError {
      throw failure(error)
    } catch let error as FileWriteError {
      throw failure(error)
    }
  }

  private func failure(_ error: any Error) -> PluginExecutionError {
    let message = "Unable to write SSH keys"
    return PluginExecutionError(
      "\(message): \(error)", forClients: "\(message): \(plugin.core.textForClients(error))")
  }

  private func write(_ files: [FileWrite], _ name: String, _ metadata: ClientMetadata) async throws {
    let new = Set(files.map { Name($0.path) })
    paths.formUnion(new)
    defer { paths.subtract(new) }
    try await plugin.core.loop.fileWriter.write(files)
    plugin.readCreatedKeys(name, metadata)
  }

  private static func type(of name: String) -> String {
    switch name {
    case "ssh_host_dsa_key": "dsa"
    case "ssh_host_ecdsa_key": "ecdsa"
    case "ssh_host_ed25519_key": "ed25519"
    case "ssh_host_rsa_key": "rsa"
    default: "rsa1"
    }
  }

  /// The line of a public key, made from its private key.
  private func publicKey(
    of known: HostKeyData, _ metadata: ClientMetadata, _ folder: TemporaryFolder
  ) async throws -> [UInt8] {
    guard let key = known.key else { throw PluginExecutionError("Failed to decrypt \(known.path)") }
    let output = try await run(["ssh-keygen", "-y", "-f", try folder.write(key, "key")])
    let line = output.outputText.split(separator: "\n").first.map(String.init) ?? ""
    let words = line.split(separator: " ")
    let comment = words.count < 3 ? " root@\(metadata.hostname)" : ""
    return Array("\(line)\(comment)\n".utf8)
  }

  private func publicFile(_ key: [UInt8], _ path: String) throws(SystemError) -> FileWrite {
    FileWrite(
      key, to: path, replacing: try AtomicFile.version(of: path, limitBytes: Self.limitBytes), mode: .ordinary)
  }

  @discardableResult
  private func run(_ command: [String]) async throws -> ChildProcess.Output {
    plugin.debugLog("SSHbase: Running: \(command.joined(separator: " "))")
    let output: ChildProcess.Output
    do {
      output = try await ChildProcess.run(
        command, timeout: Self.timeout, outputLimitBytes: Self.limitBytes, on: plugin.core.loop)
    } catch {
      throw PluginExecutionError("SSHbase: Error running ssh-keygen: \(error)")
    }
    if let failure = output.failure { throw PluginExecutionError("SSHbase: Error running ssh-keygen: \(failure)") }
    return output
  }

  /// A private key's new file, encrypted where `[sshbase] passphrase` names a passphrase.
  private func secretFile(_ key: [UInt8], _ path: String) throws -> FileWrite {
    let settings = plugin.core.settings
    guard let name = settings[SSHbaseOptions.standard.passphrase] else {
      return FileWrite(key, to: path, replacing: .missing, mode: .secret)
    }
    plugin.debugLog("SSHbase: Encrypting private key for \(path)")
    let encrypted: [UInt8]
    do throws(EncryptionError) {
      let encryption = Encryption(settings)
      encrypted = try encryption.encrypt(key, with: try encryption.passphrase(named: name))
    } catch {
      throw PluginExecutionError("Unable to encrypt SSH key: \(error)")
    }
    return FileWrite(encrypted, to: "\(path).crypt", replacing: .missing, mode: .secret)
  }
}

import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
import XMLRPC

/// An XML file that says how to make contents that no file has: SSH keys, TLS keys and certificates.
///
/// They are made once, for a host or a group, and kept as a file of the folder. Source: Bcfg2/bcfg2:
/// src/lib/Bcfg2/Server/Plugins/Cfg/__init__.py, XMLCfgCreator.
class CfgCreator: CfgFile {
  /// The root elements of the files, by the files' names.
  private static let rootTags = [
    "privkey.xml": "PrivateKey", "pubkey.xml": "PublicKey", "sslkey.xml": "KeyInfo", "sslcert.xml": "CertInfo",
  ]

  let file: StructFile

  override init(path: String, specificity: Specificity, plugin: CfgPlugin) {
    file = StructFile(path: path, monitor: plugin.core.fileMonitor, logger: plugin.logger)
    if let tag = Self.rootTags[RepositoryPath.name(of: path)] { file.rootTags = [tag] }
    super.init(path: path, specificity: specificity, plugin: plugin)
    file.encryption = isEncryptable ? plugin.encryption : nil
  }

  /// Whether its file is a template that is rendered to create data, or to verify it.
  var readsTemplate: Bool { file.templateSource != nil }
  /// Whether created data is encrypted where a passphrase is set.
  var isEncryptable: Bool { true }
  /// Who may read created data.
  var mode: FileWrite.Mode { .secret }
  /// The option for the category whose groups created data is specific to.
  var category: Option<String?> { CfgOptions.standard.category }
  /// The option for the passphrase that encrypts created data.
  var passphrase: Option<String?> { CfgOptions.standard.passphrase }

  override func load() { file.load() }
  override func stopWatching() { file.stopWatching() }

  /// Makes the contents for a client, and writes them.
  func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> [UInt8] {
    fatalError("\(type(of: self)) creates nothing")
  }

  /// Says for whom a client's data is made: its group of the category, or the host if it has none.
  func createdSpecificity(_ metadata: ClientMetadata) throws -> Specificity {
    guard let root = file.root else { throw PluginExecutionError("\(path) has no data") }
    guard let category = root["category"] ?? plugin.core.settings[self.category] else {
      return .host(Name(metadata.hostname.text))
    }
    if root["perhost"]?.lowercased() == "true" { return .host(Name(metadata.hostname.text)) }
    guard let group = metadata.categories[category] else {
      plugin.logger.info(
        "Cfg: \(metadata.hostname) has no group in category \(category), creating host-specific data")
      return .host(Name(metadata.hostname.text))
    }
    let text = root["priority"] ?? "50"
    guard let priority = Int(text) else { throw PluginExecutionError("\(path): priority \(text) is not a number") }
    return .group(Name(group), priority: priority)
  }

  /// The file of the folder for created data.
  /// - Throws: `NamedFileError` where no file can be named after host or group.
  func createdPath(_ specificity: Specificity, ending: String = "") throws -> String {
    try createdPath(in: RepositoryPath.folder(of: path), specificity, ending: ending)
  }

  /// As `createdPath(_:ending:)`, of another folder of Cfg.
  func createdPath(in folder: String, _ specificity: Specificity, ending: String = "") throws -> String {
    try Self.createdPath(in: folder, specificity, ending: ending, handlers: plugin.rules.handlers)
  }

  /// The name that data has in a folder of Cfg.
  ///
  /// - Parameter handlers: the kinds of files that are known.
  /// - Throws: `NamedFileError` where no file can be named after host or group, or where Cfg would read its name in
  ///   another way: `motd.H_a.crypt`, of a host `a.crypt`, as the encrypted file of a host `a`.
  static func createdPath(
    in folder: String, _ specificity: Specificity, ending: String = "", handlers: Set<CfgHandler>
  ) throws -> String {
    let base = RepositoryPath.name(of: folder)
    let suffix =
      switch specificity {
      case .all: ""
      case .host(let host): ".H_\(host)"
      case .group(let group, let priority): ".G\(priority < 10 ? "0" : "")\(priority)_\(group)"
      }
    let name = base + suffix + ending
    let path = try NamedFile.path(name, in: folder)
    switch CfgFileName(name, base: base, handlers: handlers) {
    case .plain(specificity) where ending.isEmpty, .encrypted(specificity) where !ending.isEmpty: return path
    // Cfg does not read kinds that [cfg] handlers leaves out, so it cannot misread them.
    case .unknown: return path
    default:
      throw NamedFileError(
        description: "No file of \(folder) can be named \(name): Cfg would not read it as that of \(specificity)")
    }
  }

  /// A new file for created data, encrypted if a passphrase is set.
  func newFile(_ bytes: [UInt8], for specificity: Specificity) throws -> FileWrite {
    guard isEncryptable, let name = plugin.core.settings[passphrase] else {
      return FileWrite(bytes, to: try createdPath(specificity), replacing: .missing, mode: mode)
    }
    let passphrase = try plugin.encryption.passphrase(named: name)
    plugin.debugLog("Cfg: Encrypting created data")
    let encrypted = try plugin.encryption.encrypt(bytes, with: passphrase)
    return FileWrite(
      encrypted, to: try createdPath(specificity, ending: ".crypt"), replacing: .missing, mode: mode)
  }

  /// Writes files of Cfg together, and their folders where there are none.
  func write(_ files: [FileWrite]) async throws {
    let paths = files.map(\.path).joined(separator: ", ")
    plugin.debugLog("Cfg: Writing new file \(paths)")
    do {
      for file in files { try makeFolders(RepositoryPath.folder(of: file.path), below: plugin.folder) }
      try await plugin.core.loop.fileWriter.write(files)
    } catch {
      throw PluginExecutionError(
        "Could not write \(paths): \(error)", forClients: "Could not write \(plugin.core.textForClients(error))")
    }
    for file in files { plugin.handleWrittenFile(file.path) }
  }

  /// Runs a program that has to succeed.
  ///
  /// - Parameters:
  ///   - purpose: what fails if the program fails, for the error.
  ///   - answers: what the program reads where it asks for a passphrase.
  func run(_ arguments: [String], purpose: String, answers: [UInt8]? = nil) async throws -> ChildProcess.Output {
    try await KeyProgram.run(arguments, purpose: purpose, answers: answers, on: plugin.core.loop)
  }
}

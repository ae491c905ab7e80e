public import Core
import EventLoop
import Identity
import Logging
import Repository
import ServerSettings
public import Templates
import XMLRPC

/// SSH host keys: one pair of each kind for a host, made when it is first asked for, and the known hosts file.
///
/// Files: `ssh_host_<type>_key[.pub].H_<host>`, or `.G<priority>_<group>`; `.crypt` behind that for encrypted ones;
/// `*.static` with lines for known hosts; `ssh_known_hosts`, which then is sent instead of one that is put together.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/SSHbase.py.
final class SSHbasePlugin: Plugin, Connector, Generator, PullTarget, Caching {
  override class var name: String { "SSHbase" }
  override class var options: any OptionGroup { SSHbaseOptions.standard }

  /// Keys that are made here concern their client alone; their later events in the file monitor report nothing new.
  override var reportsChanges: Bool { true }

  /// Kinds of private keys; each has a public one with `.pub` behind it.
  static let keyNames = [
    "ssh_host_dsa_key", "ssh_host_ecdsa_key", "ssh_host_ed25519_key", "ssh_host_rsa_key", "ssh_host_key",
  ]
  static let knownHosts = "ssh_known_hosts"
  private static let entryFolder = "/etc/ssh/"
  private static let localNames = "localhost,localhost.localdomain,127.0.0.1"
  private static let staticLimitBytes = 16 << 20

  /// Sets of files by base name.
  private(set) var sets: [String: HostKeySet] = [:]
  /// Contents of `.static` files by name.
  private(set) var staticLines: NameTable<String> = [:]
  private let knownHostsList: KnownHostsList
  private lazy var maker = HostKeyMaker(self)

  required init(_ context: PluginContext) {
    knownHostsList = KnownHostsList(core: context.core, logger: context.logger)
    super.init(context)
  }

  override func load() {
    for name in Self.keyNames.flatMap({ [$0, $0 + ".pub"] }) + [Self.knownHosts] {
      sets[name] = HostKeySet(name, self)
    }
    core.fileMonitor.add(folder, recursive: false, handler: self)
  }

  // MARK: Generator

  func set(tag: String, name: String) -> HostKeySet? {
    guard tag == "Path", name.hasPrefix(Self.entryFolder) else { return nil }
    return sets[String(name.dropFirst(Self.entryFolder.utf8.count))]
  }

  func binder(tag: String, name: String) -> EntryBinder? {
    guard let set = set(tag: tag, name: name) else { return nil }
    if set.baseName == Self.knownHosts {
      return .later { [unowned self] in try await bindKnownHosts($0, $1, set) }
    }
    return .later { [unowned self] in try await bindKey($0, $1, set) }
  }

  func entryNames(tag: String) -> [String] { tag == "Path" ? sets.keys.map { Self.entryFolder + $0 }.sorted() : [] }

  /// Binds a key, which is made where there is none for the client.
  private func bindKey(_ entry: Element, _ metadata: ClientMetadata, _ set: HostKeySet) async throws {
    try await set.prepareInfo(metadata)
    if set.best(metadata) == nil {
      try await maker.makeKey(set.baseName, for: metadata)
      guard set.best(metadata) != nil else {
        throw PluginExecutionError("\(set.baseName) still not registered")
      }
    }
    try set.bindEntry(entry, metadata)
  }

  /// Reads the files of a pair that was just made. The file monitor cannot be relied on for that: `pseudo` reports nothing,
  /// and no monitor reports edits while an answer is being made.
  func readCreatedKeys(_ name: String, _ metadata: ClientMetadata) {
    let secret = name.hasSuffix(".pub") ? String(name.dropLast(4)) : name
    for file in ["\(secret)", "\(secret).pub"].flatMap({
      ["\($0).H_\(metadata.hostname)", "\($0).H_\(metadata.hostname).crypt"]
    })
    where fileExists("\(folder)/\(file)") {
      read(FileEvent(action: .created, path: "\(folder)/\(file)", relativePath: file, isDirectory: false))
    }
    core.clientChanged(metadata.hostname)
  }

  private func bindKnownHosts(_ entry: Element, _ metadata: ClientMetadata, _ set: HostKeySet) async throws {
    try await set.prepareInfo(metadata)
    if set.best(metadata) != nil {
      try set.bindEntry(entry, metadata)
      return
    }
    // Depends on name service and on all clients.
    metadata.markUncacheable()
    var text = try await knownHostsList.text(for: metadata.hostname, staticLines: staticLines)
    let own = publicSets.compactMap { $0.best(metadata) }.sorted { $0.path < $1.path }
    for key in own { text += "\(Self.localNames) \(String(decoding: key.key ?? [], as: UTF8.self))" }
    entry.text = text
    try set.bindPermissions(entry, metadata)
  }

  /// Sets of public keys by name.
  private var publicSets: [HostKeySet] {
    Self.keyNames.compactMap { sets[$0 + ".pub"] }.sorted { $0.baseName < $1.baseName }
  }

  /// The file of a client's own key.
  ///
  /// - Throws: where none can be named after the client, or where its name would be read as another client's:
  ///   `ssh_host_rsa_key.H_a.crypt`, of a client `a.crypt`, as the encrypted key of a client `a`.
  func path(of key: String, for client: ClientName) throws(NamedFileError) -> String {
    let name = "\(key).H_\(client)"
    guard sets[key]?.specificity(ofFileNamed: name) == .host(Name(client.text)) else {
      throw NamedFileError(
        description: "No file of \(folder) can be named \(name): SSHbase would not read it as that of \(client)")
    }
    return try NamedFile.path(name, in: folder)
  }

  // MARK: Connector and caches

  func additionalData(_ metadata: ClientMetadata) -> (any ConnectorData)? {
    var keys: [String: [UInt8]] = [:]
    for set in publicSets { if let key = set.best(metadata)?.key { keys[set.baseName] = key } }
    return SSHbaseData(publicKeys: keys)
  }

  func expireCache(key: ClientName?) { knownHostsList.forget() }

  // MARK: PullTarget

  func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    guard let set = set(tag: entry.tag, name: entry.name ?? "") else {
      throw PluginExecutionError("SSHbase has no \(entry.tag):\(entry.name ?? "None")")
    }
    return [try path(of: set.baseName, for: metadata.hostname)]
  }

  func acceptPullData(specificTo path: String, _ entry: Element) async throws {
    guard let text = entry.text else {
      throw PluginExecutionError(
        "Failed to pull \(entry.name ?? "None"). This file does not currently exist on the client")
    }
    try await core.storePulled(
      Array(text.utf8), to: path, mode: .secret, limitBytes: Self.staticLimitBytes)
    core.fileMonitor.processPending()
  }
}

extension SSHbasePlugin: FileEventHandler {
  var handlerName: String { "SSHbase" }

  func handleEvent(_ event: FileEvent) {
    if read(event), !maker.isMaking(event.path) { core.repositoryChanged() }
  }

  /// Reads the file of an event. Returns whether it has changed.
  @discardableResult
  private func read(_ event: FileEvent) -> Bool {
    guard !event.isDirectory, event.path != folder else { return false }
    let file = event.fileName
    if let set = sets.values.first(where: { $0.specificity(ofFileNamed: file) != nil }) {
      let known = set.entries[file]?.data
      set.handleEvent(event)
      guard event.action == .deleted || known == nil || known != set.entries[file]?.data else { return false }
      if set.baseName.hasSuffix(".pub") {
        debugLog("New public key \(file); invalidating ssh_known_hosts cache")
        knownHostsList.keyChanged(event.path, of: set.baseName, set.entries[file] as? HostKeyData)
      }
    } else if file == "info.xml" || core.settings.compatibility == .v1_3 && LegacyInfo.fileNames.contains(file) {
      for set in sets.values { set.handleEvent(event) }
    } else if file.hasSuffix(".static") {
      logger.info("Static key \(file) \(event.action); invalidating ssh_known_hosts cache")
      staticEvent(event)
      knownHostsList.staticLinesChanged()
    } else {
      logger.warning("SSHbase: Got unknown event \(file) \(event.action)")
      return false
    }
    return true
  }

  private func staticEvent(_ event: FileEvent) {
    if event.action == .deleted {
      staticLines[event.fileName] = nil
      return
    }
    do throws(SystemError) {
      let bytes = try AtomicFile.readFile(event.path, limitBytes: Self.staticLimitBytes)
      staticLines[event.fileName] = String(decoding: bytes, as: UTF8.self)
    } catch {
      logger.error("Failed to read file \(event.path): \(error)")
      core.fileMonitor.couldNotRead(event.path, error)
    }
  }
}

/// `metadata.SSHbase`: a client's public keys by file name, `ssh_host_rsa_key.pub`.
public struct SSHbaseData: ConnectorData {
  public let publicKeys: [String: [UInt8]]
}

extension SSHbaseData: TemplateReadable {
  public var templateForm: TemplateValue {
    [
      "form": "value",
      "value": .record(
        publicKeys.sorted { $0.key < $1.key }.map {
          .init($0.key, .text(String(decoding: $0.value, as: UTF8.self)))
        }),
    ]
  }
}

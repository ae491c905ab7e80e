import EventLoop
import Glibc
import OrderedCollections
import XMLRPC

/// Probes: programs that clients run, and what they said.
///
/// Lines `group:NAME` of an output make the client a member of a group; the rest is data that templates ask for.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Probes.py.
public final class ProbesPlugin: Plugin, Probing, Connector, Caching, Replicated {
  public override class var name: String { "Probes" }

  private static let storeName = "probed.xml"
  /// Most groups that the probes of one client may assign: more are a mistake or an attack, and each costs a comparison
  /// with `allowed_groups` and a place in everything that is built for the client.
  static let limitGroups = 1000
  /// Most bytes of a group's name: no group needs more, and the work of regular expressions grows with it.
  static let limitGroupBytes = 1024
  /// Most bytes of one program.
  private static let limitBytes = 16 << 20

  private var programs = ProbeSet()
  private var store: ProbeStore!
  /// What the whole name of a probed group must fit, one of them.
  /// nil lets every group in: the default, for which no expression need be compiled.
  private var allowedGroups: [PythonRegex]?

  /// probed.xml is compared with what was written, programs by their bytes.
  public override var reportsChanges: Bool { true }

  public required init(core: ServerCore) throws {
    try super.init(core: core)
    guard !core.settings.probesUseDatabase else {
      throw PluginInitError("[probes] use_database: probe data is kept in probed.xml only")
    }
    try readAllowedGroups()
    store = ProbeStore(path: "\(folder)/\(Self.storeName)", loop: core.loop, logger: logger)
    core.fileMonitor.add(folder, recursive: false, handler: self)
  }

  private func readAllowedGroups() throws {
    let patterns = core.settings.probesAllowedGroups
    let place = "\(core.settings.origin(of: "probes", "allowed_groups"))"
    let source = RegexSource(place: place, logger: logger)
    allowedGroups =
      patterns == [".*"] ? nil : try patterns.map { try PythonRegex($0, finds: .wholeText, in: source) }
  }

  public override func settingsChanged() {
    do {
      try readAllowedGroups()
    } catch {
      logger.error("\(core.settings.origin(of: "probes", "allowed_groups")): \(error)")
    }
  }

  public override func shutdown() {
    store.flush()
    super.shutdown()
  }

  public func expireCache(key: ClientName?) { store.reloadIfChanged() }

  public func takeReplica(_ data: [UInt8], of client: ClientName) throws {
    store.follow(ProbeReport(try RepositoryXML.parse(data, path: "probe data").root), of: client)
  }

  public func reloadReplicas() { store.reloadIfChanged() }

  // MARK: Programs

  public func getProbes(_ metadata: ClientMetadata) async throws -> [Element] {
    programs.probes(for: metadata, source: name, logger: logger)
  }

  // MARK: Data

  public func receiveData(_ metadata: ClientMetadata, _ data: [Element]) async throws {
    var groups = OrderedSet<Name>()
    var refused = NameSet()
    var probes: NameTable<String> = [:]
    for item in data {
      guard let probe = item.name else {
        logger.error("Probe data without a name from \(metadata.hostname), ignored")
        continue
      }
      guard let text = item.text, !text.isEmpty else {
        logger.info("Got null response to probe \(probe) from \(metadata.hostname)")
        probes[probe] = ""
        continue
      }
      logger.debug("Processing probe from \(metadata.hostname): \(probe)")
      probes[probe] = split(text, metadata.hostname, &groups, &refused)
    }
    let report = ProbeReport(
      timestamp: String(time(nil)), probes: probes.map { (name: $0.key, text: $0.value) }, groups: groups.map(\.text))
    let isNew = store.take(report, of: metadata.hostname)
    // The parent's children see what the parent sees, at the same time.
    var replica: [UInt8] = []
    report.append(to: &replica, client: metadata.hostname)
    core.replicate(replica, of: metadata.hostname, for: self)
    guard isNew else { return }
    core.expireMetadataCache(metadata.hostname)
    try await store.save()
  }

  /// Takes the allowed groups out of an output. Returns the other lines.
  private func split(
    _ text: String, _ client: ClientName, _ groups: inout OrderedSet<Name>, _ refused: inout NameSet
  ) -> String {
    var isChanged = false
    var rest: [Substring] = []
    for bytes in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      let line = Substring(bytes)
      guard let group = groupName(line) else {
        rest.append(line)
        continue
      }
      isChanged = true
      if groups.contains(Name(group)) || refused.contains(group) { continue }
      guard group.utf8.count <= Self.limitGroupBytes, groups.count + refused.count < Self.limitGroups else {
        if refused.insert("").inserted {
          logger.warning(
            "Too many or too long group assignments from \(client): only \(Self.limitGroups) are looked at")
        }
        continue
      }
      if allowedGroups?.contains(where: { $0.matches(group) }) ?? true {
        groups.append(Name(group))
      } else {
        refused.insert(group)
        logger.warning("Disallowed group assignment \(group) from \(client)")
      }
    }
    return isChanged ? rest.joined(separator: "\n") : text
  }

  /// The group that a line names. 1.4 takes the first word after `group:`; 1.3.4 what is between that and a second
  /// colon, blanks included.
  private func groupName(_ line: Substring) -> String? {
    guard line.utf8.starts(with: "group:".utf8) else { return nil }
    let rest = line.utf8.dropFirst(6)
    if core.settings.compatibility == .bcfg213 {
      // Without the blanks of Unicode around it.
      return String(decoding: rest.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self).trimmingBlanks
    }
    let name = rest.drop(while: Self.isBlank).prefix { !Self.isBlank($0) }
    return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

  public func additionalGroups(_ metadata: ClientMetadata) async throws -> [AdditionalGroup] {
    store[metadata.hostname]?.groups.map { .named($0) } ?? []
  }

  public func additionalData(_ metadata: ClientMetadata) async throws -> (any ConnectorData)? {
    let report = store[metadata.hostname]
    return ProbeDataSet(timestamp: report?.timestamp ?? "0", body: report?.body ?? [])
  }
}

extension ProbesPlugin: FileEventHandler {
  public var handlerName: String { "ProbeSet for \(name)" }

  public func handleEvent(_ event: FileEvent) {
    guard !event.isDirectory, event.path != folder else { return }
    let file = event.fileName
    if file == Self.storeName {
      // A child has each report from the parent, which wrote the file.
      if event.action != .deleted, !core.isChild, store.reloadIfChanged() {
        core.expireMetadataCache()
        core.replicasExpired(of: self)
      }
      return
    }
    guard event.action != .deleted else {
      programs.remove(fileName: file)
      core.repositoryChanged()
      return
    }
    guard ProbeSet.parse(file) != nil else {
      logger.debug("\(event.path) is not named as a probe, ignored")
      return
    }
    do {
      let bytes = try AtomicFile.readFile(event.path, limitBytes: Self.limitBytes)
      if let flaw = XMLCharacters.firstFlaw(in: bytes) {
        throw XMLFileError(path: event.path, line: 0, message: "cannot be sent to clients: \(flaw)")
      }
      _ = programs.take(bytes, fileName: file)
      core.repositoryChanged()
    } catch {
      logger.error("Failed to read probe: \(error)")
    }
  }
}

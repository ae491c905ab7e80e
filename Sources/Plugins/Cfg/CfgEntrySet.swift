public import Core
import EventLoop
import Glibc
import Logging
public import Repository
import ServerSettings
import XMLRPC

/// One folder of Cfg: the files that make one entry for different clients.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/__init__.py, CfgEntrySet. Where Bcfg2 leaves the order of equally
/// specific files to chance, they are taken by their names.
public final class CfgEntrySet: EntryFolder {
  /// The name of the entry: `/etc/motd`.
  let name: String
  /// The folder.
  let path: String
  unowned let plugin: CfgPlugin
  private(set) var files: NameTable<CfgFile> = [:]
  /// The most specific one first.
  private(set) var generators: [CfgGenerator] = []
  /// Asked for generators; nil where they are for few hosts.
  private var hosts: HostQuestion?
  private(set) var creators: [CfgCreator] = []
  /// The least specific one first.
  private var filters: [CfgFilter] = []
  private var infos: [CfgInfo] = []
  private var scripts: [CfgTestScript] = []
  private var certificates: [CfgSSLCertificateCreator] = []
  /// Whether entries wait for nothing but test scripts and info.xml: always, or once the results of templates are there.
  private var isImmediate = true
  private var mayBeImmediate = true
  /// True where a template is among the files.
  private var hasTemplates = false {
    didSet {
      if hasTemplates != oldValue { plugin.setsWithTemplates += hasTemplates ? 1 : -1 }
    }
  }
  /// True where binding reads structure files that may be templates.
  private var readsTemplates = false {
    didSet {
      if readsTemplates != oldValue { plugin.setsThatReadTemplates += readsTemplates ? 1 : -1 }
    }
  }
  private let creating = ExclusiveTurn()

  init(name: String, path: String, plugin: CfgPlugin) {
    self.name = name
    self.path = path
    self.plugin = plugin
  }

  /// How entries are bound: at once where nothing waits.
  public var binder: EntryBinder {
    if mayBeImmediate && (scripts.isEmpty || !validates) && (infos.first?.isImmediate ?? true) {
      if isImmediate { return .now { [self] in try bindNow($0, $1) } }
      return .nowOrLater({ [self] in try bindWhereReady($0, $1) }, later: { [self] in try await bind($0, $1) })
    }
    return .later { [self] in try await bind($0, $1) }
  }

  private var validates: Bool { plugin.rules.validates }

  private var baseName: String { path.split(separator: "/").last.map(String.init) ?? "" }

  // MARK: Events

  /// A file of the folder came into being, changed or is gone.
  public func handleEvent(_ event: FileEvent) {
    let fileName = event.fileName
    if event.action == .deleted {
      if let file = files.removeValue(forKey: fileName) {
        file.stopWatching()
        arrange()
      }
      return
    }
    if let file = files[fileName] {
      file.load()
      findTemplates()
      return
    }
    guard let file = makeFile(fileName, event) else { return }
    plugin.debugLog("\(type(of: file)) handling \(event.action) event on \(fileName)")
    // A file that info.xml includes may make it a template.
    file.onChange = { [unowned self] in plugin.core.entryInputs.changed(tag: plugin.entryType, name: name) }
    file.load()
    files[fileName] = file
    arrange()
  }

  public func stopWatching() {
    hasTemplates = false
    readsTemplates = false
    for file in files.values { file.stopWatching() }
  }

  private func makeFile(_ fileName: String, _ event: FileEvent) -> CfgFile? {
    let kind = CfgFileName(fileName, base: baseName, handlers: plugin.rules.handlers)
    let file = "\(path)/\(fileName)"
    if plugin.core.settings.compatibility != .v1_3, kind != .plain(.all), warnOfOldKind(fileName, file),
      kind == .unknown
    {
      return nil
    }
    switch kind {
    case .plain(let specificity): return CfgPlainFile(path: file, specificity: specificity, plugin: plugin)
    case .encrypted(let specificity): return CfgEncryptedFile(path: file, specificity: specificity, plugin: plugin)
    case .template(let specificity, let kind, let isEncrypted):
      return CfgTemplateFile(
        path: file, specificity: specificity, kind: kind, isEncrypted: isEncrypted, plugin: plugin)
    case .infoXML: return CfgInfoXMLFile(path: file, specificity: .all, plugin: plugin)
    case .legacyInfo: return CfgLegacyInfoFile(path: file, specificity: .all, plugin: plugin)
    case .test(let specificity): return CfgTestScript(path: file, specificity: specificity, plugin: plugin)
    case .authorizedKeys: return CfgAuthorizedKeysFile(path: file, specificity: .all, plugin: plugin)
    case .privateKey: return CfgPrivateKeyCreator(path: file, specificity: .all, plugin: plugin)
    case .publicKey: return CfgPublicKeyCreator(path: file, specificity: .all, plugin: plugin)
    case .sslKey: return CfgSSLKeyCreator(path: file, specificity: .all, plugin: plugin)
    case .sslCertificate: return CfgSSLCertificateCreator(path: file, specificity: .all, plugin: plugin)
    case .cat(let specificity): return CfgCatFilter(path: file, specificity: specificity, plugin: plugin)
    case .diff(let specificity): return CfgDiffFilter(path: file, specificity: specificity, plugin: plugin)
    case .ignored: return nil
    case .unknown:
      // Templates may include it: an edit is nothing to tell of again.
      if event.action != .changed, !warnOfNewKind(fileName, file) {
        plugin.logger.error("Could not process event \(event.action) for \(file); ignoring")
      }
      return nil
    }
  }

  /// - Returns: whether the file is of a kind that only 1.3 has.
  private func warnOfOldKind(_ fileName: String, _ file: String) -> Bool {
    switch CfgFileName(fileName, base: baseName, handlers: CfgHandler.all(.v1_3)) {
    case .cat, .diff, .legacyInfo:
      plugin.logger.warning("Cfg: \(file) has no effect without [server] compatibility = 1.3")
      return true
    default: return false
    }
  }

  /// - Returns: whether the file is of a kind that 1.3 does not have.
  private func warnOfNewKind(_ fileName: String, _ file: String) -> Bool {
    guard plugin.core.settings.compatibility == .v1_3 else { return false }
    switch CfgFileName(fileName, base: baseName, handlers: CfgHandler.all(.v1_4)) {
    case .template, .sslKey, .sslCertificate:
      plugin.logger.warning("Cfg: \(file) has no effect with [server] compatibility = 1.3")
      return true
    default: return false
    }
  }

  private func arrange() {
    let sorted = files.sorted().map(\.value)
    func mostSpecificFirst<File: CfgFile>(_ files: [File]) -> [File] {
      files.enumerated().sorted { a, b in
        if a.element.specificity < b.element.specificity { return true }
        return b.element.specificity < a.element.specificity ? false : a.offset < b.offset
      }.map(\.element)
    }
    generators = mostSpecificFirst(sorted.compactMap { $0 as? CfgGenerator })
    hosts = HostQuestion(generators.lazy.map(\.specificity))
    creators = sorted.compactMap { $0 as? CfgCreator }
    filters = mostSpecificFirst(sorted.compactMap { $0 as? CfgFilter }).reversed()
    infos = sorted.compactMap { $0 as? CfgInfo }
    scripts = mostSpecificFirst(sorted.compactMap { $0 as? CfgTestScript })
    certificates = sorted.compactMap { $0 as? CfgSSLCertificateCreator }
    findTemplates()
    mayBeImmediate = filters.isEmpty && creators.isEmpty
    isImmediate = mayBeImmediate && generators.allSatisfy(\.isImmediate)
  }

  private func findTemplates() {
    readsTemplates =
      infos.contains { !$0.isImmediate } || generators.contains { $0 is CfgAuthorizedKeysFile }
      || creators.contains(where: \.readsTemplate)
    hasTemplates = readsTemplates || generators.contains { $0 is CfgTemplateFile }
  }

  // MARK: Binding

  /// The most specific generator for a client.
  func generator(for metadata: ClientMetadata) -> CfgGenerator? {
    generators.first { $0.specificity.matches(metadata, among: hosts) }
  }

  /// Binds where nothing waits.
  private func bindNow(_ entry: Element, _ metadata: ClientMetadata) throws {
    try bindInfo(entry, metadata)
    guard let generator = generator(for: metadata) else { throw noMatch(metadata) }
    try inheritMode(entry, metadata, generator)
    let contents = try rendered(entry) { try generator.immediateContents() }
    try finish(entry, contents)
  }

  /// Binds if the contents, or the error in their place, are there already. Returns false if `bind` has to make them.
  private func bindWhereReady(_ entry: Element, _ metadata: ClientMetadata) throws -> Bool {
    guard let generator = generator(for: metadata) else { return false }
    let ready = Result { try generator.readyContents(entry, metadata) }
    if case .success(nil) = ready { return false }
    try bindInfo(entry, metadata)
    try inheritMode(entry, metadata, generator)
    try finish(entry, try rendered(entry) { try ready.get()! })
    return true
  }

  /// Structure files that `bind` reads for a client.
  func structureFiles(for metadata: ClientMetadata) -> [StructFile] {
    let generator = generator(for: metadata)
    let keys = generator as? CfgAuthorizedKeysFile
    // A creator's is read where there are no contents yet, a certificate's also to verify contents.
    let creator = generator == nil ? creators.first : nil
    let certificate = validates ? certificates.first : nil
    return [
      infos.first?.structureFile, keys?.file, creator.flatMap { $0.readsTemplate ? $0.file : nil },
      certificate === creator ? nil : certificate?.file,
    ].compactMap { $0 }
  }

  /// info.xml, rendered for a client if it is a template; nil where there is none.
  func infoFile(_ metadata: ClientMetadata) async throws -> InfoXML? {
    guard let info = infos.first else { return nil }
    try await info.prepare(metadata)
    return info.structureFile as? InfoXML
  }

  /// The template that makes an entry for a client; nil where a file of another kind does.
  func template(for metadata: ClientMetadata) -> CfgTemplateFile? { generator(for: metadata) as? CfgTemplateFile }

  /// Binds with templates, filters, creators and verifiers.
  private func bind(_ entry: Element, _ metadata: ClientMetadata) async throws {
    if let info = infos.first, !info.isImmediate {
      // Set first: an entry whose info.xml fails has them, too.
      plugin.core.settings.pathDefaults.apply(to: entry)
      try await info.prepare(metadata)
    }
    try bindInfo(entry, metadata)
    var contents: FileContents
    if let generator = generator(for: metadata) {
      try inheritMode(entry, metadata, generator)
      do {
        contents = try await generator.contents(entry, metadata)
      } catch {
        throw renderingError(entry, error)
      }
      // A filter applies only to contents that are not more specific than itself.
      let fitting =
        filters.isEmpty
        ? [] : filters.filter { $0.specificity.matches(metadata) && $0.specificity <= generator.specificity }
      if !fitting.isEmpty {
        var bytes = contents.bytes
        for filter in fitting { bytes = try await filter.modify(bytes, entry, metadata) }
        contents = FileContents(bytes, encoding: plugin.encoding)
      }
    } else {
      contents = try await create(entry, metadata)
    }
    if validates { try await verify(contents.bytes, entry, metadata) }
    try finish(entry, contents)
  }

  private func rendered(_ entry: Element, _ body: () throws -> FileContents) throws -> FileContents {
    do {
      return try body()
    } catch {
      throw renderingError(entry, error)
    }
  }

  private func renderingError(_ entry: Element, _ error: any Error) -> PluginExecutionError {
    let message = "Cfg: Error rendering \(entry.name ?? name): \(error)"
    plugin.logger.error("\(message)")
    return PluginExecutionError(message)
  }

  private func noMatch(_ metadata: ClientMetadata) -> PluginExecutionError {
    PluginExecutionError("No matching entries available for \(path) for \(metadata.hostname)")
  }

  private func bindInfo(_ entry: Element, _ metadata: ClientMetadata) throws {
    plugin.core.settings.pathDefaults.apply(to: entry)
    if infos.count > 1 {
      let names = infos.map(\.fileName).joined(separator: ", ")
      plugin.logger.error("More than one info supplier found for \(entry.name ?? name): \(names)")
    }
    try infos.first?.bindInfo(entry, metadata)
    if entry.tag == "Path" { entry["type"] = "file" }
  }

  private var hasWarnedOfInherit = false

  /// 1.3's `mode="inherit"`: that of the file in the repository.
  private func inheritMode(_ entry: Element, _ metadata: ClientMetadata, _ generator: CfgGenerator) throws {
    guard plugin.core.settings.compatibility == .v1_3, entry["mode"]?.lowercased() == "inherit" else { return }
    if !hasWarnedOfInherit {
      hasWarnedOfInherit = true
      plugin.logger.warning("Cfg: \(entry.name ?? name): Use of mode='inherit' is deprecated")
    }
    // The file monitor does not report changes of modes.
    metadata.markUncacheable()
    var status = stat()
    guard stat(generator.path, &status) == 0 else {
      throw PluginExecutionError("\(SystemError(call: "stat", errno: errno, detail: generator.path))")
    }
    entry["mode"] = "0" + String(status.st_mode & 0o7777, radix: 8)
  }

  private func verify(_ bytes: [UInt8], _ entry: Element, _ metadata: ClientMetadata) async throws {
    var verifiers: [any CfgVerifier] = []
    if let script = scripts.first(where: { $0.specificity.matches(metadata) }) { verifiers.append(script) }
    if let certificate = certificates.first { verifiers.append(certificate) }
    // Test scripts may decide otherwise next time, and certificates expire.
    if !verifiers.isEmpty { metadata.markUncacheable() }
    for verifier in verifiers {
      do {
        try await verifier.verify(bytes, entry, metadata)
      } catch {
        throw PluginExecutionError("Failed to verify \(entry.name ?? name) for \(metadata.hostname): \(error)")
      }
    }
  }

  private func finish(_ entry: Element, _ contents: FileContents) throws {
    guard !contents.isEmpty else {
      entry["empty"] = "true"
      return
    }
    if entry["encoding"] == "base64" {
      entry.content = .shared(contents.base64())
      return
    }
    let name = entry.name ?? name
    do throws(FileTextError) {
      entry.content = .shared(try contents.text())
    } catch {
      let message: String
      switch error {
      case .encoding(let reason):
        message = "Failed to decode \(name): \(reason)"
        plugin.logger.error("\(message)")
        plugin.logger.error("Please verify you are using the proper encoding")
      case .character(let reason):
        message = "Error in specification for \(name): \(reason)"
        plugin.logger.error("\(message)")
        plugin.logger.error("You need to specify base64 encoding for \(name)")
      }
      throw PluginExecutionError(message)
    }
  }

  // MARK: Creating

  /// Makes contents that do not exist yet, and keeps them as a file. Serves one client at a time, so that clients of a
  /// group do not get different keys: those that waited get what the first one made.
  private func create(_ entry: Element, _ metadata: ClientMetadata) async throws -> FileContents {
    guard let creator = creators.first else { throw noMatch(metadata) }
    // The next answer has what was made now from its file.
    metadata.markUncacheable()
    return try await creating.run {
      plugin.core.fileMonitor.processPending()
      if let generator = generator(for: metadata) { return try await generator.contents(entry, metadata) }
      do {
        return FileContents(try await creator.create(entry, metadata), encoding: plugin.encoding)
      } catch {
        let message = "Cfg: Error creating data for \(entry.name ?? name)"
        throw PluginExecutionError(
          "\(message): \(error)", forClients: "\(message): \(plugin.core.textForClients(error))")
      }
    }
  }
}

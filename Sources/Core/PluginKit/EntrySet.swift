import EventLoop
public import Logging
public import Repository
public import ServerSettings
public import XMLRPC

/// One file of an `EntrySet`: its contents and specificity.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, SpecificData.
open class SpecificData {
  /// Absolute path of the file.
  public let path: String
  public let specificity: Specificity
  public let logger: Logger
  /// The contents; nil if they could not be read.
  public private(set) var data: [UInt8]?

  public required init(path: String, specificity: Specificity, logger: Logger) {
    self.path = path
    self.specificity = specificity
    self.logger = logger
  }

  /// Reads the file. If that fails, keeps the old contents, logs, and reads again once it is possible.
  public func load(monitor: any FileMonitor) {
    do throws(SystemError) {
      data = try AtomicFile.readFile(path, limitBytes: FileBacked.fileLimitBytes)
    } catch {
      logger.error("Failed to read file \(path): \(error)")
      monitor.couldNotRead(path, error)
      return
    }
    index()
  }

  /// Called after `data` changed.
  open func index() {}

  /// Binds an entry with this file, after its info attributes were set.
  open func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {}
}

/// The variants of one entry in one folder (`name`, `name.G10_group`, `name.H_host`) and their info.xml.
///
/// Source of the contract: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugin/helpers.py, EntrySet.
open class EntrySet: EntryFolder {
  /// The base name of every file of the set.
  public let baseName: String
  /// Absolute path of the folder.
  public let folder: String
  public let monitor: any FileMonitor
  public let logger: Logger
  /// `[mdata]`.
  public var defaults: Settings.PathDefaults
  /// The Bcfg2 version whose rules info files follow.
  public let compatibility: Compatibility
  /// Files by name.
  public private(set) var entries: NameTable<SpecificData> = [:]
  /// The folder's info.xml; nil if there is none.
  public private(set) var infoXML: InfoXML?
  /// The attributes of `info` and `:info`, with 1.3.
  private var legacyInfo: [(name: String, value: String)] = []
  /// The files by specificity, then by name; computed on demand.
  private var ordered: [SpecificData]?
  /// Asked for `ordered`; nil where the hosts are few.
  private var hosts: HostQuestion?
  private let makeEntry: (String, Specificity) -> SpecificData

  public init(
    baseName: String, folder: String, defaults: Settings.PathDefaults,
    compatibility: Compatibility = .v1_4, monitor: any FileMonitor, logger: Logger,
    makeEntry: @escaping (_ path: String, _ specificity: Specificity) -> SpecificData
  ) {
    self.baseName = baseName
    self.folder = folder
    self.defaults = defaults
    self.compatibility = compatibility
    self.monitor = monitor
    self.logger = logger
    self.makeEntry = makeEntry
  }

  /// Names of editors' temporary files, ignored without a log line.
  public static func isIgnored(_ name: String) -> Bool {
    name.hasPrefix(".#") || name.hasSuffix("~") || name.hasSuffix(".genshi_include")
      || (name.hasPrefix(".") && (name.hasSuffix(".sws") || name.hasSuffix(".swp") || name.hasSuffix(".swx")))
  }

  /// Handles one event of a file in the folder.
  open func handleEvent(_ event: FileEvent) {
    let name = event.fileName
    if name == "info.xml" {
      infoEvent(event)
      return
    }
    if compatibility == .v1_3, LegacyInfo.fileNames.contains(name) {
      legacyInfoEvent(event)
      return
    }
    if event.action == .deleted {
      if entries.removeValue(forKey: name) == nil, specificity(ofFileNamed: name) != nil {
        logger.warning("Got deleted event for unknown file \(event.path)")
      }
      ordered = nil
      return
    }
    if let known = entries[name] {
      known.load(monitor: monitor)
      return
    }
    guard let specificity = specificity(ofFileNamed: name) else {
      if !Self.isIgnored(name) { logger.error("Could not process filename \(event.path); ignoring") }
      return
    }
    let entry = makeEntry(event.path, specificity)
    entries[name] = entry
    ordered = nil
    entry.load(monitor: monitor)
  }

  private func infoEvent(_ event: FileEvent) {
    if event.action == .deleted {
      infoXML?.stopWatching()
      infoXML = nil
      return
    }
    let info = infoXML ?? InfoXML(fileInfo: event.path, monitor: monitor, logger: logger)
    infoXML = info
    info.handleEvent(event)
    info.changesApplied()
  }

  /// Accumulates attributes over the files and their versions, as 1.3 does, until one of the files is deleted.
  private func legacyInfoEvent(_ event: FileEvent) {
    if event.action == .deleted {
      legacyInfo = []
      return
    }
    do throws(SystemError) {
      let bytes = try AtomicFile.readFile(event.path, limitBytes: FileBacked.fileLimitBytes)
      LegacyInfo.read(bytes, path: event.path, into: &legacyInfo, logger: logger)
    } catch {
      logger.error("Failed to read file \(event.path): \(error)")
      monitor.couldNotRead(event.path, error)
    }
  }

  /// The specificity of a file; nil for a file outside this set.
  open func specificity(ofFileNamed name: String) -> Specificity? {
    Specificity(fileName: name, baseName: baseName)
  }

  /// Every file that applies to a client, most specific first, then by name.
  public func matching(_ metadata: ClientMetadata) -> [SpecificData] {
    sortedEntries().filter { $0.specificity.matches(metadata, among: hosts) }
  }

  /// The most specific file for a client.
  ///
  /// - Throws: `PluginExecutionError` if there is none.
  public func bestMatching(_ metadata: ClientMetadata) throws -> SpecificData {
    guard let best = sortedEntries().first(where: { $0.specificity.matches(metadata, among: hosts) }) else {
      throw PluginExecutionError("No matching entries available for \(folder) for \(metadata.hostname)")
    }
    return best
  }

  private func sortedEntries() -> [SpecificData] {
    if let ordered { return ordered }
    let sorted = entries.sorted().map(\.value)
    let made = sorted.enumerated().sorted { a, b in
      a.element.specificity < b.element.specificity
        || (!(b.element.specificity < a.element.specificity) && a.offset < b.offset)
    }.map(\.element)
    ordered = made
    hosts = HostQuestion(made.lazy.map(\.specificity))
    return made
  }

  /// Sets the default attributes, then those of info.xml.
  ///
  /// - Throws: `PluginExecutionError` if info.xml has nothing for the client.
  public func bindInfo(to entry: Element, _ metadata: ClientMetadata) throws {
    defaults.apply(to: entry)
    try bindInfoFiles(to: entry, metadata)
  }

  /// Sets the attributes of info.xml, and with 1.3 of `info`.
  ///
  /// - Throws: `PluginExecutionError` if info.xml has nothing for the client.
  public func bindInfoFiles(to entry: Element, _ metadata: ClientMetadata) throws {
    guard compatibility == .v1_3 else {
      try infoXML?.bindEntry(entry, metadata)
      return
    }
    if !legacyInfo.isEmpty {
      var values = legacyInfo
      if let mode = entry["mode"], !values.contains(where: { $0.name == "mode" }) { values.append(("mode", mode)) }
      LegacyInfo.completeMode(in: &values)
      for (name, value) in values { entry[name] = value }
    }
    try infoXML?.bindEntry13(entry, metadata)
  }

  /// Binds at once, unless info.xml must be rendered first.
  open var binder: EntryBinder {
    guard let infoXML, infoXML.isTemplate else { return .now { [self] in try bindEntry($0, $1) } }
    return .later { [self] in
      defaults.apply(to: $0)
      try await prepareInfo($1)
      try bindEntry($0, $1)
    }
  }

  /// Renders info.xml for a client if it is a template; call it before `bindInfo`.
  public func prepareInfo(_ metadata: ClientMetadata) async throws {
    try await infoXML?.prepare(metadata, by: renderer?())
  }

  /// Returns the renderer of info.xml templates.
  public var renderer: (() -> (any XMLTemplateRenderer)?)?

  /// Stops watching the deleted folder's info.xml.
  open func stopWatching() { infoXML?.stopWatching() }

  /// Binds an entry: info attributes, then the most specific file.
  open func bindEntry(_ entry: Element, _ metadata: ClientMetadata) throws {
    try bindInfo(to: entry, metadata)
    try bestMatching(metadata).bindEntry(entry, metadata)
  }
}

extension Element {
  /// The contents of a bound entry as bytes: decoded if they are Base64.
  package var contentBytes: [UInt8] {
    let bytes = Array((text ?? "").utf8)
    return self["encoding"] == "base64" ? Base64.decode(bytes) ?? [] : bytes
  }
}

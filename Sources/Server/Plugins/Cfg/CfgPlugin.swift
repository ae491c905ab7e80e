import XMLRPC

/// Configuration files: a folder per entry, the files in it by client and group.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg.
public final class CfgPlugin: Plugin, Generator, PullTarget {
  public override class var name: String { "Cfg" }

  /// How bytes become text, from `[components] encoding`.
  private(set) var encoding: TextEncoding
  /// How `.crypt` files are read.
  private(set) var encryption: Encryption
  /// The most bytes of a file, from `[cfg] max_file_size`.
  private(set) var limitBytes: Int
  private var sets: [String: CfgEntrySet] = [:]

  private static let defaultLimitBytes = 64 << 20

  public required init(core: ServerCore) throws {
    encoding = TextEncoding(core.settings.encoding)
    encryption = Encryption(core.settings)
    limitBytes = Self.limit(core.settings)
    try super.init(core: core)
    core.fileMonitor.add(folder, recursive: true, handler: self)
  }

  public override func settingsChanged() {
    encoding = TextEncoding(core.settings.encoding)
    encryption = Encryption(core.settings)
    limitBytes = Self.limit(core.settings)
    for set in sets.values { set.settingsChanged() }
  }

  private static func limit(_ settings: Settings) -> Int {
    settings.value("cfg", "max_file_size")?.value.integer ?? defaultLimitBytes
  }

  /// The text of an option; nil where nobody set it.
  func option(_ section: String, _ option: String) -> String? { core.settings.value(section, option)?.value.text }

  /// The files of an entry.
  func entrySet(_ name: String) -> CfgEntrySet? { sets[name] }

  // MARK: Generator

  public func binder(tag: String, name: String) -> EntryBinder? {
    tag == "Path" ? sets[name]?.binder : nil
  }

  public func entryNames(tag: String) -> [String] { tag == "Path" ? Array(sets.keys) : [] }

  // MARK: PullTarget

  public func acceptChoices(_ entry: Element, _ metadata: ClientMetadata) throws -> [String] {
    guard let name = entry.name, let set = sets[name] else {
      throw PluginExecutionError("No base file found for \(entry.name ?? "None")")
    }
    return try set.acceptChoices(metadata)
  }

  public func acceptPullData(specificTo path: String, _ entry: Element) async throws {
    guard let name = entry.name, let set = sets[name] else {
      throw PluginExecutionError("No base file found for \(entry.name ?? "None")")
    }
    try set.write(entry, to: path)
    core.fileMonitor.processPending()
  }
}

extension CfgPlugin: FileEventHandler {
  public var handlerName: String { "Cfg" }

  public func handleEvent(_ event: FileEvent) {
    if event.isDirectory {
      if event.action == .deleted { sets.removeValue(forKey: "/" + event.relativePath)?.forget() }
      return
    }
    let folder = event.relativePath.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = folder.map { "/" + event.relativePath[..<$0] } ?? ""
    if let set = sets[name] {
      set.handleEvent(event)
    } else if event.action != .deleted {
      let set = CfgEntrySet(name: name, path: self.folder + name, plugin: self)
      sets[name] = set
      set.handleEvent(event)
    }
  }
}

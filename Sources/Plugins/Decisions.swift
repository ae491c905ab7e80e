public import Core
import Logging
public import Repository
import ServerSettings

/// Decisions: which entries clients may (whitelist) or may not (blacklist) install.
///
/// As in 1.4: `Decisions/whitelist.xml` and `blacklist.xml`, with Group and Client conditions. With `[server]
/// compatibility = 1.3`: `whitelist`, `whitelist.G10_group`, `whitelist.H_host` and the same of `blacklist`, of which
/// all that fit a client count.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Decisions.py of both versions.
public final class DecisionsPlugin: Plugin, Decision, FileEventHandler {
  public override class var name: String { "Decisions" }

  private static let modes = ["whitelist", "blacklist"]

  // One of the two has contents, by `[server] compatibility`.
  private var files: [String: StructFile] = [:]
  private var sets: [(mode: String, set: EntrySet)] = []

  public var handlerName: String { name }

  public override func load() {
    if core.settings.compatibility == .v1_3 {
      for mode in Self.modes {
        let set = EntrySet(
          baseName: mode, folder: folder, defaults: core.settings.pathDefaults, monitor: core.fileMonitor,
          logger: logger
        ) { [logger] in DecisionList(path: $0, specificity: $1, logger: logger) }
        sets.append((mode, set))
      }
    } else {
      for mode in Self.modes {
        let file = StructFile(path: "\(folder)/\(mode).xml", monitor: core.fileMonitor, logger: logger)
        file.encryption = Encryption(core.settings)
        file.rootTags = ["Decisions"]
        file.watch()
        files[mode] = file
      }
    }
    core.fileMonitor.add(folder, recursive: false, handler: self)
  }

  /// Reads files of 1.3, and warns of files that neither version knows.
  public func handleEvent(_ event: FileEvent) {
    if event.isDirectory { return }
    let set = Self.modes.firstIndex { Specificity(fileName: event.fileName, baseName: $0) != nil }
    switch (set, sets.isEmpty) {
    case (let index?, false): sets[index].set.handleEvent(event)
    case (_?, true):
      if event.action == .exists || event.action == .created {
        logger.warning("\(event.path) has no effect without [server] compatibility = 1.3; use \(folder)/*list.xml")
      }
    case (nil, false):
      if event.action != .deleted && !EntrySet.isIgnored(event.fileName) {
        logger.error("Could not process filename \(event.path); ignoring")
      }
    case (nil, true): return
    }
  }

  /// - Parameter mode: `whitelist` or `blacklist`; with 1.3 also a beginning of these.
  public func getDecisions(
    _ metadata: ClientMetadata, mode: String
  ) async throws -> [(tag: String?, name: String?)] {
    if !sets.isEmpty {
      return sets.filter { $0.mode.hasPrefix(mode) }.flatMap { $0.set.matching(metadata) }
        .flatMap { ($0 as? DecisionList)?.decisions ?? [] }
    }
    guard let file = files[mode] else { throw PluginExecutionError("no decision list is called '\(mode)'") }
    guard file.compiled != nil else { return [] }
    try await file.prepare(metadata, by: core.xmlTemplateRenderer)
    return Self.decisions(in: try file.xmlMatch(metadata))
  }

  static func decisions(in root: Element) -> [(tag: String?, name: String?)] {
    root.descendants(tagged: "Decision").map { (tag: $0["type"], name: $0["name"]) }
  }
}

/// A decision file of 1.3.
final class DecisionList: SpecificData {
  /// The entries of the last good version.
  private(set) var decisions: [(tag: String?, name: String?)] = []

  override func index() {
    guard let data else { return }
    do throws(XMLFileError) {
      decisions = DecisionsPlugin.decisions(in: try RepositoryXML.parse(data, path: path).root)
    } catch {
      logger.error("\(error)")
    }
  }
}

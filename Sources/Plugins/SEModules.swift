import Core
import Repository
import ServerSettings
import XMLRPC

/// SELinux modules: `SEModules/NAME.pp/NAME.pp`, with variants by group and host, sent as Base64.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/SEModules.py.
final class SEModulesPlugin: GroupSpool<EntrySet> {
  override class var name: String { "SEModules" }
  override var entryType: String { "SEModule" }

  override func makeEntrySet(name: String, path: String) -> EntrySet {
    let set = EntrySet(
      baseName: RepositoryPath.name(of: path), folder: path, defaults: core.settings.pathDefaults,
      compatibility: core.settings.compatibility, monitor: core.fileMonitor, logger: logger
    ) { [logger] in SEModuleData(path: $0, specificity: $1, logger: logger) }
    set.renderer = { [unowned core] in core.xmlTemplateRenderer }
    return set
  }

  override func settingsChanged() {
    super.settingsChanged()
    for set in entrySets.values { set.defaults = core.settings.pathDefaults }
  }

  /// An entry names its module with or without `.pp`; clients get the name without.
  override func binder(tag: String, name: String) -> EntryBinder? {
    if let exact = super.binder(tag: tag, name: name) { return exact }
    guard tag == entryType, let set = entrySets["/" + (name.hasSuffix(".pp") ? name : name + ".pp")] else {
      return nil
    }
    let module = name.hasSuffix(".pp") ? name.dropLast(3) : name[...]
    if case .now = set.binder {
      return .now { entry, metadata in
        entry.name = String(module.drop { $0 == "/" })
        try set.bindEntry(entry, metadata)
      }
    }
    return .later { entry, metadata in
      try await set.prepareInfo(metadata)
      entry.name = String(module.drop { $0 == "/" })
      try set.bindEntry(entry, metadata)
    }
  }
}

/// One module file.
private final class SEModuleData: SpecificData {
  private var encoded = SharedText("")

  override func index() {
    encoded = SharedText(utf8: Base64.encode(data ?? []))
  }

  override func bindEntry(_ entry: Element, _ metadata: ClientMetadata) {
    entry["encoding"] = "base64"
    entry.content = .shared(encoded)
  }
}

import Core
import Identity
import Logging
import Repository

/// Packages from lists: attributes of Package entries by name, group and client.
///
/// An entry may ask for some architectures of a package by `name:arch,arch`.
///
/// Source of the behaviour: 1.3.4's Server/Plugins/Pkgmgr.py. 1.4's binds nothing, because of an error in its lookup.
final class PkgmgrPlugin: Plugin, Generator, SourceTelling {
  override class var name: String { "Pkgmgr" }

  private let lists: PriorityTables<PackageBinding>

  required init(_ context: PluginContext) {
    lists = PriorityTables(
      folder: context.folder, rootTag: "PackageList", monitor: context.core.fileMonitor, logger: context.logger
    ) {
      root, path in
      var list = PackageList(path: path, logger: context.logger)
      list.add(root)
      return list.table
    }
    super.init(context)
  }

  /// Splits `name:arch,arch` at the last colon that is followed by text.
  static func split(_ name: String) -> (name: String, architectures: [Substring])? {
    var end = name.utf8.endIndex
    while let colon = name.utf8[..<end].lastIndex(of: UInt8(ascii: ":")) {
      let rest = name.utf8[name.utf8.index(after: colon)...].prefix { !$0.isXMLSpace }
      if !rest.isEmpty {
        return (String(name[..<colon]), Substring(rest).split(separator: ",", omittingEmptySubsequences: false))
      }
      end = colon
    }
    return nil
  }

  func binder(tag: String, name: String) -> EntryBinder? {
    guard lists.hasName(Self.split(name)?.name ?? name, tag: tag) else { return nil }
    return .now { [unowned self] entry, metadata in try bind(entry, metadata) }
  }

  var entryTags: [String] { ["Package"] }

  func entryNames(tag: String) -> [String] { lists.names(tag: tag) }

  func handlesEntry(_ entry: Element, _ metadata: ClientMetadata) -> Bool {
    guard entry.tag == "Package", let name = entry.name else { return false }
    return lists.hasName(String(name.prefix { $0 != ":" }), tag: "Package")
  }

  func handleEntry(_ entry: Element, _ metadata: ClientMetadata) throws { try bind(entry, metadata) }

  func sources(of entry: Element, _ metadata: ClientMetadata) -> [BindingSource] {
    guard let name = entry.name else { return [] }
    let found = lists.candidates(tag: entry.tag, name: Self.split(name)?.name ?? name, metadata)
    return found.enumerated().map { place, candidate in
      let isTied = found.count(where: { $0.priority == found[0].priority }) > 1
      let outcome: BindingSource.Outcome =
        if candidate.priority < found[0].priority {
          .lost("its priority is lower")
        } else if isTied {
          .lost("another list has the same priority")
        } else {
          .used
        }
      return BindingSource(
        kind: "list", path: candidate.path, line: candidate.value.line,
        scope: "priority \(candidate.priority), \(candidate.value.conditions.text)",
        attributes: Dictionary(candidate.value.attributes.map { ($0.name, $0.value) }) { $1 }, outcome: outcome)
    }
  }

  private func bind(_ entry: Element, _ metadata: ClientMetadata) throws {
    let name = entry.name ?? "None"
    let asked = Self.split(name)
    let binding: PackageBinding?
    do {
      binding = try lists.value(tag: entry.tag, name: asked?.name ?? name, metadata)
    } catch let tied as TiedPriorities {
      let message =
        "Found conflicting sources with same priority (\(tied.priority)) for \(entry.tag):\(name) for "
        + metadata.hostname.text
      logger.error("\(message)")
      logger.error("\(tied.files.joined(separator: ", "))")
      throw PluginExecutionError(message)
    }
    guard let binding else {
      throw PluginExecutionError(
        "No matching source for entry when retrieving attributes for \(entry.tag)(\(name))")
    }
    if let text = binding.text { entry.text = text }
    for child in binding.children { entry.children.append(child.deepCopy()) }
    for (name, value) in binding.attributes { entry[name] = value }
    if let asked {
      entry.children.removeAll { child in
        child.tag == "Instance" && !asked.architectures.contains { $0 == child["arch"] ?? "" }
      }
    }
  }
}

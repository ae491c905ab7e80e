import Core
import Logging
import Repository

/// Prerequisites: entries that a client needs because it has others.
///
/// What the files in Deps give for the entries of all structures, and for those prerequisites in turn, goes into one
/// `<Independent>` structure of its own.
///
/// Source of the behaviour: 1.3.4's Server/Plugins/Deps.py. 1.4's is of no use: half of it expects another kind of
/// file, and it fails on the first entry.
final class DepsPlugin: Plugin, StructureValidator {
  override class var name: String { "Deps" }
  /// After Packages, whose packages have prerequisites too.
  override var sortOrder: Int { 750 }

  /// An entry that is needed.
  private struct Entry: Hashable, Comparable {
    let tag: String
    let name: String

    static func < (a: Entry, b: Entry) -> Bool { (a.tag, a.name) < (b.tag, b.name) }
  }

  private let tables: PriorityTables<Element>

  required init(_ context: PluginContext) {
    tables = PriorityTables(
      folder: context.folder, rootTag: "Dependencies", monitor: context.core.fileMonitor, logger: context.logger
    ) {
      root, _ in
      var table = ConditionalTable<Element>()
      Self.add(root, [], to: &table)
      return table
    }
    super.init(context)
  }

  /// Adds the entries of an element, then those under its conditions, which override them.
  private static func add(
    _ element: Element, _ conditions: [CompiledStructure.Condition],
    to table: inout ConditionalTable<Element>
  ) {
    for child in element.children where !isCondition(child) {
      table.add(child, tag: child.tag, name: child.name, conditions: conditions)
    }
    for child in element.children where isCondition(child) {
      add(child, conditions + [CompiledStructure.Condition(child)], to: &table)
    }
  }

  func validateStructures(_ metadata: ClientMetadata, _ structures: inout [Element]) throws {
    var present: Set<Entry> = []
    for entry in structures.lazy.flatMap(\.children) {
      guard let name = entry.name else { continue }
      let tag = entry.isBound ? String(entry.tag.dropFirst(5)) : entry.tag
      present.insert(Entry(tag: tag, name: name))
    }
    let structure = Element("Independent")
    for entry in try prerequisites(of: present, metadata) { structure.append(entry.tag, ["name": entry.name]) }
    structures.append(structure)
  }

  private func prerequisites(of present: Set<Entry>, _ metadata: ClientMetadata) throws -> [Entry] {
    var found: [Entry] = []
    var known = present
    var waiting = present.sorted()
    while let entry = waiting.popLast() {
      let element: Element?
      do {
        element = try tables.value(tag: entry.tag, name: entry.name, metadata)
      } catch let tied as TiedPriorities {
        throw PluginExecutionError(
          "Deps: Found conflicting dependencies with same priority for \(entry.tag):\(entry.name) for "
            + "\(metadata.hostname): \(tied.files.joined(separator: ", "))")
      }
      guard let element else { continue }
      // 1.3.4 chose a file by its priority, and then took nothing from it: clients must not get more than they had.
      if tables.count(tag: entry.tag, name: entry.name, metadata) > 1 {
        logger.warning(
          "Deps: \(entry.tag):\(entry.name) is in several files for \(metadata.hostname): none of them counts")
        continue
      }
      // 1.3.4 knows no conditions here: a Group within an entry is an entry, which nobody binds.
      for child in element.children {
        guard let name = child.name else {
          logger.error("Deps: \(child.tag) in \(entry.tag):\(entry.name) has no name (line \(child.line))")
          continue
        }
        let needed = Entry(tag: child.tag, name: name)
        guard known.insert(needed).inserted else { continue }
        found.append(needed)
        waiting.append(needed)
      }
    }
    return found
  }
}

import Core
import Logging
import Repository
package import XMLRPC

/// The packages that structures name: what the packages that others need are found from.
package nonisolated struct PackageNames: Hashable, Sendable {
  /// A group of packages.
  package struct Group: Hashable, Comparable, Sendable {
    package let name: Name
    package let type: Name?

    /// As Python 2 sorts pairs: no type before any.
    package static func < (one: Group, other: Group) -> Bool {
      if one.name != other.name { return one.name < other.name }
      guard let second = other.type else { return false }
      return one.type.map { $0 < second } ?? true
    }
  }

  /// Attribute `recommended` of an entry.
  package struct Wish: Hashable, Sendable {
    package let name: Name
    package let isWanted: Bool
  }

  package var names: [Name] = []
  package var groups: [Group] = []
  /// In the order of the entries: of several for one package the last counts.
  package var wishes: [Wish] = []

  var isEmpty: Bool { names.isEmpty && groups.isEmpty }

  package init() {}

  /// The names of several structures together, each once, in order.
  init(_ notes: [StructureNote]) {
    var (names, groups): (Set<Name>, Set<Group>) = ([], [])
    for note in notes {
      guard let some = note.value as? PackageNames else { continue }
      names.formUnion(some.names)
      groups.formUnion(some.groups)
      wishes += some.wishes
    }
    self.names = names.sorted()
    self.groups = groups.sorted()
  }
}

extension PackageNames {
  /// Takes the packages out of a structure's entries. Entries of groups are removed: the packages of the group are there
  /// instead.
  init(takenFrom structure: Element, readsWishes: Bool, logger: Logger) {
    take(structure, readsWishes, logger)
    names = Set(names).sorted()
  }

  static func isPackage(_ entry: Element) -> Bool { entry.tag == "Package" || entry.tag == "BoundPackage" }

  private mutating func take(_ parent: Element, _ readsWishes: Bool, _ logger: Logger) {
    var hasGroups = false
    for entry in parent.children {
      if Self.isPackage(entry) {
        if let name = entry.name, !name.isEmpty {
          names.append(Name(name))
          if readsWishes, let wish = entry["recommended"], !wish.isEmpty {
            wishes.append(Wish(name: Name(name), isWanted: wish.lowercased() == "true"))
          }
        } else if let group = Self.group(of: entry) {
          groups.append(Group(name: Name(group), type: entry["type"].map { Name($0) }))
          hasGroups = true
        } else {
          let attributes = entry.attributes.map { " \($0)=\"\($1)\"" }.joined()
          logger.error("Packages: Malformed Package: <\(entry.tag)\(attributes.beginning(bytes: 400))/>")
        }
      }
      if !entry.children.isEmpty { take(entry, readsWishes, logger) }
    }
    if hasGroups {
      parent.children.removeAll { Self.isPackage($0) && $0.name?.isEmpty ?? true && Self.group(of: $0) != nil }
    }
  }

  private static func group(of entry: Element) -> String? { entry["group"].flatMap { $0.isEmpty ? nil : $0 } }

  /// What becomes of entries of groups where nothing is resolved: clients choose.
  static func letClientsChoose(in structure: Element) {
    structure.forEachDescendant { entry in
      guard isPackage(entry), group(of: entry) != nil, let type = entry["type"], !type.isEmpty else { return }
      entry["choose"] = type
    }
  }
}

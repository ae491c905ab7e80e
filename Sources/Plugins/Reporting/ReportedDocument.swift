package import ReportRecords
package import Repository

/// Makes an `Interaction` of the element `Statistics` that a client sends, or that a Python server has kept.
///
/// Source of the document: Bcfg2/bcfg2: src/lib/Bcfg2/Client/__init__.py, and Reporting/Storage/DjangoORM.py, which reads it.
package enum ReportedDocument {
  /// What is kept of one interaction.
  package struct Limits {
    package var entries: Int
    package var bytes: Int

    package init(entries: Int, bytes: Int) {
      self.entries = entries
      self.bytes = bytes
    }
  }

  /// Bytes of a value besides its text, about.
  private static let valueBytes = 4

  /// Adds what the element says to an interaction.
  ///
  /// - Returns: how many entries were left out, because there are too many or they are too long.
  package static func read(_ statistics: Element, into interaction: inout Interaction, limits: Limits) -> Int {
    var bytes = 0
    func text(_ name: String, _ absent: String) -> String {
      guard let value = statistics[name] else { return absent }
      bytes += value.utf8.count
      return value
    }
    interaction.state = text("state", "unknown")
    interaction.revision = text("revision", "unknown")
    interaction.good = statistics["good"].flatMap { Int($0) } ?? 0
    interaction.total = statistics["total"].flatMap { Int($0) } ?? 0
    for flag in statistics.firstChild(tagged: "Flags")?.children ?? [] where flag.tag == "Flag" {
      let isSet = flag["value"]?.lowercased() == "true"
      switch flag["name"] {
      case "dry_run": interaction.isDryRun = isSet
      case "only_important": interaction.isOnlyImportant = isSet
      default: continue
      }
    }
    if let stamps = statistics.firstChild(tagged: "OpStamps") {
      let values = attributes(stamps)
      bytes += size(of: values)
      if bytes <= limits.bytes { interaction.stamps = values }
    }
    return addItems(statistics, to: &interaction, limits, bytes)
  }

  private static func addItems(
    _ statistics: Element, to interaction: inout Interaction, _ limits: Limits, _ before: Int
  ) -> Int {
    var bytes = before
    var cut = 0
    let lists: [(tag: String, state: ReportedItem.State)] = [("Bad", .bad), ("Extra", .extra), ("Modified", .modified)]
    for (tag, state) in lists {
      // Of several lists of a state all count, as XPath finds them.
      for list in statistics.children where list.tag == tag {
        interaction.items.reserveCapacity(interaction.items.count + min(list.children.count, limits.entries))
        for entry in list.children {
          let item = item(entry, state)
          let itemBytes = size(of: item)
          guard interaction.items.count < limits.entries, bytes + itemBytes <= limits.bytes else {
            cut += 1
            continue
          }
          bytes += itemBytes
          interaction.items.append(item)
        }
      }
    }
    return cut
  }

  private static func item(_ entry: Element, _ state: ReportedItem.State) -> ReportedItem {
    ReportedItem(
      state: state, tag: entry.tag, attributes: attributes(entry),
      children: entry.children.map { ReportedItem.Child(tag: $0.tag, attributes: attributes($0)) })
  }

  private static func attributes(_ element: Element) -> [Attribute] {
    element.attributes.map { Attribute($0.name, $0.value) }
  }

  private static func size(of item: ReportedItem) -> Int {
    item.children.reduce(item.tag.utf8.count + valueBytes + size(of: item.attributes)) {
      $0 + $1.tag.utf8.count + valueBytes + size(of: $1.attributes)
    }
  }

  private static func size(of attributes: [Attribute]) -> Int {
    attributes.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 2 * valueBytes }
  }
}

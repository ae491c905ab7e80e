package import Repository
import XMLRPC

/// Values by tag and name of entries, each under the Group and Client conditions of the file that it stands in.
///
/// Of several values of one entry that apply to a client the innermost one counts, the last one of equal depth.
///
/// Source of the contract: 1.3.4's Server/Plugin/helpers.py, INode.
package struct ConditionalTable<Value> {
  private struct Key: Hashable {
    let tag: Name
    let name: Name?

    init(_ tag: String, _ name: String?) {
      self.tag = Name(tag)
      self.name = name.map { Name($0) }
    }
  }

  private struct Candidate {
    let conditions: [CompiledStructure.Condition]
    let value: Value
  }

  private var candidates: [Key: [Candidate]] = [:]
  /// Names that have a value for some client, by tag.
  private(set) var names: NameTable<NameSet> = [:]

  package init() {}

  /// Adds a value; later ones go before earlier ones.
  package mutating func add(_ value: Value, tag: String, name: String?, conditions: [CompiledStructure.Condition]) {
    candidates[Key(tag, name), default: []].append(Candidate(conditions: conditions, value: value))
    if let name { names[tag, default: []].insert(name) }
  }

  /// The value for a client; nil where none applies.
  func value(tag: String, name: String?, _ metadata: ClientMetadata) -> Value? {
    candidates[Key(tag, name)]?.last { candidate in
      candidate.conditions.allSatisfy { $0.holds(metadata) }
    }?.value
  }
}

/// The elements that are conditions, for files that are no `StructFile`.
package func isCondition(_ element: Element) -> Bool { CompiledStructure.standardConditions.contains(element.tag) }

package import Repository
import XMLRPC

/// Values by tag and name of entries, each under the Group and Client conditions around it in the file.
///
/// If several values of one entry apply to a client, the innermost one wins, then the last one.
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

  /// Adds a value; later ones take precedence.
  package mutating func add(_ value: Value, tag: String, name: String?, conditions: [CompiledStructure.Condition]) {
    candidates[Key(tag, name), default: []].append(Candidate(conditions: conditions, value: value))
    if let name { names[tag, default: []].insert(name) }
  }

  /// The value for a client; nil if none applies.
  func value(tag: String, name: String?, _ metadata: ClientMetadata) -> Value? {
    candidates[Key(tag, name)]?.last { candidate in
      candidate.conditions.allSatisfy { $0.holds(metadata) }
    }?.value
  }
}

/// Whether an element is a condition, for files that are no `StructFile`.
package func isCondition(_ element: Element) -> Bool { CompiledStructure.standardConditions.contains(element.tag) }

package import Repository

/// Something of the repository that may say what an entry is, and what became of it: for `bcfg2-info why`.
public struct BindingSource: Sendable {
  public enum Outcome: Sendable, Equatable {
    /// It is what the client gets.
    case used
    /// Why it is not.
    case lost(String)
  }

  /// `contents`, `attributes` and the like.
  public let kind: String
  /// Absolute path.
  public let path: String
  /// 0 for the whole file.
  public let line: Int32
  /// Whom it is for, and with which priority.
  public let scope: String
  /// Attributes that it has.
  public let attributes: [String: String]
  public let outcome: Outcome

  public init(
    kind: String, path: String, line: Int32 = 0, scope: String, attributes: [String: String] = [:], outcome: Outcome
  ) {
    self.kind = kind
    self.path = path
    self.line = line
    self.scope = scope
    self.attributes = attributes
    self.outcome = outcome
  }
}

/// A plugin that can say what it makes an entry from.
package protocol SourceTelling: Plugin {
  /// What applies to an entry for a client: what is used first, then what lost against it.
  ///
  /// - Parameter entry: with the name that is looked up, not bound.
  func sources(of entry: Element, _ metadata: ClientMetadata) async throws -> [BindingSource]
}

extension CompiledStructure.Condition {
  /// `Group web`, `not Client one.example.com`.
  package var description: String {
    let tag =
      switch kind {
      case .group: "Group"
      case .client: "Client"
      case .path: "Path"
      }
    return "\(isNegated ? "not " : "")\(tag) \(name ?? "without a name")"
  }
}

extension [CompiledStructure.Condition] {
  /// All of them; `all clients` for none.
  package var text: String { isEmpty ? "all clients" : map(\.description).joined(separator: ", ") }
}

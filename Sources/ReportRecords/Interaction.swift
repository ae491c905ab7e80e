/// One run of a client, as it was reported.
public struct Interaction: Sendable, Hashable {
  /// The client's name.
  public var hostname: String
  /// When the server received it: microseconds since 1970.
  public var microseconds: Int64
  /// The server's node name.
  public var server = ""
  public var profile = ""
  public var groups: [String] = []
  public var bundles: [String] = []
  /// As the client sent it: `clean` or `dirty`; `unknown` where it sent none.
  public var state = "unknown"
  public var revision = ""
  public var good = 0
  public var total = 0
  public var isDryRun = false
  public var isOnlyImportant = false
  /// Elements of Bad, Extra and Modified, in this order.
  public var items: [ReportedItem] = []
  /// Phases of the run with their times, as the client sent them.
  public var stamps: [Attribute] = []

  public init(hostname: String, microseconds: Int64) {
    self.hostname = hostname
    self.microseconds = microseconds
  }
}

/// A name and a value.
public struct Attribute: Sendable, Hashable {
  public var name: String
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

/// An entry that was reported as bad, modified or extra.
public struct ReportedItem: Sendable, Hashable {
  /// The numbers of column `state`.
  public enum State: UInt8, Sendable, Hashable, CaseIterable { case good, bad, modified, extra }

  public var state: State
  /// The element's name: `Path`, `Package`.
  public var tag: String
  public var attributes: [Attribute]
  /// Child elements (`Instance`, `Prune`), without children of their own.
  public var children: [Child] = []

  public struct Child: Sendable, Hashable {
    public var tag: String
    public var attributes: [Attribute]

    public init(tag: String, attributes: [Attribute]) {
      self.tag = tag
      self.attributes = attributes
    }
  }

  public init(state: State, tag: String, attributes: [Attribute], children: [Child] = []) {
    self.state = state
    self.tag = tag
    self.attributes = attributes
    self.children = children
  }

  public subscript(_ name: String) -> String? { attributes.first { $0.name == name }?.value }
}

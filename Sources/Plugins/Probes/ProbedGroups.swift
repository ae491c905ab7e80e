import OrderedCollections
import XMLRPC

/// The groups that the probes of one report name.
///
/// More than a few hundred are a mistake or an attack, and each costs a comparison with `allowed_groups` and a place in
/// everything that is built for the client.
struct ProbedGroups {
  /// Most bytes of a group's name: regular expressions have no bound on their own.
  static let limitBytes = 1024
  /// How many refusals are logged, one line each.
  private static let toldRefusals = 10

  /// Most groups that are looked at.
  let limit: Int
  private var accepted = OrderedSet<Name>()
  private var refused = NameSet()
  private var hasOverflowed = false

  init(limit: Int) { self.limit = limit }

  /// The allowed groups, in the order in which they were named.
  var names: [String] { accepted.map(\.text) }

  /// Whether a group was named before.
  func isKnown(_ group: String) -> Bool { accepted.contains(Name(group)) || refused.contains(group) }

  /// Whether a further group is looked at.
  func hasRoom(for group: String) -> Bool {
    group.utf8.count <= Self.limitBytes && accepted.count + refused.count < limit
  }

  /// - Returns: true the first time.
  mutating func countOverflow() -> Bool {
    defer { hasOverflowed = true }
    return !hasOverflowed
  }

  mutating func accept(_ group: String) { accepted.append(Name(group)) }

  /// - Returns: whether to log it.
  mutating func refuse(_ group: String) -> Bool {
    refused.insert(group)
    return refused.count <= Self.toldRefusals
  }
}

import Core
import Identity
import Logging
import XMLRPC

/// The groups and categories of one client while they are found.
struct GroupMembership {
  let client: ClientName
  var groups: NameSet
  var categories: NameTable<String>
  /// The groups that were added, in order, without those that were taken away again.
  private(set) var added: [String] = []

  init(client: ClientName, groups: NameSet = [], categories: NameTable<String> = [:]) {
    self.client = client
    self.groups = groups
    self.categories = categories
  }

  mutating func insert(_ group: String) {
    if groups.insert(group).inserted { added.append(group) }
  }

  mutating func remove(_ group: String) {
    groups.remove(group)
    added.removeAll { Name.areSame($0, group) }
  }
}

extension MetadataPlugin {
  /// Whether a client may have one more group: not if it is in another group of the same category. Logs the first refusal
  /// of each client and group.
  func categoryAllows(_ group: String, _ membership: GroupMembership) -> Bool {
    guard let category = groups[group]?.category, !category.isEmpty else { return true }
    guard let present = membership.categories[category] else { return true }
    if suppressions[group, default: []].insert(membership.client).inserted {
      logger.warning(
        "\(name): Group \(group) suppressed by category \(category); \(membership.client) already a member of \(present)"
      )
    }
    return false
  }

  /// Adds a group and its category, where the category allows it.
  @discardableResult
  func addGroup(_ group: String, to membership: inout GroupMembership) -> Bool {
    guard categoryAllows(group, membership) else { return false }
    if let category = groups[group]?.category, !category.isEmpty { membership.categories[category] = group }
    membership.insert(group)
    return true
  }

  /// Adds and removes groups by the rules of groups.xml until nothing changes.
  ///
  /// The rules of one pass see the groups as they were at its beginning, and the categories as they are now. As in Bcfg2,
  /// the first pass that leaves the number of groups as it was is the last. Unlike Bcfg2, the number of passes is bounded.
  func mergeGroups(_ membership: inout GroupMembership) {
    let memberships = rules.memberships
    let removals = rules.removals
    let limit = 2 * (memberships.rules.count + removals.rules.count) + 2
    for _ in 0..<limit {
      let count = membership.groups.count
      var new: [String] = []
      var settled = -1
      for number in memberships.candidates(membership.client, membership.groups) {
        let rule = memberships.rules[number]
        guard rule.position != settled, !membership.groups.contains(rule.group) else { continue }
        guard rule.holds(membership.client, membership.groups), categoryAllows(rule.group, membership) else { continue }
        settled = rule.position
        new.append(rule.group)
        if let category = groups[rule.group]?.category, !category.isEmpty {
          membership.categories[category] = rule.group
        }
      }
      for group in new { membership.insert(group) }
      var leaving: [String] = []
      for number in removals.candidates(membership.client, membership.groups) {
        let rule = removals.rules[number]
        guard membership.groups.contains(rule.group), leaving.last != rule.group,
          rule.holds(membership.client, membership.groups)
        else { continue }
        leaving.append(rule.group)
        if let category = groups[rule.group]?.category { membership.categories[category] = nil }
      }
      for group in leaving { membership.remove(group) }
      if membership.groups.count == count { return }
    }
    logger.error(
      "\(name): Groups of \(membership.client) in groups.xml contradict each other; they are taken as they are now")
  }
}

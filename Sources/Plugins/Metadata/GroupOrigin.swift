package import Core
import Identity
import Repository
import XMLRPC

/// Why a client is in a group, for `bcfg2-info why`.
package struct GroupOrigin {
  /// What made it a member.
  package enum Reason {
    /// clients.xml names it as the client's profile.
    case profile
    /// It is the profile of clients that have none.
    case defaultProfile
    /// A line of groups.xml, for clients that meet conditions.
    case rule(line: Int32, conditions: [String])
    /// A connector, or a rule that only held before.
    case other
  }

  package let group: String
  package let reason: Reason
  /// The file that says so; nil where none does.
  package let path: String?
}

extension MetadataPlugin {
  /// How a client comes to be in a group: the group itself first, then the groups that its rule asks for, back to the profile.
  package func origins(of group: String, _ metadata: ClientMetadata) -> [GroupOrigin] {
    var origins: [GroupOrigin] = []
    var known: NameSet = []
    var next = [group]
    while let group = next.popLast() {
      guard known.insert(group).inserted else { continue }
      let (origin, needed) = origin(of: group, metadata)
      origins.append(origin)
      next += needed.reversed()
    }
    return origins
  }

  private func origin(of group: String, _ metadata: ClientMetadata) -> (GroupOrigin, needed: [String]) {
    let profiles = record(of: metadata.hostname)?.profiles ?? []
    if profiles.contains(where: { $0.map { Name.areSame($0, group) } ?? false }) {
      return (GroupOrigin(group: group, reason: .profile, path: clientsFile.path), [])
    }
    for rule in rules.memberships.rules
    where Name.areSame(rule.group, group) && rule.holds(metadata.hostname, metadata.groups) {
      let needed = rule.conditions.compactMap { condition -> String? in
        if case .group(let name) = condition.subject, !condition.isNegated { name } else { nil }
      }
      let reason = GroupOrigin.Reason.rule(line: rule.line, conditions: rule.conditions.reversed().map(\.text))
      return (GroupOrigin(group: group, reason: reason, path: groupsFile.path), needed)
    }
    if let standard = rules.defaultGroup, Name.areSame(standard, group) {
      return (GroupOrigin(group: group, reason: .defaultProfile, path: groupsFile.path), [])
    }
    return (GroupOrigin(group: group, reason: .other, path: nil), [])
  }

  /// Groups of a client that have a bundle, sorted.
  package func groups(with bundle: String, _ metadata: ClientMetadata) -> [String] {
    metadata.groups.sorted().filter { name in
      groups[name]?.bundles.contains { Name.areSame($0, bundle) } ?? false
    }
  }

  /// Where groups.xml declares a group; 0 where it does not.
  package func line(ofGroup group: String) -> Int32 { rules.lines[group] ?? 0 }
}

extension GroupRules.Condition {
  fileprivate var text: String {
    switch subject {
    case .group(let name): "\(isNegated ? "not " : "")Group \(name)"
    case .client(let name): "\(isNegated ? "not " : "")Client \(name)"
    }
  }
}

import Core
import Identity
import Repository
import XMLRPC

/// groups.xml, compiled: the groups it declares, and for every leaf of its tree a rule that makes a client a member of
/// a group or takes it out again.
///
/// Source of the reading: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, `_handle_groups_xml_event`.
struct GroupRules {
  /// One condition on the way to a leaf: an enclosing Group or Client element.
  struct Condition {
    enum Subject {
      case group(String)
      case client(String)
    }
    let subject: Subject
    let isNegated: Bool

    func holds(_ client: ClientName, _ groups: NameSet) -> Bool {
      switch subject {
      case .group(let name): groups.contains(name) != isNegated
      case .client(let name): client.isSame(as: name) != isNegated
      }
    }
  }

  /// One leaf: its group, and what must hold.
  struct Rule {
    let group: String
    /// The position of the rule's group among all groups that have rules: groups are tried in that order.
    let position: Int
    let conditions: [Condition]
    /// In its file.
    let line: Int32

    func holds(_ client: ClientName, _ groups: NameSet) -> Bool {
      conditions.allSatisfy { $0.holds(client, groups) }
    }
  }

  /// Rules, found by the one condition that most clients do not meet.
  struct Index {
    private(set) var rules: [Rule] = []
    private var byClient: NameTable<[Int]> = [:]
    private var byGroup: NameTable<[Int]> = [:]
    private var always: [Int] = []
    private(set) var positions: NameTable<Int> = [:]

    mutating func add(group: String, conditions: [Condition], line: Int32) {
      let position = positions[group] ?? positions.count
      positions[group] = position
      let number = rules.count
      rules.append(Rule(group: group, position: position, conditions: conditions, line: line))
      var enclosingGroup: String?
      for condition in conditions where !condition.isNegated {
        switch condition.subject {
        case .client(let name):
          byClient[name, default: []].append(number)
          return
        case .group(let name): if enclosingGroup == nil { enclosingGroup = name }
        }
      }
      if let enclosingGroup {
        byGroup[enclosingGroup, default: []].append(number)
      } else {
        always.append(number)
      }
    }

    /// The rules that can hold for a client with these groups, in the order in which they are tried.
    func candidates(_ client: ClientName, _ groups: NameSet) -> [Int] {
      var found = always
      if let more = byClient[client.text] { found += more }
      for group in groups {
        if let more = byGroup[group] { found += more }
      }
      found.sort { (rules[$0].position, $0) < (rules[$1].position, $1) }
      return found
    }
  }

  /// Declared groups by name.
  private(set) var groups: NameTable<MetadataGroup> = [:]
  /// Lines of their declarations.
  private(set) var lines: NameTable<Int32> = [:]
  /// The profile of unknown clients; nil if none is the default.
  private(set) var defaultGroup: String?
  private(set) var memberships = Index()
  private(set) var removals = Index()

  init() {}

  /// Compiles a document.
  /// - Parameter complain: told of elements that cannot be used, with their line.
  init(root: Element, complain: (_ line: Int32, _ message: String) -> Void) {
    declare(root)
    compile(root, complain)
  }

  /// Groups directly below a Groups element are declared first, then those below them: the first declaration counts.
  private mutating func declare(_ root: Element) {
    var nested: [Element] = []
    func walk(_ element: Element, isInGroup: Bool) {
      for child in element.children {
        let isGroup = child.tag == "Group"
        if isGroup, element.tag == "Groups" {
          declareGroup(child)
        } else if isGroup, isInGroup {
          nested.append(child)
        }
        walk(child, isInGroup: isInGroup || isGroup && element.tag == "Groups")
      }
    }
    walk(root, isInGroup: false)
    for group in nested { declareGroup(group) }
  }

  private mutating func declareGroup(_ element: Element) {
    guard let name = element.name, groups[name] == nil else { return }
    groups[name] = MetadataGroup(
      name: name, bundles: element.children(tagged: "Bundle").compactMap(\.name), category: element["category"],
      isProfile: element["profile"] == "true", isPublic: element["public"] == "true")
    lines[name] = element.line
    if element["default"] == "true" { defaultGroup = name }
  }

  /// Every Group without children (a comment is one, as in Bcfg2), below another Group or below a Client, becomes a
  /// rule: first all that are below groups, then those that are below clients only.
  private mutating func compile(_ root: Element, _ complain: (Int32, String) -> Void) {
    var belowClients: [(Element, [Condition])] = []
    var belowGroups: [(Element, [Condition])] = []
    func walk(_ element: Element, _ conditions: [Condition], isInGroup: Bool, isInClient: Bool) {
      for child in element.children {
        guard child.tag == "Group" || child.tag == "Client" else {
          walk(child, conditions, isInGroup: isInGroup, isInClient: isInClient)
          continue
        }
        if child.isLeaf {
          guard isInGroup || isInClient else { continue }
          if child.tag == "Client" {
            complain(child.line, "Client \(child.name ?? "") holds nothing, ignored")
          } else if child.name == nil {
            complain(child.line, "Group without a name, ignored")
          } else if isInGroup {
            belowGroups.append((child, conditions))
          } else {
            belowClients.append((child, conditions))
          }
          continue
        }
        guard let name = child.name else {
          complain(child.line, "\(child.tag) without a name, ignored with all that it holds")
          continue
        }
        let subject: Condition.Subject = child.tag == "Group" ? .group(name) : .client(name)
        let isOutermost = element.tag == "Groups"
        walk(
          child, [Condition(subject: subject, isNegated: child.isTrue("negate"))] + conditions,
          isInGroup: isInGroup || isOutermost && child.tag == "Group",
          isInClient: isInClient || isOutermost && child.tag == "Client")
      }
    }
    walk(root, [], isInGroup: false, isInClient: false)
    for (element, conditions) in belowGroups + belowClients {
      guard let name = element.name else { continue }
      if element.isTrue("negate") {
        removals.add(group: name, conditions: conditions, line: element.line)
        continue
      }
      if groups[name] == nil { complain(element.line, "Group \(name) is not declared outside of Client elements") }
      memberships.add(group: name, conditions: conditions, line: element.line)
    }
  }
}

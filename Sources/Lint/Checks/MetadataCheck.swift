import Core
import Plugins
import Repository
import XMLRPC

extension LintPlugin {
  /// clients.xml and groups.xml agree with each other and with themselves.
  static let metadata = LintPlugin(
    "Metadata", serverPlugin: "Metadata",
    errors: [
      "nested-client-tags": .warning, "deprecated-clients-options": .warning, "nonexistent-profile-group": .error,
      "non-profile-set-as-profile": .error, "duplicate-group": .error, "duplicate-client": .error,
      "multiple-default-groups": .error, "default-is-not-profile": .error,
    ]
  ) { context, core in
    guard let metadata = core.loaded(MetadataPlugin.self) else { return }
    if let groups = context.metadataRoot("groups.xml"), context.handles(groups.path) {
      GroupsFileCheck(context, groups.path, groups.root).run(metadata)
    }
    if let clients = context.metadataRoot("clients.xml"), context.handles(clients.path) {
      checkClients(clients.root, clients.path, metadata, context)
    }
  }

  private static func checkClients(
    _ root: Element, _ path: String, _ metadata: MetadataPlugin, _ context: LintContext
  ) {
    let clients = root.all(tagged: "Client")
    func add(_ name: String, _ message: String, _ more: [Element], _ client: Element) {
      context.report.add(name, message, more: more.map { $0.rendered() }, at: .init(path, line: Int(client.line)))
    }
    for client in clients {
      if let location = client["location"], !location.isEmpty {
        add(
          "deprecated-clients-options",
          "The location='\(location)' option is deprecated.  Please use floating='\(location == "floating")' instead:",
          [client], client)
      }
    }
    for client in clients {
      let name = client.name ?? "None"
      let profile = client["profile"]
      if let group = profile.flatMap({ metadata.groups[$0] }) {
        if !group.isProfile {
          add(
            "non-profile-set-as-profile",
            "\(group.name) is set as profile for \(name), but \(group.name) is not a profile group:",
            [client], client)
        }
      } else if profile != nil || !metadata.keepsClientsInDatabase {
        add(
          "nonexistent-profile-group",
          "\(name) has nonexistent profile group \(profile ?? "None"):", [client], client)
      }
    }
    var byName: [String: [Element]] = [:]
    for client in clients { byName[client.name ?? "None", default: []].append(client) }
    for (name, twins) in byName.sorted(by: { Name.isOrdered($0.key, before: $1.key) }) where twins.count > 1 {
      add(
        "duplicate-client",
        "Client \(name) is defined multiple times:", twins, twins[1])
    }
  }
}

/// The checks of groups.xml.
private struct GroupsFileCheck {
  private let context: LintContext
  private let path: String
  private let root: Element
  /// The groups that are declared: below the root, and below those.
  private let declared: [Element]

  init(_ context: LintContext, _ path: String, _ root: Element) {
    self.context = context
    self.path = path
    self.root = root
    var outer: [Element] = []
    var inner: [Element] = []
    Self.collect(root, into: &outer, &inner)
    declared = outer + inner
  }

  /// `Groups/Group`, then the groups inside those.
  private static func collect(_ parent: Element, into outer: inout [Element], _ inner: inout [Element]) {
    for child in parent.children {
      if child.tag == "Group", parent.tag == "Groups" {
        outer.append(child)
        inner += child.descendants(tagged: "Group").filter { !outer.containsSame($0) }
      } else {
        collect(child, into: &outer, &inner)
      }
    }
  }

  func run(_ metadata: MetadataPlugin) {
    for outer in root.all(tagged: "Client") {
      for client in outer.descendants(tagged: "Client") {
        add(
          "nested-client-tags", "Client \(client.name ?? "None") nested within Client tag: \(client.rendered())", [],
          client
        )
      }
    }
    checkDuplicates()
    let defaults = declared.filter { $0.isTrue("default") }
    if defaults.count > 1 {
      add("multiple-default-groups", "Multiple default groups defined:", defaults, defaults[1])
    }
    if let name = metadata.defaultGroup, metadata.groups[name]?.isProfile != true,
      let group = root.all(tagged: "Group").first(where: { $0.name == name })
    {
      add("default-is-not-profile", "Default group is not a profile group:", [group], group)
    }
  }

  /// Groups that two elements with attributes declare, or one without and then one with some.
  private func checkDuplicates() {
    var known: [String: Element] = [:]
    var order: [String] = []
    var duplicates: [String: [Element]] = [:]
    for group in declared {
      let name = group.name ?? "None"
      if duplicates[name] != nil {
        duplicates[name]?.append(group)
      } else if group.attributes.count > 1, let other = known[name] {
        duplicates[name] = [group, other]
        order.append(name)
      } else {
        known[name] = group
      }
    }
    for name in order {
      let groups = duplicates[name] ?? []
      add("duplicate-group", "Group \(name) is defined multiple times:", groups, groups[0])
    }
  }

  private func add(_ name: String, _ message: String, _ more: [Element], _ element: Element) {
    context.report.add(name, message, more: more.map { $0.rendered() }, at: .init(path, line: Int(element.line)))
  }
}

extension [Element] {
  fileprivate func containsSame(_ element: Element) -> Bool { contains { $0 === element } }
}

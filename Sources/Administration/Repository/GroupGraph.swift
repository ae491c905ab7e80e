public import Core
import EventLoop
import Identity
public import Repository
import ServerSettings
import XMLRPC

/// groups.xml as a graph in the language of graphviz, as `bcfg2-admin viz` draws it.
///
/// Source of the form: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Metadata.py, `viz`, and Server/Admin.py, Viz.
public struct GroupGraph {
  /// What is drawn.
  public struct Choice {
    public var hosts = false
    public var bundles = false
    public var key = false
    /// Draws the groups and bundles of one client only.
    public var client: ClientMetadata?

    public init() {}
  }

  /// Colours of categories, in the order in which these come.
  static let colors = [
    "steelblue1", "chartreuse", "gold", "magenta", "indianred1", "limegreen", "orange1", "lightblue2", "green1",
    "blue1", "yellow1", "darkturquoise", "gray66",
  ]

  private let choice: Choice
  /// Groups at the top of the document or of a `Groups` element.
  private let groups: [Element]
  private let bundles: [String]
  private let memberships: [(client: String, groups: [String])]

  /// - Parameters:
  ///   - root: groups.xml, with what it includes.
  ///   - memberships: clients and their profiles.
  public init(_ root: Element, memberships: [(client: String, groups: [String])], _ choice: Choice) {
    self.choice = choice
    self.memberships = memberships
    var groups = root.children(tagged: "Group")
    var bundles: Set<String> = []
    root.forEachDescendant { element in
      if element.tag == "Groups", element !== root { groups += element.children(tagged: "Group") }
      if element.tag == "Bundle", let name = element.name { bundles.insert(name) }
    }
    self.groups = groups
    self.bundles = bundles.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The whole graph.
  public var text: String {
    let categories = categoryColors()
    var lines: [String] = []
    if choice.hosts { lines += hostLines() }
    if choice.bundles { lines += bundleLines() }
    lines += groupLines(categories)
    if choice.key {
      lines += categories.map { category, color in
        "\(quoted(category)) [label=\(quoted(category)), shape=\"trapezium\", style=\"filled\", fillcolor=\"\(color)\"];"
      }
    }
    var all = ["digraph groups {", "\trankdir=\"LR\";"] + lines.map { "\t" + $0 }
    if choice.key { all += Self.key }
    return (all + ["}"]).joined(separator: "\n") + "\n"
  }

  private static let key = [
    "\tsubgraph cluster_key {", "\tstyle=\"filled\";", "\tcolor=\"lightblue\";", "\tBundle [ shape=\"septagon\" ];",
    "\tGroup [shape=\"ellipse\"];", "\t\"Group Category\" [shape=\"trapezium\"];",
    "\tProfile [style=\"bold\", shape=\"ellipse\"];", "\tHblock [label=\"Host1|Host2|Host3\",shape=\"record\"];",
    "\tlabel=\"Key\";", "\t}",
  ]

  /// Categories in the order in which they come, behind `default`.
  private func categoryColors() -> [(name: String, color: String)] {
    var categories = [(name: "default", color: "grey83")]
    for group in groups {
      guard let category = group["category"], !categories.contains(where: { Name.areSame($0.name, category) }) else {
        continue
      }
      categories.append((category, Self.colors[(categories.count - 1) % Self.colors.count]))
    }
    return categories
  }

  private func hostLines() -> [String] {
    var order: [String] = []
    var hosts: [Name: [String]] = [:]
    for (client, groups) in memberships where choice.client.map({ $0.facts.hostname.text == client }) ?? true {
      for group in groups {
        if hosts[Name(group)] == nil { order.append(group) }
        hosts[Name(group), default: []].append(client)
      }
    }
    return order.flatMap { group in
      let label = (hosts[Name(group)] ?? []).sorted().map(Self.recordText).joined(separator: "|")
      return [
        "\(quoted("\(group)-instances")) [ label=\"\(label)\", shape=\"record\" ];",
        "\(quoted("\(group)-instances")) -> \(quoted("group-\(group)"));",
      ]
    }
  }

  private func bundleLines() -> [String] {
    bundles.filter(isDrawn(bundle:)).map {
      "\(quoted("bundle-\($0)")) [ label=\(quoted($0)), shape=\"septagon\"];"
    }
  }

  private func groupLines(_ categories: [(name: String, color: String)]) -> [String] {
    var lines: [String] = []
    var seen: Set<Name> = []
    for group in groups {
      guard let name = group.name else { continue }
      seen.insert(Name(name))
      guard isDrawn(group: name) else { continue }
      let style = group.isTrue("profile") ? "filled, bold" : "filled"
      let color = categories.first { Name.areSame($0.name, group["category"] ?? "default") }?.color ?? "grey83"
      lines.append("\(node(name)) [label=\(quoted(name)), style=\"\(style)\", fillcolor=\(color)];")
      if choice.bundles {
        for bundle in group.children(tagged: "Bundle").compactMap(\.name) where isDrawn(bundle: bundle) {
          lines.append("\(node(name)) -> \(quoted("bundle-\(bundle)"));")
        }
      }
    }
    for group in groups {
      guard let name = group.name else { continue }
      for parent in group.children(tagged: "Group").compactMap(\.name) where isDrawn(group: parent) {
        if seen.insert(Name(parent)).inserted {
          lines.append("\(node(parent)) [label=\(quoted(parent)), style=\"filled\", fillcolor=\"grey83\"];")
        }
        if isDrawn(group: name) { lines.append("\(node(name)) -> \(node(parent));") }
      }
    }
    return lines
  }

  private func isDrawn(group: String) -> Bool { choice.client?.groups.contains(group) ?? true }
  private func isDrawn(bundle: String) -> Bool { choice.client?.bundles.contains(Name(bundle)) ?? true }

  private func node(_ group: String) -> String { quoted("group-\(group)") }

  /// A text between quotes.
  private func quoted(_ text: String) -> String {
    "\"" + VisibleText.escaped(text).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  /// A text in the label of a record, where some letters have a meaning.
  private static func recordText(_ text: String) -> String {
    String(VisibleText.escaped(text).flatMap { "{}|<>\" \\".contains($0) ? ["\\", $0] : [$0] })
  }
}

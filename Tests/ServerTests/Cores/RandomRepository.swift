import Support

/// Contents of random, small repositories: few names, so that files meet.
///
/// A file's contents depend on its path and the numbers drawn alone.
struct RandomRepository {
  static let clients = ["web1", "web2", "db1", "db2", "app1", "app2"].map { "\($0).example.com" }
  static let profiles = (0..<4).map { "p\($0)" }
  private static let ownGroups = (0..<8).map { "g\($0)" }
  static let probedGroups = (0..<3).map { "q\($0)" }
  /// Groups of every source: groups.xml, probes, GroupPatterns and GroupLogic, and one that nobody is in.
  static let groups =
    profiles + ownGroups + probedGroups + ["n-web", "n-db", "range", "all", "l0", "l1", "l2", "nobody"]
  private static let bundles = (0..<8).map { "b\($0)" }
  private static let files = (0..<8).map { "c\($0)" }
  private static let probes = ["kind", "load", "os"]
  private static let packages = (0..<6).map { "pkg\($0)" }
  private static let services = (0..<6).map { "srv\($0)" }
  private static let links = (0..<4).map { "/srv/r\($0)" }
  /// Files that always exist: a server creates them, or clients are unknown without them.
  static let permanent = [
    "Metadata/groups.xml", "Metadata/clients.xml", "GroupPatterns/config.xml", "GroupLogic/groups.xml",
    "Includes/i0.xml", "Includes/i1.xml",
  ]

  var dice: Dice
  /// Whether some files are templates.
  let hasTemplates: Bool
  /// Whether the server behaves as 1.3 does, which knows fewer elements.
  let is13: Bool
  /// Whether a plugin binds an entry to what nobody can know beforehand.
  let hasClock: Bool

  /// Files that most answers need: without them nearly each would have an entry that fails, and be built each time.
  var foundation: [String] {
    let bundles = Self.bundles.map { "Bundler/\($0).xml" }
    let files = Self.files.map { "Cfg/etc/\($0)/\($0)\(isTemplate($0) ? ".genshi" : "")" }
    return Self.permanent + bundles + files + ["Rules/base.xml"] + (hasTemplates ? Self.included : [])
  }

  /// Whether an entry of Cfg is a template for most clients.
  private func isTemplate(_ file: String) -> Bool { hasTemplates && file > "c3" }

  // MARK: Paths

  /// The path of a file that may be there, in proportion to how much can be wrong with it.
  mutating func path() -> String {
    switch dice.number(22) {
    case 0...4: "Bundler/\(dice.pick(Self.bundles)).xml"
    case 5...8: cfgPath()
    case 9...10: infoPath()
    case 11...12: "Rules/\(dice.pick(["r0", "r1", "r2", "base"])).xml"
    case 13: "Defaults/d\(dice.number(2)).xml"
    case 14: probePath()
    case 15: "Decisions/\(dice.pick(["whitelist", "blacklist"])).xml"
    case 16: "Deps/d\(dice.number(2)).xml"
    case 17: "Pkgmgr/p\(dice.number(2)).xml"
    case 18: "Properties/x\(dice.number(2)).xml"
    case 19 where hasTemplates: dice.pick(Self.included)
    default: dice.pick(Self.permanent)
    }
  }

  /// Files that templates include.
  private static let included = (4..<8).map { "Cfg/etc/c\($0)/part.genshi_include" }

  private mutating func cfgPath() -> String {
    let file = dice.pick(Self.files)
    let template = hasTemplates && dice.chance(isTemplate(file) ? 80 : 10) ? ".genshi" : ""
    return "Cfg/etc/\(file)/\(file)\(variant())\(template)"
  }

  private mutating func infoPath() -> String { "Cfg/etc/\(dice.pick(Self.files))/info.xml" }

  private mutating func probePath() -> String { "Probes/\(dice.pick(Self.probes))\(variant())" }

  private mutating func variant() -> String {
    switch dice.number(5) {
    case 0...1: ""
    case 2: ".H_\(dice.pick(Self.clients))"
    default: ".G\(dice.pick(["10", "10", "20", "50"]))_\(dice.pick(Self.groups))"
    }
  }

  /// The path of another file of the same kind, to rename one to.
  mutating func sibling(of path: String) -> String {
    switch path.split(separator: "/")[0] {
    case "Cfg" where path.hasSuffix("info.xml"): infoPath()
    case "Cfg": cfgPath()
    case "Probes": probePath()
    case "Bundler": "Bundler/\(dice.pick(Self.bundles)).xml"
    case "Rules": "Rules/r\(dice.number(3)).xml"
    default: path
    }
  }

  /// The name of a folder of Cfg and of its entry.
  mutating func cfgFolder() -> String { "Cfg/etc/\(dice.pick(Self.files))" }

  // MARK: Contents

  /// New contents of a file.
  mutating func contents(of path: String) -> String {
    switch path.split(separator: "/")[0] {
    case "Metadata": path.hasSuffix("groups.xml") ? groupsXML() : clientsXML()
    case "Bundler": bundle()
    case "Includes": "<Group name='\(dice.pick(Self.groups))'>\(entries(depth: 2))</Group>"
    case "Cfg" where path.hasSuffix("info.xml"): info()
    case "Cfg" where path.hasSuffix(".genshi"): template()
    case "Cfg" where path.hasSuffix(".genshi_include"): "part \(dice.number(3)) of $metadata.hostname\n"
    case "Cfg": text()
    case "Rules" where path.hasSuffix("base.xml"): baseRules()
    case "Rules": rules("Rules", names: Self.packages + ["pkg.*", "pkg[0-2]"], links: Self.links + ["/srv/.*"])
    case "Defaults": rules("Defaults", names: Self.packages + [".*", "pkg.*"], links: Self.links + ["/etc/.*", ".*"])
    case "GroupPatterns": patterns()
    case "GroupLogic": "<GroupLogic>\(logic(depth: 0))</GroupLogic>"
    case "Probes": "#!/bin/sh\necho \(dice.number(5))\n"
    case "Decisions":
      "<Decisions>\(conditional(depth: 0) { "<Decision type='Package' name='\($0.pick(Self.packages))'/>" })</Decisions>"
    case "Deps": dependencies()
    case "Pkgmgr": packageList()
    default: "<Properties><v>\(dice.number(9))</v>\(conditional(depth: 0) { "<w>\($0.number(9))</w>" })</Properties>"
    }
  }

  /// What an editor may have left of an XML file: it cannot be parsed.
  mutating func broken(_ text: String) -> String {
    switch dice.number(3) {
    case 0: ""
    case 1: String(text.dropLast(3))
    default: text.replacing("</", with: "<", maxReplacements: 1) + "<"
    }
  }

  private mutating func text() -> String {
    let lines = ["plain \(dice.number(9))\n", "<a & \"b\">\n", "ü \(dice.number(3))\n", "\tend", "]]>\n", "\n"]
    return (0..<dice.number(4)).map { _ in dice.pick(lines) }.joined()
  }

  private mutating func template() -> String {
    let parts = [
      "{% for g in sorted(metadata.groups) %}${g} {% end %}\n",
      "{% if '\(dice.pick(Self.groups))' in metadata.groups %}in{% end %}\n", "${metadata.hostname}\n",
      "${metadata.profile}\n", "${metadata.Probes.get('kind', 'none')}\n", "${sorted(metadata.bundles)}\n",
      "${metadata.version}\n", "${len(metadata.query.all_clients())}\n",
      "${sorted(metadata.query.names_by_groups(['\(dice.pick(Self.groups))']))}\n",
      "${metadata.inGroup('\(dice.pick(Self.groups))')}\n", "text \(dice.number(9))\n",
      "{% include part.genshi_include %}\n", "${metadata.Ohai.get('platform', 'none')}\n",
      dice.chance(20) ? "${nothing.at.all}\n" : "",
      "{% if 'x0.xml' in metadata.Properties %}${metadata.Properties['x0.xml'].xdata.find('v').text}{% end %}\n",
    ]
    return (0...dice.number(3)).map { _ in dice.pick(parts) }.joined()
  }

  private mutating func info() -> String {
    let modes = ["0644", "0600", "0\(dice.number(8))55"]
    let body = conditional(depth: 1, tags: ["Group", "Client", "Path"]) { dice in
      var element = "<Info mode='\(dice.pick(modes))'"
      if dice.chance(30) { element += " owner='o\(dice.number(3))'" }
      if dice.chance(20) { element += " encoding='base64'" }
      if dice.chance(10) { element += " sensitive='true'" }
      return element + "/>"
    }
    return "<FileInfo>\(body)\(dice.chance(85) ? "<Info owner='o9'/>" : "")</FileInfo>"
  }

  // MARK: Metadata

  private mutating func groupsXML() -> String {
    var declared = ""
    for name in Self.profiles + Self.ownGroups where dice.chance(90) {
      var attributes = "name='\(name)'"
      if name.hasPrefix("p") {
        attributes += " profile='true'"
        if dice.chance(80) { attributes += " public='true'" }
        if name == "p0", dice.chance(70) { attributes += " default='true'" }
      }
      if dice.chance(25) { attributes += " category='cat\(dice.number(2))'" }
      declared += "<Group \(attributes)>\(members(depth: 0, bundles: name.hasPrefix("p") ? 6 : 2))</Group>\n"
    }
    for _ in 0..<dice.number(4) {
      let (tag, name) = condition(["Group", "Client"])
      declared += "<\(tag) \(name)>\(members(depth: 1, bundles: 0))</\(tag)>\n"
    }
    return "<Groups>\n\(declared)</Groups>\n"
  }

  private mutating func members(depth: Int, bundles: Int) -> String {
    var text = (0..<dice.number(bundles + 1)).map { _ in
      "<Bundle name='\(dice.chance(1) ? "missing" : dice.pick(Self.bundles))'/>"
    }.joined()
    for _ in 0..<dice.number(4) {
      if depth < 2, dice.chance(25) {
        let (tag, name) = condition(["Group", "Client"])
        text += "<\(tag) \(name)>\(members(depth: depth + 1, bundles: dice.number(2)))</\(tag)>"
      } else {
        text += "<Group name='\(dice.pick(Self.groups))'\(dice.chance(15) ? " negate='true'" : "")/>"
      }
    }
    return text
  }

  /// - Parameter isWhole: every client is in it.
  mutating func clientsXML(isWhole: Bool = false) -> String {
    var text = "<Clients>\n"
    for (number, name) in Self.clients.enumerated() where isWhole || dice.chance(94) {
      text += "<Client name='\(name)' profile='\(dice.pick(Self.profiles))' address='127.0.0.\(number + 1)'"
      if dice.chance(20) { text += " version='\(dice.pick(Self.versions))'" }
      text += dice.chance(15) ? "><Alias name='alias\(number)'/></Client>\n" : "/>\n"
    }
    return text + "</Clients>\n"
  }

  static let versions = ["1.2.0", "1.3.4", "1.4.0", "1.4.0pre2"]

  private mutating func patterns() -> String {
    let parts = [
      "<NamePattern>^(web|db)</NamePattern><Group>n-$1</Group>", "<NamePattern>.</NamePattern><Group>all</Group>",
      "<NameRange>web[[1-\(1 + dice.number(2))]]</NameRange><Group>range</Group>",
      "<NamePattern>app1</NamePattern><NamePattern>db2</NamePattern><Group>range</Group><Group>g7</Group>",
      "<NamePattern>(</NamePattern><Group>all</Group>",
    ]
    let body = (0..<dice.number(4)).map { _ in "<GroupPattern>\(dice.pick(parts))</GroupPattern>" }.joined()
    return "<GroupPatterns>\(body)</GroupPatterns>"
  }

  /// Without categories: a group that a connector gives one keeps it for other clients, so that answers depend on who
  /// asked before.
  private mutating func logic(depth: Int) -> String {
    var text = ""
    for _ in 0..<dice.number(4) {
      if depth < 2, dice.chance(60) {
        let (tag, name) = condition(["Group", "Client"])
        text += "<\(tag) \(name)>\(logic(depth: depth + 1))</\(tag)>"
      } else {
        text += "<Group name='\(dice.pick(["l0", "l1", "l2", "g0", "g1"]))'/>"
      }
    }
    return text
  }

  // MARK: Structures and entries

  private mutating func bundle() -> String {
    var start = "<Bundle"
    if hasTemplates, dice.chance(30) { return templateBundle() }
    if dice.chance(10), !is13 { start += " independent='\(dice.pick(["true", "false"]))'" }
    var body = entries(depth: 0)
    if dice.chance(15) {
      start += " xmlns:xi='http://www.w3.org/2001/XInclude'"
      body += "<xi:include href='../Includes/i\(dice.number(2)).xml'/>"
    }
    return "\(start)>\n\(body)</Bundle>\n"
  }

  private mutating func templateBundle() -> String {
    let each = dice.pick(["sorted(metadata.groups)", "sorted(metadata.bundles)", "['a', 'b']"])
    return """
      <Bundle xmlns:py='http://genshi.edgewall.org/'>
      <py:if test="'\(dice.pick(Self.groups))' in metadata.groups">\(entries(depth: 1))</py:if>
      <py:for each="each in \(each)"><BoundPath name='/t/${each}' type='directory' to='\(dice.number(3))'/></py:for>
      \(entries(depth: 1))</Bundle>
      """
  }

  private mutating func entries(depth: Int) -> String {
    (0..<dice.number(depth == 0 ? 9 : 5)).map { _ in entry(depth: depth) }.joined(separator: "\n")
  }

  private mutating func entry(depth: Int) -> String {
    switch dice.number(20) {
    case 0...4:
      let source = dice.chance(15) ? " altsrc='/etc/\(dice.pick(Self.files))'" : ""
      return "<Path name='/etc/\(dice.pick(Self.files))'\(source)/>"
    case 5: return "<Path name='\(dice.pick(Self.links))'/>"
    case 6...7:
      return "<Package name='\(dice.chance(1) ? "list\(dice.number(3))" : dice.pick(Self.packages))'/>"
    case 8: return "<Service name='\(dice.pick(Self.services))'/>"
    case 9: return "<BoundPath name='/opt/d\(dice.number(3))' type='directory' owner='o\(dice.number(3))'/>"
    case 10: return "<BoundPackage name='\(dice.pick(Self.packages))' version='\(dice.number(3))' type='deb'/>"
    case 11 where !is13: return "<Path glob='/etc/c[\(dice.number(4))-\(3 + dice.number(5))]'/>"
    case 12 where !is13:
      let inherits = dice.chance(50) ? " inherit_modification='true'" : ""
      return "<RequiredBundle name='\(dice.pick(Self.bundles))'\(inherits)/>"
    case 13 where hasClock && dice.chance(50): return "<Path name='\(Clock.entry)'/>"
    case 13: return dice.chance(5) ? "<Unknown name='u'/>" : "<!-- \(dice.number(3)) -->"
    case 14 where depth == 0: return "<Bundle name='inner'>\(entries(depth: 3))</Bundle>"
    default:
      guard depth < 3 else { return "<Package name='\(dice.pick(Self.packages))'/>" }
      let (tag, name) = condition(["Group", "Group", "Client"])
      return "<\(tag) \(name)>\(entries(depth: depth + 1))</\(tag)>"
    }
  }

  /// The tag and attributes of a condition.
  private mutating func condition(_ tags: [String]) -> (tag: String, attributes: String) {
    let tag = dice.pick(tags)
    let name =
      switch tag {
      case "Client": dice.pick(Self.clients)
      case "Path": "/etc/\(dice.pick(Self.files))"
      default: dice.pick(Self.groups)
      }
    return (tag, "name='\(name)'\(dice.chance(25) ? " negate='true'" : "")")
  }

  /// Up to four elements, some of them under conditions.
  private mutating func conditional(
    depth: Int, tags: [String] = ["Group", "Client"], _ element: (inout Dice) -> String
  ) -> String {
    (0..<(1 + dice.number(4))).map { _ in
      guard depth < 3, dice.chance(40) else { return element(&dice) }
      let (tag, name) = condition(tags)
      return "<\(tag) \(name)>\(conditional(depth: depth + 1, tags: tags, element))</\(tag)>"
    }.joined()
  }

  /// A rule for each entry, below all others.
  private mutating func baseRules() -> String {
    let packages = Self.packages.map { "<Package name='\($0)' type='deb' version='b\(dice.number(3))'/>" }
    let services = Self.services.map { "<Service name='\($0)' status='on' type='b\(dice.number(2))'/>" }
    let links = Self.links.map { "<Path name='\($0)' type='symlink' to='/base'/>" }
    return "<Rules priority='-1'>\((packages + services + links).joined(separator: "\n"))</Rules>"
  }

  private mutating func rules(_ root: String, names: [String], links: [String]) -> String {
    let body = (0..<(1 + dice.number(3))).map { _ in
      conditional(depth: 1) { dice in
        switch dice.number(4) {
        case 0...1:
          "<Package name='\(dice.pick(names))' type='deb' version='\(dice.pick(["1", "2", "%{name}"]))'/>"
        case 2: "<Path name='\(dice.pick(links))' type='symlink' to='/x\(dice.number(3))'/>"
        default: "<Service name='\(dice.pick(Self.services))' status='\(dice.pick(["on", "off"]))' type='systemd'/>"
        }
      }
    }.joined(separator: "\n")
    return "<\(root) priority='\(dice.number(12))'>\n\(body)\n</\(root)>\n"
  }

  private mutating func dependencies() -> String {
    let body = conditional(depth: 0) { dice in
      """
      <Package name='\(dice.pick(Self.packages))'><Service name='\(dice.pick(Self.services))'/>\
      <Package name='\(dice.pick(Self.packages))'/></Package>
      """
    }
    return "<Dependencies priority='\(dice.number(2))'>\(body)</Dependencies>"
  }

  private mutating func packageList() -> String {
    let body = conditional(depth: 0) { dice in
      "<Package name='\(dice.pick(["list0", "list1", dice.chance(5) ? "pkg0" : "list2"]))' version='\(dice.number(3))'/>"
    }
    return "<PackageList uri='http://mirror' type='deb' priority='\(dice.number(2))'>\(body)</PackageList>"
  }

  // MARK: What clients send

  /// The output of a client's probes.
  mutating func probeData() -> String {
    let lines = Self.probedGroups.map { "group:\($0)" } + ["Linux \(dice.number(3))", "a &lt; b", ""]
    let data = Self.probes.map { name in
      let output = (0..<dice.number(4)).map { _ in dice.pick(lines) }.joined(separator: "\n")
      return "<probe-data name='\(name)' source='Probes'>\(output)</probe-data>"
    }.joined()
    let facts = "<probe-data name='ohai' source='Ohai'>{\"platform\": \"x\(dice.number(3))\"}</probe-data>"
    return "<probe-data>\(data)\(dice.chance(30) ? facts : "")</probe-data>"
  }
}

/// Random choices.
struct Dice {
  private var source: Seeded

  init(seed: UInt64) { source = Seeded(state: seed) }

  /// A number from 0 up to a limit, which is not included.
  mutating func number(_ limit: Int) -> Int { Int.random(in: 0..<max(1, limit), using: &source) }

  mutating func chance(_ percent: Int) -> Bool { number(100) < percent }

  mutating func pick<Item>(_ items: [Item]) -> Item { items[number(items.count)] }
}

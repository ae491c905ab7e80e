import PackageSources

/// Reads comps.xml of a yum repository into an index: groups of packages.
///
/// Format: rpm-software-management/libcomps: libcomps/src/comps.dtd. Environments and categories do not count: Bcfg2
/// reads groups only.
final class CompsParser: XMLPushParser {
  private let builder: UnsafeMutablePointer<IndexBuilder>
  private var group: Group?
  private var member = Member()
  private var content: [UInt8] = []
  /// The text that is being read is that of a translation.
  private var isTranslation = false
  private var groups = 0

  private struct Group {
    var id = TextID.none
    var name = TextID.none
    var members: [Member] = []
  }

  private struct Member {
    var name = TextID.none
    var kind = GroupMember.Kind.unknown
    var requires = TextID.none
  }

  private static let textLimit = 4096
  /// Most groups of a file, and most packages of a group: Fedora has 200 groups, the largest has 400 packages.
  private static let groupLimit = 20_000
  private static let memberLimit = 200_000

  /// - Parameter builder: valid until the last call of the parser.
  init(file: String, builder: UnsafeMutablePointer<IndexBuilder>) throws(FormatError) {
    self.builder = builder
    try super.init(file: file)
  }

  override func start(_ element: XMLName, _ attributes: XMLAttributes) throws(FormatError) {
    content.removeAll(keepingCapacity: true)
    isTranslation = attributes[prefixed: "lang"] != nil
    switch depth {
    case 1:
      guard element == "comps" else { throw error("the root element is no <comps> of groups") }
    case 2:
      group = element == "group" ? Group() : nil
    case 4 where element == "packagereq":
      let requires = attributes["requires"] ?? ByteText(start: nil, count: 0)
      member = Member(
        kind: Self.kind(attributes["type"]), requires: try builder.pointee.number(requires.trimmed, of: file))
    default: break
    }
  }

  override func text(_ text: ByteText) throws(FormatError) {
    // Descriptions may be longer, and do not count.
    guard content.count + text.count <= Self.textLimit else { return }
    content += text
  }

  override func end(_ element: XMLName) throws(FormatError) {
    defer { content.removeAll(keepingCapacity: true) }
    guard group != nil else { return }
    switch (depth, element) {
    case (3, "id"): group?.id = try contentNumber()
    case (3, "name") where !isTranslation: group?.name = try contentNumber()
    case (4, "packagereq"):
      member.name = try contentNumber()
      if member.name != .none { group?.members.append(member) }
      guard (group?.members.count ?? 0) <= Self.memberLimit else {
        throw error("a group has more than \(Self.memberLimit) packages, the limit")
      }
    case (2, _): try addGroup()
    default: break
    }
  }

  private func contentNumber() throws(FormatError) -> TextID {
    try withBytes(of: content) { content throws(FormatError) in
      try builder.pointee.number(content.trimmed, of: file)
    }
  }

  private func addGroup() throws(FormatError) {
    defer { group = nil }
    // Without an id nobody can name it: Bcfg2 passes over it too.
    guard let group, group.id != .none else { return }
    groups += 1
    guard groups <= Self.groupLimit else { throw error("more than \(Self.groupLimit) groups, the limit") }
    builder.pointee.addGroup(id: group.id, name: group.name)
    try builder.pointee.add(of: file) { builder throws(IndexBuildError) in
      for member in group.members { try builder.addMember(member.name, member.kind, requires: member.requires) }
    }
  }

  private static func kind(_ type: ByteText?) -> GroupMember.Kind {
    guard let type else { return .unknown }
    if type.equals("mandatory") { return .mandatory }
    if type.equals("default") { return .default }
    if type.equals("optional") { return .optional }
    if type.equals("conditional") { return .conditional }
    return .unknown
  }
}

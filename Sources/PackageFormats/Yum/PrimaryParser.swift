import PackageSources

/// The packages of one primary.xml, as filelists.xml refers to them.
struct ListedPackages {
  /// By their `pkgid`.
  var byDigest: [PackageDigest: RecordID] = [:]
  /// The first of each name, where the `pkgid` is none of these: Bcfg2 goes by the name alone.
  var byName: [TextID: RecordID] = [:]
}

/// Reads primary.xml of a yum repository into an index, as it arrives.
///
/// Format: rpm-software-management/createrepo_c: src/xml_dump_primary.c. Versions of the index read
/// `epoch:version-release`; rich dependencies, `(a if b)`, stay one text.
final class PrimaryParser: XMLPushParser {
  private(set) var records = ListedPackages()
  /// Paths within rich dependencies.
  private(set) var richPaths: Set<TextID> = []

  private let builder: UnsafeMutablePointer<IndexBuilder>
  private var name = TextID.none
  private var arch = TextID.none
  private var version = TextID.none
  private var digest: PackageDigest?
  private var isInPackage = false
  private var isRecordBegun = false
  private var isInFormat = false
  private var section: Section?
  private var content: [UInt8] = []

  /// Most bytes of an element's text that counts.
  private static let textLimit = 4096

  /// The lists of a package's `<format>`.
  private enum Section {
    case provides
    case relation(RelationKind)
  }

  /// - Parameter builder: valid until the last call of the parser.
  init(file: String, builder: UnsafeMutablePointer<IndexBuilder>) throws(FormatError) {
    self.builder = builder
    try super.init(file: file)
  }

  override func start(_ element: XMLName, _ attributes: XMLAttributes) throws(FormatError) {
    content.removeAll(keepingCapacity: true)
    switch depth {
    case 1:
      guard element == "metadata" else { throw error("the root element is no <metadata> of packages") }
    case 2:
      isInPackage = element == "package"
      (name, arch, version) = (.none, .none, .none)
      digest = nil
      isRecordBegun = false
    case 3:
      if element == "version" {
        version = try self.version(attributes)
      } else if element == "format", isInPackage {
        isInFormat = true
        if !isRecordBegun { try beginRecord() }
      }
    case 4: section = isInFormat ? Self.section(element) : nil
    case 5:
      if let section, element == "entry" { try add(attributes, to: section) }
    default: break
    }
  }

  override func text(_ text: ByteText) throws(FormatError) {
    // Descriptions are long and do not count.
    guard depth == 3, content.count + text.count <= Self.textLimit else { return }
    content += text
  }

  override func end(_ element: XMLName) throws(FormatError) {
    switch depth {
    case 3:
      switch element {
      case "name": name = try number(content)
      case "arch": arch = try number(content)
      case "checksum": digest = content.withUnsafeBufferPointer { PackageDigest(hexadecimal: $0.trimmed) }
      case "format": isInFormat = false
      default: break
      }
    case 4: section = nil
    case 2 where element == "package":
      if !isRecordBegun { try beginRecord() }
    default: break
    }
  }

  private func number(_ bytes: [UInt8]) throws(FormatError) -> TextID {
    try withBytes(of: bytes) { bytes throws(FormatError) in try builder.pointee.number(bytes.trimmed, of: file) }
  }

  private func beginRecord() throws(FormatError) {
    guard name != .none else { throw error("a package has no name") }
    let record = try builder.pointee.add(of: file) { builder throws(IndexBuildError) in
      try builder.beginRecord(name: name, version: version, arch: arch)
    }
    isRecordBegun = true
    if let digest { records.byDigest[digest] = record }
    if records.byName[name] == nil { records.byName[name] = record }
  }

  private static func section(_ element: XMLName) -> Section? {
    switch element {
    case "provides": .provides
    case "requires": .relation(.depends)
    case "recommends": .relation(.recommends)
    case "suggests": .relation(.suggests)
    case "supplements": .relation(.supplements)
    case "enhances": .relation(.enhances)
    case "conflicts": .relation(.conflicts)
    case "obsoletes": .relation(.obsoletes)
    default: nil
    }
  }

  /// Reads the attributes of a package's version: `epoch:version-release`, the epoch always written.
  private func version(_ attributes: XMLAttributes) throws(FormatError) -> TextID {
    var text = attributes["epoch"]?.array ?? []
    if text.isEmpty { text = [UInt8(ascii: "0")] }
    text.append(UInt8(ascii: ":"))
    text += attributes["ver"]?.array ?? []
    if let release = attributes["rel"] { text += [UInt8(ascii: "-")] + release }
    return try number(text)
  }

  private func add(_ attributes: XMLAttributes, to section: Section) throws(FormatError) {
    guard let nameText = attributes["name"], !nameText.isEmpty else { throw error("a dependency has no name") }
    let name = try builder.pointee.number(nameText, of: file)
    let comparison = Self.comparison(attributes["flags"])
    let version = comparison == .none ? TextID.none : try requiredVersion(attributes)
    switch section {
    case .provides:
      try builder.pointee.add(of: file) { builder throws(IndexBuildError) in
        try builder.addProvide(name: name, comparison: comparison, version: version)
      }
    case .relation(let kind):
      var flags: RelationFlags = []
      if nameText[0] == UInt8(ascii: "(") {
        flags.insert(.isRich)
        try noteRichPaths(nameText)
      }
      if attributes["pre"]?.equals("1") ?? false { flags.insert(.isForInstallation) }
      try builder.pointee.add(of: file) { builder throws(IndexBuildError) in
        try builder.addRelation(kind, name: name, comparison: comparison, version: version, flags: flags)
      }
    }
  }

  private func requiredVersion(_ attributes: XMLAttributes) throws(FormatError) -> TextID {
    var text: [UInt8] = []
    if let epoch = attributes["epoch"], !epoch.isEmpty { text += Array(epoch) + [UInt8(ascii: ":")] }
    text += attributes["ver"]?.array ?? []
    if let release = attributes["rel"], !release.isEmpty { text += [UInt8(ascii: "-")] + release }
    return try number(text)
  }

  private static func comparison(_ flags: ByteText?) -> VersionOperator {
    guard let flags else { return .none }
    if flags.equals("EQ") { return .equal }
    if flags.equals("GE") { return .greaterOrEqual }
    if flags.equals("LE") { return .lessOrEqual }
    if flags.equals("GT") { return .greater }
    if flags.equals("LT") { return .less }
    return .none
  }

  /// Keeps the paths within a rich dependency, so that their owners are looked up in filelists.xml.
  private func noteRichPaths(_ text: ByteText) throws(FormatError) {
    let ends: (UInt8) -> Bool = { isBlank($0) || $0 == UInt8(ascii: "(") || $0 == UInt8(ascii: ")") }
    for word in text.split(whereSeparator: ends) where word.first == UInt8(ascii: "/") {
      richPaths.insert(try builder.pointee.number(ByteText(rebasing: word), of: file))
    }
  }
}

/// The first 16 bytes of a package's checksum, by which metadata files name it.
struct PackageDigest: Hashable {
  private let high: UInt64
  private let low: UInt64

  /// - Returns: nil if the text has no 32 hexadecimal digits.
  init?(hexadecimal text: ByteText) {
    guard text.count >= 32, let bytes = hexadecimalBytes(text.prefix(32)) else { return nil }
    high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
  }
}

import PackageSources

/// Reads a database of pacman, `core.db` and the like, into an index, as it arrives: a tar archive with a folder for
/// each package, and in it the files `desc` and, of old repositories, `depends`.
///
/// Format: pacman: lib/libalpm/be_sync.c, `sync_db_read`. Bcfg2 reads each file of a folder alike:
/// Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/Pac.py.
struct PacmanDatabase {
  private let file: String
  private var tar: TarReader
  /// The folder whose files are being read.
  private var folder: [UInt8] = []
  private var sections: [Section: [[UInt8]]] = [:]
  /// Bytes in `sections`.
  private var sectionBytes = 0
  private var text: [UInt8] = []
  private var isReading = false
  /// Groups in the order in which they were met, with their packages.
  private var groups: [(name: TextID, members: [TextID])] = []
  private var groupPlaces: [TextID: Int] = [:]

  private enum Section: CaseIterable {
    case name, version, arch, depends, optionalDepends, provides, groups

    var title: StaticString {
      switch self {
      case .name: "%NAME%"
      case .version: "%VERSION%"
      case .arch: "%ARCH%"
      case .depends: "%DEPENDS%"
      case .optionalDepends: "%OPTDEPENDS%"
      case .provides: "%PROVIDES%"
      case .groups: "%GROUPS%"
      }
    }
  }

  /// Most bytes of one file; the largest of Arch Linux have 60 kB.
  private static let fileLimit = 4 << 20

  init(file: String) {
    self.file = file
    tar = TarReader(file: file)
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer, into builder: inout IndexBuilder) throws(FormatError) {
    var tar = self.tar
    defer { self.tar = tar }
    try tar.write(bytes) { event throws(FormatError) in try handle(event, &builder) }
  }

  mutating func finish(into builder: inout IndexBuilder) throws(FormatError) {
    try tar.finish()
    try endPackage(&builder)
    for group in groups {
      builder.addGroup(id: group.name, name: group.name)
      try builder.add(of: file) { builder throws(IndexBuildError) in
        for member in group.members { try builder.addMember(member, .mandatory) }
      }
    }
  }

  private mutating func handle(_ event: TarReader.Event, _ builder: inout IndexBuilder) throws(FormatError) {
    switch event {
    case .file(let name, let size):
      let slash = name.lastIndex(of: UInt8(ascii: "/")) ?? 0
      let nextFolder = name.part(0..<slash)
      if !nextFolder.elementsEqual(folder) {
        try endPackage(&builder)
        folder = nextFolder.array
      }
      let base = name.part(from: slash == 0 ? 0 : slash + 1)
      // Other files, as the list of files of `core.files`, have other sections.
      isReading = base.equals("desc") || base.equals("depends")
      guard isReading else { return }
      guard size <= Self.fileLimit else {
        throw error("\(shown(name)) has \(size) bytes, the limit is \(Self.fileLimit)")
      }
      text.removeAll(keepingCapacity: true)
    case .bytes(let bytes):
      if isReading { text += bytes }
    case .end:
      if isReading { try readSections() }
    }
  }

  private func error(_ message: String) -> FormatError { FormatError(file: file, message) }

  /// Reads `%NAME%` and the like, each followed by lines up to an empty one.
  private mutating func readSections() throws(FormatError) {
    sectionBytes += text.count
    guard sectionBytes <= 4 * Self.fileLimit else {
      throw error("the files of \(shown(folder)) have more than \(mebibytes(4 * Self.fileLimit)), the limit")
    }
    try withBytes(of: text) { text throws(FormatError) in
      var section: Section?
      var isInside = false
      for part in text.split(separator: 0x0A, omittingEmptySubsequences: false) {
        let line = ByteText(rebasing: part).trimmed
        if line.isEmpty {
          isInside = false
        } else if isInside {
          if let section { sections[section, default: []].append(line.array) }
        } else if line.count >= 2, line.first == UInt8(ascii: "%"), line.last == UInt8(ascii: "%") {
          isInside = true
          section = Section.allCases.first { line.equals($0.title) }
          // A section that comes again begins anew.
          if let section { sections[section] = [] }
        }
      }
    }
  }

  private mutating func endPackage(_ builder: inout IndexBuilder) throws(FormatError) {
    guard !sections.isEmpty else { return }
    guard let name = sections[.name]?.first else {
      throw error("the package of the folder \(shown(folder)) has no %NAME%")
    }
    let number = try self.number(name, &builder)
    let version = try self.number(sections[.version]?.first ?? [], &builder)
    let arch = try self.number(sections[.arch]?.first ?? [], &builder)
    _ = try builder.add(of: file) { builder throws(IndexBuildError) in
      try builder.beginRecord(name: number, version: version, arch: arch)
    }
    for depends in sections[.depends] ?? [] { try add(depends, .depends, &builder) }
    for depends in sections[.optionalDepends] ?? [] { try add(depends, .recommends, &builder) }
    for provide in sections[.provides] ?? [] {
      try withTarget(provide, &builder) { name, comparison, version, builder throws(FormatError) in
        try builder.add(of: file) { builder throws(IndexBuildError) in
          try builder.addProvide(name: name, comparison: comparison, version: version)
        }
      }
    }
    for group in sections[.groups] ?? [] {
      let group = try self.number(group, &builder)
      if let place = groupPlaces[group] {
        groups[place].members.append(number)
      } else {
        groupPlaces[group] = groups.count
        groups.append((group, [number]))
      }
    }
    sections.removeAll(keepingCapacity: true)
    sectionBytes = 0
  }

  private func number(_ bytes: [UInt8], _ builder: inout IndexBuilder) throws(FormatError) -> TextID {
    try withBytes(of: bytes) { bytes throws(FormatError) in try builder.number(bytes, of: file) }
  }

  private func add(
    _ text: [UInt8], _ kind: RelationKind, _ builder: inout IndexBuilder
  ) throws(FormatError) {
    try withTarget(text, &builder) { name, comparison, version, builder throws(FormatError) in
      try builder.add(of: file) { builder throws(IndexBuildError) in
        try builder.addRelation(kind, name: name, comparison: comparison, version: version)
      }
    }
  }

  /// Takes `name>=version: description` apart, as pacman does: lib/libalpm/deps.c, `alpm_dep_from_string`.
  private func withTarget(
    _ given: [UInt8], _ builder: inout IndexBuilder,
    _ body: (TextID, VersionOperator, TextID, inout IndexBuilder) throws(FormatError) -> Void
  ) throws(FormatError) {
    try withBytes(of: given) { given throws(FormatError) in
      var text = given
      var searched = 0
      while let colon = text.part(from: searched).index(of: UInt8(ascii: ":")) {
        let place = searched + colon
        if place + 1 < text.count, text[place + 1] == 0x20 {
          text = text.part(0..<place)
          break
        }
        searched = place + 1
      }
      let signs = ["<", ">", "="].lazy.compactMap { text.index(of: UInt8(ascii: $0)) }
      guard let sign = signs.first else {
        return try body(try builder.number(text, of: file), .none, .none, &builder)
      }
      let name = try builder.number(text.part(0..<sign), of: file)
      let hasEquals = sign + 1 < text.count && text[sign + 1] == UInt8(ascii: "=")
      let comparison: VersionOperator =
        switch text[sign] {
        case UInt8(ascii: "<"): hasEquals ? .lessOrEqual : .less
        case UInt8(ascii: ">"): hasEquals ? .greaterOrEqual : .greater
        default: .equal
        }
      let start = sign + (hasEquals && comparison != .equal ? 2 : 1)
      let version = try builder.number(text.part(from: start), of: file)
      try body(name, version == .none ? .none : comparison, version, &builder)
    }
  }
}

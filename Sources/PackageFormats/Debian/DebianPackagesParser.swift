import PackageSources

/// Reads a Packages file of a Debian archive into an index, as it arrives.
///
/// Format: Debian Policy, chapter 5 (control files) and section 7.1 (relations). A record ends at an empty line. Each
/// relation of the index stands as the file has it, in the order of the fields: what Bcfg2 makes of it, such as cutting
/// `:any` off or not, is left to the resolvers. Two differences remain that no archive shows: Bcfg2 takes a line for a
/// field though it begins with a blank, and the empty name of `a,,b` for a package.
struct DebianPackagesParser {
  private enum Field: UInt8 {
    case package, version, architecture, essential, depends, preDepends, recommends, provides
  }

  /// A field of the record, in `text`.
  private struct Place {
    var field: Field
    var start: Int
    /// Where its first line ends; Bcfg2 reads no further.
    var firstEnd: Int
    var end: Int
  }

  private let file: String
  private var lines: LineSplitter
  private var lineNumber = 0
  /// The fields of the record that is being read.
  private var text: [UInt8] = []
  private var places: [Place] = []
  private var hasPackage = false
  /// Whether the last field is one that counts, so that its continuation lines do.
  private var isInField = false
  /// Whether the record has any field.
  private var isBegun = false

  /// Most bytes of the fields of one record that count; those of the largest one in Debian have 60 kB.
  private static let recordLimit = 16 << 20

  init(file: String) {
    self.file = file
    lines = LineSplitter(file: file)
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer, into builder: inout IndexBuilder) throws(FormatError) {
    // Moved out, so that the reader of a line may change the rest.
    var lines = self.lines
    defer { self.lines = lines }
    try lines.write(bytes) { line, number throws(FormatError) in
      lineNumber = number
      try read(line, &builder)
    }
  }

  mutating func finish(into builder: inout IndexBuilder) throws(FormatError) {
    var lines = self.lines
    try lines.finish { line, number throws(FormatError) in
      lineNumber = number
      try read(line, &builder)
    }
    self.lines = lines
    try endRecord(&builder)
  }

  // MARK: Lines

  @inline(__always)
  private mutating func read(_ line: ByteText, _ builder: inout IndexBuilder) throws(FormatError) {
    guard let first = line.first else { return try endRecord(&builder) }
    if isBlank(first) {
      if line.trimmed.isEmpty { return try endRecord(&builder) }
      if isInField { try continueField(line) }
      return
    }
    isBegun = true
    switch first {
    case UInt8(ascii: "P"):
      if line.starts(with: "Package:") {
        // A missing empty line: Bcfg2 begins another package here too.
        if hasPackage { try endRecord(&builder) }
        hasPackage = true
        isBegun = true
        return try begin(.package, line, 8)
      }
      if line.starts(with: "Provides:") { return try begin(.provides, line, 9) }
      if line.starts(with: "Pre-Depends:") { return try begin(.preDepends, line, 12) }
    case UInt8(ascii: "D"):
      if line.starts(with: "Depends:") { return try begin(.depends, line, 8) }
    case UInt8(ascii: "V"):
      if line.starts(with: "Version:") { return try begin(.version, line, 8) }
    case UInt8(ascii: "A"):
      if line.starts(with: "Architecture:") { return try begin(.architecture, line, 13) }
    case UInt8(ascii: "R"):
      if line.starts(with: "Recommends:") { return try begin(.recommends, line, 11) }
    case UInt8(ascii: "E"):
      if line.starts(with: "Essential:") { return try begin(.essential, line, 10) }
    default: break
    }
    isInField = false
    guard line.endOfFieldName != nil else { throw error("\"\(shown(line))\" is no field") }
  }

  private func error(_ message: String) -> FormatError {
    FormatError(file: file, line: lineNumber, message)
  }

  private mutating func begin(_ field: Field, _ line: ByteText, _ nameBytes: Int) throws(FormatError) {
    isInField = true
    let start = text.count
    try append(line.part(from: nameBytes))
    places.append(Place(field: field, start: start, firstEnd: text.count, end: text.count))
  }

  private mutating func continueField(_ line: ByteText) throws(FormatError) {
    try append(line)
    places[places.count - 1].end = text.count
  }

  private mutating func append(_ part: ByteText) throws(FormatError) {
    guard text.count + part.count <= Self.recordLimit else {
      throw error("the record has more than \(mebibytes(Self.recordLimit)), the limit")
    }
    text.append(contentsOf: part)
  }

  // MARK: Records

  private mutating func endRecord(_ builder: inout IndexBuilder) throws(FormatError) {
    guard isBegun else { return }
    guard hasPackage else { throw error("the record that ends here has no field Package") }
    try withBytes(of: text) { text throws(FormatError) in try add(text, &builder) }
    text.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    hasPackage = false
    isInField = false
    isBegun = false
  }

  private func add(_ text: ByteText, _ builder: inout IndexBuilder) throws(FormatError) {
    var name = TextID.none
    var version = TextID.none
    var arch = TextID.none
    var flags: RecordFlags = []
    for place in places {
      let value = text.part(place.start..<place.firstEnd)
      switch place.field {
      case .package: name = try builder.number(value.trimmed, of: file)
      case .version: version = try builder.number(value.trimmed, of: file)
      case .architecture: arch = try builder.number(value.trimmed, of: file)
      case .essential:
        flags.insert(.saysEssential)
        if value.trimmed.equals("yes") { flags.insert(.isEssential) }
      case .depends, .preDepends, .recommends, .provides: break
      }
    }
    guard name != .none else { throw error("the record that ends here has an empty field Package") }
    _ = try builder.add(of: file) { builder throws(IndexBuildError) in
      try builder.beginRecord(name: name, version: version, arch: arch, flags: flags)
    }
    for place in places {
      let field = text.part(place.start..<place.end)
      let relations = DebianRelations(text: field, firstLineBytes: place.firstEnd - place.start, file: file)
      switch place.field {
      case .depends: try relations.add(.depends, to: &builder)
      case .preDepends: try relations.add(.preDepends, to: &builder)
      case .recommends: try relations.add(.recommends, to: &builder)
      case .provides: try relations.addProvides(to: &builder)
      case .package, .version, .architecture, .essential: break
      }
    }
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// Where the name of a field ends with a colon; nil if the line is no field. A name has no blanks: Debian Policy,
  /// section 5.1.
  var endOfFieldName: Int? {
    guard let colon = index(of: UInt8(ascii: ":")), colon > 0,
      part(0..<colon).allSatisfy({ (0x21...0x7E).contains($0) })
    else { return nil }
    return colon
  }
}

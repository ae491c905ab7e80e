import PackageSources

/// Reads filelists.xml of a yum repository into an index, as it arrives: of its millions of paths only those that some
/// package requires.
///
/// Reads primary.xml as well, whose lists of files are shorter: for a repository without filelists.xml.
/// Format: rpm-software-management/createrepo_c: src/xml_dump_filelists.c.
final class FilelistsParser: XMLPushParser {
  private let builder: UnsafeMutablePointer<IndexBuilder>
  private let records: ListedPackages
  private let wanted: Set<TextID>
  private var record: RecordID?
  private var path: [UInt8] = []
  /// The text of which element is collected.
  private var collected = Collected.none

  private enum Collected { case none, path, digest }

  /// Most bytes of a path, as Linux has it.
  private static let pathLimit = 4096

  /// - Parameters:
  ///   - builder: valid until the last call of the parser.
  ///   - records: what `PrimaryParser` found.
  ///   - wanted: the paths that count.
  init(
    file: String, builder: UnsafeMutablePointer<IndexBuilder>, records: ListedPackages, wanted: Set<TextID>
  ) throws(FormatError) {
    self.builder = builder
    self.records = records
    self.wanted = wanted
    try super.init(file: file)
  }

  override func start(_ element: XMLName, _ attributes: XMLAttributes) throws(FormatError) {
    collected = .none
    switch depth {
    case 1:
      guard element == "filelists" || element == "metadata" else {
        throw error("the root element is no <filelists> of packages")
      }
    case 2:
      record = record(attributes)
    case 3:
      if element == "file" {
        collect(.path)
      } else if element == "checksum" {
        collect(.digest)
      }
    case 4:
      // As primary.xml has it, in <format>.
      if element == "file" { collect(.path) }
    default: break
    }
  }

  private func record(_ attributes: XMLAttributes) -> RecordID? {
    if let id = attributes["pkgid"], let digest = PackageDigest(hexadecimal: id), let found = records.byDigest[digest] {
      return found
    }
    guard let name = attributes["name"] else { return nil }
    return builder.pointee.existingText(UnsafeRawBufferPointer(name)).flatMap { records.byName[$0] }
  }

  private func collect(_ what: Collected) {
    collected = what
    path.removeAll(keepingCapacity: true)
  }

  override func text(_ text: ByteText) throws(FormatError) {
    guard collected != .none else { return }
    guard path.count + text.count <= Self.pathLimit else {
      throw error("a path has more than \(Self.pathLimit) bytes, the limit")
    }
    path.append(contentsOf: text)
  }

  override func end(_ element: XMLName) throws(FormatError) {
    defer { collected = .none }
    switch collected {
    case .none: break
    case .digest:
      let digest = path.withUnsafeBufferPointer { PackageDigest(hexadecimal: $0.trimmed) }
      record = digest.flatMap { records.byDigest[$0] } ?? record
    case .path:
      guard let record, let name = path.withUnsafeBytes({ builder.pointee.existingText($0) }), wanted.contains(name)
      else { break }
      try builder.pointee.add(of: file) { builder throws(IndexBuildError) in try builder.addFile(name, of: record) }
    }
  }
}

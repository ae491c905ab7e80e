/// The Release file of a Debian archive: which index files it has, with their sizes and checksums.
///
/// Reads Release, and InRelease with its signature around it; only the signed text counts. The signature itself is
/// checked elsewhere. Format: https://wiki.debian.org/DebianRepository/Format, "Release" files; the clear-signed form
/// is RFC 9580, section 7.
package struct ReleaseFile: Sendable {
  /// One index file of the archive.
  package struct Entry: Equatable, Sendable {
    package var size: Int
    /// 32 bytes; nil if the file lists none.
    package var sha256: [UInt8]?
    /// 64 bytes; nil if the file lists none.
    package var sha512: [UInt8]?
  }

  /// The index files by their path below the Release file. A file that only MD5Sum or SHA1 name has no checksum here.
  package private(set) var entries: [[UInt8]: Entry] = [:]
  /// Whether index files are also found by their checksum: `by-hash/SHA256/CHECKSUM` in their folder.
  package private(set) var acquireByHash = false
  /// When the archive was made, in seconds since 1970.
  package private(set) var date: Int?
  /// When the file must no longer be trusted, in seconds since 1970.
  package private(set) var validUntil: Int?
  package private(set) var codename: [UInt8] = []
  package private(set) var suite: [UInt8] = []
  package private(set) var components: [[UInt8]] = []
  package private(set) var architectures: [[UInt8]] = []

  /// Most bytes of a file. Debian's has 150 kB, those of archives with many components some megabytes.
  package static let limitBytes = 32 << 20

  /// - Parameter name: the file, for errors.
  package init(bytes: [UInt8], name: String) throws(FormatError) {
    guard bytes.count <= Self.limitBytes else {
      throw FormatError(file: name, "has more than \(mebibytes(Self.limitBytes)), the limit")
    }
    switch CompressionFormat(of: bytes.prefix(CompressionFormat.sniffedBytes)) {
    case .plain: break
    case .html: throw FormatError(file: name, "is HTML, not a Release file")
    default: throw FormatError(file: name, "is compressed, a Release file is plain text")
    }
    let reader = try Reader(bytes: bytes, file: name)
    self = reader.release
    guard reader.hasFields else { throw FormatError(file: name, "has no field: it is no Release file") }
  }

  package func entry(_ path: [UInt8]) -> Entry? { entries[path] }

  package func entry(_ path: String) -> Entry? { entries[Array(path.utf8)] }

  /// Reads lines one after the other.
  private struct Reader {
    private enum List { case none, weak, sha256, sha512 }

    private enum Armour {
      /// No signature so far: the text itself.
      case plain
      /// The headers of a clear-signed text, up to an empty line.
      case headers
      case signed
      case signature
      case ended
    }

    let file: String
    var release = ReleaseFile()
    var hasFields = false
    private var list = List.none
    private var armour = Armour.plain
    private var number = 0

    init(bytes: [UInt8], file: String) throws(FormatError) {
      self.file = file
      var lines = LineSplitter(file: file)
      try withBytes(of: bytes) { text throws(FormatError) in
        try lines.write(UnsafeRawBufferPointer(text)) { line, count throws(FormatError) in
          number = count
          try read(line)
        }
        try lines.finish { line, count throws(FormatError) in
          number = count
          try read(line)
        }
      }
      guard armour == .plain || armour == .ended else {
        throw FormatError(file: file, line: number, "the file is truncated: its signature does not end")
      }
    }

    private mutating func read(_ given: ByteText) throws(FormatError) {
      var line = given
      // The end of a line may have blanks: a signature does not cover them.
      while let last = line.last, isBlank(last) { line = line.part(0..<line.count - 1) }
      switch armour {
      case .plain:
        if line.equals("-----BEGIN PGP SIGNED MESSAGE-----") {
          guard !hasFields else { throw unsigned }
          armour = .headers
        } else {
          try field(line)
        }
      case .headers:
        if line.isEmpty { armour = .signed }
      case .signed:
        if line.equals("-----BEGIN PGP SIGNATURE-----") {
          armour = .signature
        } else if line.starts(with: "- ") {
          try field(line.part(from: 2))
        } else if line.starts(with: "-----") {
          throw FormatError(file: file, line: number, "the clear-signed text is damaged")
        } else {
          try field(line)
        }
      case .signature:
        if line.equals("-----END PGP SIGNATURE-----") { armour = .ended }
      case .ended:
        // Text behind a signature is not signed: apt refuses it too.
        guard line.isEmpty else { throw unsigned }
      }
    }

    private var unsigned: FormatError {
      FormatError(file: file, line: number, "text outside of the signed part, which anyone could have added")
    }

    private mutating func field(_ line: ByteText) throws(FormatError) {
      if let first = line.first, first == 0x20 || first == 0x09 { return try entry(line.trimmed) }
      guard !line.isEmpty else { return }
      guard let colon = line.endOfFieldName else {
        throw FormatError(file: file, line: number, "\"\(shown(line))\" is no field of a Release file")
      }
      hasFields = true
      list = .none
      let value = line.part(from: colon + 1).trimmed
      switch String(decoding: line.part(0..<colon), as: UTF8.self).lowercased() {
      case "sha256": list = .sha256
      case "sha512": list = .sha512
      case "md5sum", "sha1": list = .weak
      case "acquire-by-hash": release.acquireByHash = value.equals("yes")
      case "date": release.date = try time(value)
      case "valid-until": release.validUntil = try time(value)
      case "codename": release.codename = value.array
      case "suite": release.suite = value.array
      case "components": release.components = words(value)
      case "architectures": release.architectures = words(value)
      default: break
      }
    }

    private func words(_ text: ByteText) -> [[UInt8]] { text.split { isBlank($0) }.map { Array($0) } }

    private func time(_ text: ByteText) throws(FormatError) -> Int {
      guard let time = DebianTime.seconds(text) else {
        throw FormatError(file: file, line: number, "\"\(shown(text))\" is no date")
      }
      return time
    }

    /// Reads a line of a list: checksum, size, path.
    private mutating func entry(_ line: ByteText) throws(FormatError) {
      guard list != .none, !line.isEmpty else { return }
      let words = line.split(maxSplits: 2) { isBlank($0) }
      guard words.count == 3, let size = decimal(words[1]), let sum = hexadecimalBytes(words[0]) else {
        throw FormatError(file: file, line: number, "\"\(shown(line))\" is no checksum, size and path")
      }
      let path = ByteText(rebasing: words[2]).trimmed.array
      var entry = release.entries[path] ?? Entry(size: size)
      guard entry.size == size else {
        throw FormatError(file: file, line: number, "two sizes for \(shown(path)): \(entry.size) and \(size)")
      }
      let digestBytes = sum.count
      switch list {
      case .sha256: entry.sha256 = sum
      case .sha512: entry.sha512 = sum
      case .weak, .none: break
      }
      guard list == .weak || digestBytes == (list == .sha256 ? 32 : 64) else {
        throw FormatError(file: file, line: number, "the checksum of \(shown(path)) has \(digestBytes) bytes")
      }
      release.entries[path] = entry
    }
  }

  private init() {}
}

/// Times of Release files: `Sat, 29 Nov 2025 10:11:12 UTC`, as RFC 9110 writes them but for the zone.
enum DebianTime {
  private static let months: [StaticString] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// Seconds since 1970; nil for anything else than a time in UTC.
  static func seconds(_ text: ByteText) -> Int? {
    var words = text.split { isBlank($0) }.map { ByteText(rebasing: $0) }
    // The day of the week says nothing new.
    if words.first?.last == UInt8(ascii: ",") { words.removeFirst() }
    guard words.count == 5 || words.count == 4,
      let day = decimal(words[0]), let month = months.firstIndex(where: { words[1].equals($0) }),
      let year = decimal(words[2]), (1970...9999).contains(year), (1...31).contains(day)
    else { return nil }
    let clock = words[3].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map { decimal($0) }
    guard clock.count == 3, let hour = clock[0], let minute = clock[1], let second = clock[2],
      hour < 24, minute < 60, second <= 60
    else { return nil }
    if words.count == 5 {
      let zone = words[4]
      guard zone.equals("UTC") || zone.equals("GMT") || zone.equals("Z") || zone.equals("+0000") else { return nil }
    }
    return days(year: year, month: month + 1, day: day) * 86400 + hour * 3600 + minute * 60 + second
  }

  /// Days since 1970-01-01 of the Gregorian calendar, counted in years that begin in March, so that the leap day is
  /// the last one.
  private static func days(year: Int, month: Int, day: Int) -> Int {
    let shifted = month > 2 ? year : year - 1
    let era = shifted / 400
    let yearOfEra = shifted % 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}

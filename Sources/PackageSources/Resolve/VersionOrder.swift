/// The order of versions, as the tools of each kind of package define it.
///
/// Each returns a negative number if the first is older, 0 if they are equal, a positive one if it is newer.
enum VersionOrder {
  static func compare(_ kind: SourceKind, _ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
    switch kind {
    case .apt: debian(one, other)
    case .yum: rpm(one, other)
    case .pac: pacman(one, other)
    case .pkgng: pkgng(one, other)
    }
  }

  // MARK: deb

  /// Debian policy, 5.6.12: epoch, upstream version, revision; letters before other characters, `~` before the end.
  static func debian(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
    let one = VersionPieces(one)
    let other = VersionPieces(other)
    let epochs = compareNumbers(one.epoch, other.epoch)
    if epochs != 0 { return epochs }
    let upstream = compareDebian(one.version, other.version)
    // Without a revision it counts as `0`, which an empty text equals.
    return upstream != 0 ? upstream : compareDebian(one.release, other.release)
  }

  /// Runs of what is no digit, and of digits, in turn.
  private static func compareDebian(_ one: Slice<UnsafeRawBufferPointer>, _ other: Slice<UnsafeRawBufferPointer>) -> Int
  {
    var one = one
    var other = other
    while !one.isEmpty || !other.isEmpty {
      while one.first.map({ !isDigit($0) }) ?? false || other.first.map({ !isDigit($0) }) ?? false {
        let first = weight(one.first)
        let second = weight(other.first)
        if first != second { return first - second }
        one = one.dropFirst()
        other = other.dropFirst()
      }
      let digits = one.prefix(while: isDigit)
      let others = other.prefix(while: isDigit)
      let order = compareNumbers(digits, others)
      if order != 0 { return order }
      one = one[digits.endIndex...]
      other = other[others.endIndex...]
    }
    return 0
  }

  /// What a character of a run of no digits counts; a digit and the end count alike.
  private static func weight(_ byte: UInt8?) -> Int {
    guard let byte, !isDigit(byte) else { return 0 }
    if byte == UInt8(ascii: "~") { return -1 }
    return isLetter(byte) ? Int(byte) : Int(byte) + 256
  }

  // MARK: rpm

  /// rpm's rpmVersionCompare: epoch (none counts as 0), version, release. A side without a release equals every release.
  static func rpm(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
    let one = VersionPieces(one)
    let other = VersionPieces(other)
    let epochs = compareNumbers(one.epoch, other.epoch)
    if epochs != 0 { return epochs }
    let versions = rpmSegments(one.version, other.version)
    if versions != 0 || one.release.isEmpty || other.release.isEmpty { return versions }
    return rpmSegments(one.release, other.release)
  }

  /// rpm's rpmvercmp: runs of digits or of letters; `~` is older than the end, `^` is newer than the end and older than anything else.
  /// Source: rpm-software-management/rpm: rpmio/rpmvercmp.c (rpmvercmp of 4.15 and later).
  static func rpmSegments(_ one: Slice<UnsafeRawBufferPointer>, _ other: Slice<UnsafeRawBufferPointer>) -> Int {
    var one = one
    var other = other
    func isSeparator(_ byte: UInt8) -> Bool {
      !isDigit(byte) && !isLetter(byte) && byte != UInt8(ascii: "~") && byte != UInt8(ascii: "^")
    }
    while !one.isEmpty || !other.isEmpty {
      one = one.drop(while: isSeparator)
      other = other.drop(while: isSeparator)
      let tildes = (one.first == UInt8(ascii: "~"), other.first == UInt8(ascii: "~"))
      if tildes.0 || tildes.1 {
        if !tildes.0 { return 1 }
        if !tildes.1 { return -1 }
        one = one.dropFirst()
        other = other.dropFirst()
        continue
      }
      let carets = (one.first == UInt8(ascii: "^"), other.first == UInt8(ascii: "^"))
      if carets.0 || carets.1 {
        if one.isEmpty { return -1 }
        if other.isEmpty { return 1 }
        if !carets.0 { return 1 }
        if !carets.1 { return -1 }
        one = one.dropFirst()
        other = other.dropFirst()
        continue
      }
      guard let first = one.first, !other.isEmpty else { break }
      let isNumber = isDigit(first)
      let segment = one.prefix(while: isNumber ? isDigit : isLetter)
      let others = other.prefix(while: isNumber ? isDigit : isLetter)
      // Numbers are newer than letters.
      if others.isEmpty { return isNumber ? 1 : -1 }
      let order = isNumber ? compareNumbers(segment, others) : compareBytes(segment, others)
      if order != 0 { return order }
      one = one[segment.endIndex...]
      other = other[others.endIndex...]
    }
    return (one.isEmpty ? 0 : 1) - (other.isEmpty ? 0 : 1)
  }

  // MARK: pacman

  /// alpm_pkg_vercmp: as rpm, but letters behind a number are older than the number alone (`1.0a` before `1.0`), and a longer row of
  /// separators is newer. Source: pacman: lib/libalpm/version.c.
  static func pacman(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
    let one = VersionPieces(one)
    let other = VersionPieces(other)
    let epochs = compareNumbers(one.epoch, other.epoch)
    if epochs != 0 { return epochs }
    let versions = alpmSegments(one.version.text, other.version.text)
    if versions != 0 || one.release.isEmpty || other.release.isEmpty { return versions }
    return alpmSegments(one.release.text, other.release.text)
  }

  private static func alpmSegments(_ one: [UInt8], _ other: [UInt8]) -> Int {
    if one == other { return 0 }
    var one = one[...]
    var other = other[...]
    func isPart(_ byte: UInt8) -> Bool { isDigit(byte) || isLetter(byte) }
    while !one.isEmpty, !other.isEmpty {
      let separators = one.prefix { !isPart($0) }.count
      let otherSeparators = other.prefix { !isPart($0) }.count
      one = one.dropFirst(separators)
      other = other.dropFirst(otherSeparators)
      if one.isEmpty || other.isEmpty { break }
      if separators != otherSeparators { return separators < otherSeparators ? -1 : 1 }
      let isNumber = isDigit(one.first!)
      let segment = one.prefix(while: isNumber ? isDigit : isLetter)
      let others = other.prefix(while: isNumber ? isDigit : isLetter)
      if others.isEmpty { return isNumber ? 1 : -1 }
      let order = isNumber ? compareNumbers(segment, others) : compareBytes(segment, others)
      if order != 0 { return order }
      one = one[segment.endIndex...]
      other = other[others.endIndex...]
    }
    if one.isEmpty, other.isEmpty { return 0 }
    // What is left are letters: older; or a number or a separator: newer.
    if one.isEmpty { return isLetter(other.first!) ? 1 : -1 }
    return isLetter(one.first!) ? -1 : 1
  }

  // MARK: pkgng

  /// FreeBSD's `version_revision,epoch`: epoch, version, revision. Suffixes like `alpha` and `pl` are taken as rpm takes letters, which
  /// is less than pkg's own order; it decides only where several repositories have a package.
  static func pkgng(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
    let one = FreeBSDVersion(one[...])
    let other = FreeBSDVersion(other[...])
    let epochs = compareNumbers(one.epoch, other.epoch)
    if epochs != 0 { return epochs }
    let versions = rpmSegments(one.version, other.version)
    return versions != 0 ? versions : compareNumbers(one.revision, other.revision)
  }

  private struct FreeBSDVersion {
    var version: Slice<UnsafeRawBufferPointer>
    var revision: Slice<UnsafeRawBufferPointer>
    var epoch: Slice<UnsafeRawBufferPointer>

    init(_ text: Slice<UnsafeRawBufferPointer>) {
      version = text
      epoch = text.suffix(0)
      revision = text.suffix(0)
      if let comma = version.lastIndex(of: UInt8(ascii: ",")) {
        epoch = version[(comma + 1)...]
        version = version[..<comma]
      }
      if let underscore = version.lastIndex(of: UInt8(ascii: "_")) {
        revision = version[(underscore + 1)...]
        version = version[..<underscore]
      }
    }
  }

  // MARK: Pieces

  /// Numbers of any length; none counts as 0.
  private static func compareNumbers<Bytes: Collection<UInt8>>(_ one: Bytes, _ other: Bytes) -> Int {
    let one = one.drop { $0 == UInt8(ascii: "0") }
    let other = other.drop { $0 == UInt8(ascii: "0") }
    if one.count != other.count { return one.count < other.count ? -1 : 1 }
    return compareBytes(one, other)
  }

  private static func compareBytes<Bytes: Collection<UInt8>>(_ one: Bytes, _ other: Bytes) -> Int {
    for (first, second) in zip(one, other) where first != second { return first < second ? -1 : 1 }
    return one.count == other.count ? 0 : one.count < other.count ? -1 : 1
  }
}

extension Slice<UnsafeRawBufferPointer> {
  fileprivate var text: [UInt8] { Array(self) }
}

extension VersionOperator {
  /// Whether an order of two versions is what the operator wants of the first.
  func accepts(_ order: Int) -> Bool {
    switch self {
    case .none: true
    case .less: order < 0
    case .lessOrEqual: order <= 0
    case .equal: order == 0
    case .greaterOrEqual: order >= 0
    case .greater: order > 0
    }
  }

  /// As package tools write it.
  func sign(_ kind: SourceKind) -> String {
    switch self {
    case .none: ""
    case .less: kind == .apt ? "<<" : "<"
    case .lessOrEqual: "<="
    case .equal: "="
    case .greaterOrEqual: ">="
    case .greater: kind == .apt ? ">>" : ">"
    }
  }
}

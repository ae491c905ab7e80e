/// Bcfg2 1.4's own comparison of rpm versions, which is not rpm's: `2~rc1` is newer than `2`, a caret separates like a dot.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/Yum.py, YumSource._compare_rpm_versions.
enum Bcfg2VersionOrder {
  /// Negative if `one` is older.
  /// - Returns: nil where Python ends with an exception: what follows a tilde of both is no letter or digit.
  static func compare(_ one: Slice<UnsafeRawBufferPointer>, _ other: Slice<UnsafeRawBufferPointer>) -> Int? {
    if one.elementsEqual(other) { return 0 }
    var one = one
    var other = other
    while true {
      one = one.drop { !isPart($0) }
      other = other.drop { !isPart($0) }
      guard let first = one.first, let second = other.first else { break }
      if first == tilde, second == tilde {
        one = one.dropFirst()
        other = other.dropFirst()
      } else if first == tilde {
        return -1
      } else if second == tilde {
        return 1
      }
      let isNumber = one.first.map(isDigit) ?? false
      if isNumber {
        let digits = one.prefix(while: isDigit)
        let others = other.prefix(while: isDigit)
        one = one[digits.endIndex...]
        other = other[others.endIndex...]
        if others.isEmpty { return 1 }
        let order = compareNumbers(digits, others)
        if order != 0 { return order }
      } else {
        guard let letter = one.first, isLetter(letter) else { return nil }
        guard let second = other.first, isLetter(second) else { return -1 }
        // One letter at a time.
        one = one.dropFirst()
        other = other.dropFirst()
        if letter != second { return letter > second ? 1 : -1 }
      }
    }
    return (one.count > other.count ? 1 : 0) - (other.count > one.count ? 1 : 0)
  }

  private static func compareNumbers(
    _ one: Slice<UnsafeRawBufferPointer>, _ other: Slice<UnsafeRawBufferPointer>
  ) -> Int {
    let one = one.drop { $0 == UInt8(ascii: "0") }
    let other = other.drop { $0 == UInt8(ascii: "0") }
    if one.count != other.count { return one.count > other.count ? 1 : -1 }
    for (first, second) in zip(one, other) where first != second { return first > second ? 1 : -1 }
    return 0
  }

  private static let tilde = UInt8(ascii: "~")
  private static func isPart(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || byte == tilde }
}

/// ASCII digits and letters, in no locale.
func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

/// `epoch:version-release` in its three pieces, as packages of rpm, pacman and Debian have it; what is not there is empty.
struct VersionPieces {
  var epoch: Slice<UnsafeRawBufferPointer>
  var version: Slice<UnsafeRawBufferPointer>
  var release: Slice<UnsafeRawBufferPointer>

  init(_ text: UnsafeRawBufferPointer) {
    var rest = text[...]
    epoch = rest.prefix(0)
    if let colon = rest.firstIndex(of: UInt8(ascii: ":")) {
      epoch = rest[..<colon]
      rest = rest[(colon + 1)...]
    }
    version = rest
    release = rest.suffix(0)
    if let hyphen = rest.lastIndex(of: UInt8(ascii: "-")) {
      version = rest[..<hyphen]
      release = rest[(hyphen + 1)...]
    }
  }
}

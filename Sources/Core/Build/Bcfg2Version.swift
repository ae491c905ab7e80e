/// A comparable Bcfg2 version: `1.3.4`, `1.4.0pre2`, `1.4.0rc1`.
///
/// A pre-release sorts before its release; `pre` before `rc`. Source of the form: Bcfg2/bcfg2: src/lib/Bcfg2/version.py.
public struct Bcfg2Version: Comparable, Sendable, CustomStringConvertible {
  /// The text it was read from.
  public let description: String
  private let numbers: [Int]
  private let stage: Stage
  private let stageNumber: Int

  private enum Stage: Int, Comparable, Sendable {
    /// A word that Bcfg2 does not know: older than all others, equal to any other such word.
    case other
    case pre, candidate, release
    static func < (a: Stage, b: Stage) -> Bool { a.rawValue < b.rawValue }

    init(_ word: String) {
      switch word {
      case "pre": self = .pre
      case "rc": self = .candidate
      case "final": self = .release
      default: self = .other
      }
    }
  }

  /// Reads `MAJOR.MINOR.PATCH`, optionally followed by a word and one digit; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
    description = text
    if let (patch, word, digit) = Self.staged(Array(parts[2].utf8)) {
      numbers = [major, minor, patch]
      stage = Stage(word)
      stageNumber = digit
    } else {
      guard let patch = Int(parts[2]) else { return nil }
      numbers = [major, minor, patch]
      stage = .release
      stageNumber = 0
    }
  }

  /// Splits `0rc1` into 0, `rc` and 1, where the regular expression `(\d+)(\w+)(\d+)` splits it: the word in `0rc12` is
  /// `rc1`, in `345` it is `4`. Nil if that does not match.
  private static func staged(_ text: [UInt8]) -> (patch: Int, word: String, digit: Int)? {
    func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
    let words = text.prefix { isDigit($0) || ($0 | 0x20) &- UInt8(ascii: "a") < 26 || $0 == UInt8(ascii: "_") }
    guard let last = words.lastIndex(where: isDigit) else { return nil }
    let split = min(words.prefix(while: isDigit).count, last - 1)
    guard split > 0, let patch = Int(String(decoding: words[..<split], as: UTF8.self)) else { return nil }
    return (patch, String(decoding: words[split..<last], as: UTF8.self), Int(words[last] - UInt8(ascii: "0")))
  }

  public static func == (a: Bcfg2Version, b: Bcfg2Version) -> Bool {
    a.numbers == b.numbers && a.stage == b.stage && a.stageNumber == b.stageNumber
  }

  public static func < (a: Bcfg2Version, b: Bcfg2Version) -> Bool {
    if a.numbers != b.numbers { return a.numbers.lexicographicallyPrecedes(b.numbers) }
    if a.stage != b.stage { return a.stage < b.stage }
    return a.stageNumber < b.stageNumber
  }
}

/// A Bcfg2 version that can be compared: `1.3.4`, `1.4.0pre2`, `1.4.0rc1`.
///
/// A pre-release sorts before its release; `pre` before `rc`. Source of the form: Bcfg2/bcfg2: src/lib/Bcfg2/version.py.
public struct Bcfg2Version: Comparable, Sendable, CustomStringConvertible {
  /// The text that it was read from.
  public let description: String
  private let numbers: [Int]
  private let stage: Stage
  private let stageNumber: Int

  private enum Stage: Int, Comparable, Sendable {
    case pre, candidate, release
    static func < (a: Stage, b: Stage) -> Bool { a.rawValue < b.rawValue }
  }

  /// Reads `MAJOR.MINOR.PATCH`, with or without `preN` or `rcN` after it; nil for anything else.
  public init?(_ text: String) {
    var numbers: [Int] = []
    var stage = Stage.release
    var stageNumber = 0
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 2, parts.count <= 3 else { return nil }
    for (index, part) in parts.enumerated() {
      let digits = part.prefix { $0.isASCII && $0.isNumber }
      guard let number = Int(digits) else { return nil }
      numbers.append(number)
      let rest = part.dropFirst(digits.count)
      guard !rest.isEmpty else { continue }
      guard index == parts.count - 1 else { return nil }
      let word = rest.prefix { !$0.isNumber }
      switch word {
      case "pre": stage = .pre
      case "rc": stage = .candidate
      default: return nil
      }
      guard let number = Int(rest.dropFirst(word.count)) else { return nil }
      stageNumber = number
    }
    while numbers.count < 3 { numbers.append(0) }
    self.description = text
    self.numbers = numbers
    self.stage = stage
    self.stageNumber = stageNumber
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

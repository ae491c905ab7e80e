/// The syntax tree of a regular expression of Python's `re`.
nonisolated indirect enum RegexNode: Equatable {
  /// One Unicode scalar.
  case literal(UInt32)
  /// `.`
  case any
  case set(RegexSet)
  case assertion(RegexAssertion)
  /// With its number if it captures.
  case group(Int?, RegexNode)
  case sequence([RegexNode])
  case alternatives([RegexNode])
  /// - Parameter max: nil without a bound.
  case repeated(RegexNode, min: Int, max: Int?, isGreedy: Bool)
  /// The text captured by a group.
  case reference(Int)
  /// `(?(1)then|otherwise)`
  case condition(Int, then: RegexNode, otherwise: RegexNode)
  case look(isBehind: Bool, isNegative: Bool, RegexNode)
}

/// Conditions at a position of a text.
nonisolated enum RegexAssertion {
  /// `^`
  case lineStart
  /// `$`
  case lineEnd
  /// `\A`
  case textStart
  /// `\Z`
  case textEnd
  /// `\b`
  case wordBoundary
  /// `\B`
  case notWordBoundary
}

/// `[...]`, or a class such as `\d`.
nonisolated struct RegexSet: Equatable {
  enum Member: Equatable {
    /// Unicode scalars, both ends included.
    case range(UInt32, UInt32)
    case category(RegexCategory, isNegative: Bool)
  }

  var isNegative = false
  var members: [Member] = []
}

/// `\d`, `\s`, `\w`.
nonisolated enum RegexCategory: Character {
  case digit = "d"
  case space = "s"
  case word = "w"
}

/// Flags inside a pattern, which apply to all of it.
nonisolated struct RegexFlags: OptionSet {
  let rawValue: Int

  static let ignoreCase = RegexFlags(rawValue: 1)
  static let multiline = RegexFlags(rawValue: 2)
  static let dotAll = RegexFlags(rawValue: 4)
  static let verbose = RegexFlags(rawValue: 8)
  static let unicode = RegexFlags(rawValue: 16)
  /// `L`: classes of the process's locale. The server runs in the C locale, so that it has no effect.
  static let locale = RegexFlags(rawValue: 32)
  /// `t`: repeats are refused.
  static let template = RegexFlags(rawValue: 64)

  /// The flag of a letter.
  init?(_ letter: Unicode.Scalar) {
    switch letter {
    case "i": self = .ignoreCase
    case "L": self = .locale
    case "m": self = .multiline
    case "s": self = .dotAll
    case "t": self = .template
    case "u": self = .unicode
    case "x": self = .verbose
    default: return nil
    }
  }

  init(rawValue: Int) { self.rawValue = rawValue }
}

/// The number of characters that a part of a pattern can match.
nonisolated struct RegexWidth: Equatable {
  var min: Int
  var max: Int

  /// More than any text has.
  static let unbounded = 1 << 32
  static let zero = RegexWidth(min: 0, max: 0)
  static let one = RegexWidth(min: 1, max: 1)

  static func + (left: RegexWidth, right: RegexWidth) -> RegexWidth {
    RegexWidth(min: Swift.min(left.min + right.min, unbounded), max: Swift.min(left.max + right.max, unbounded))
  }

  /// - Parameter max: nil without a bound.
  func times(min: Int, max: Int?) -> RegexWidth {
    RegexWidth(
      min: Swift.min(self.min * min, Self.unbounded),
      max: self.max == 0 ? 0 : max.map { Swift.min(self.max * $0, Self.unbounded) } ?? Self.unbounded)
  }

  /// The width of an alternative of both.
  func or(_ other: RegexWidth) -> RegexWidth {
    RegexWidth(min: Swift.min(min, other.min), max: Swift.max(max, other.max))
  }
}

nonisolated extension RegexNode {
  /// - Parameter groups: widths of the groups that may be referred to.
  func width(_ groups: [Int: RegexWidth]) -> RegexWidth {
    switch self {
    case .literal, .any, .set: .one
    case .assertion, .look: .zero
    case .group(_, let inner): inner.width(groups)
    case .sequence(let items): items.reduce(.zero) { $0 + $1.width(groups) }
    case .alternatives(let items):
      items.dropFirst().reduce(items.first?.width(groups) ?? .zero) { $0.or($1.width(groups)) }
    case .repeated(let inner, let min, let max, _): inner.width(groups).times(min: min, max: max)
    case .reference(let group): groups[group] ?? RegexWidth(min: 0, max: RegexWidth.unbounded)
    case .condition(_, let then, let otherwise): then.width(groups).or(otherwise.width(groups))
    }
  }

  /// True if it matches exactly one character.
  var isSingle: Bool {
    switch self {
    case .literal, .any, .set: true
    default: false
    }
  }
}

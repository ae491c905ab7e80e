/// A pattern of Python's fnmatch: `*` matches anything including slashes, `?` one character, `[...]` one character of a
/// set, `[!...]` one outside it. It must match the whole name.
public nonisolated struct Glob: Hashable, Sendable {
  /// The pattern as written.
  public let pattern: String
  private let parts: [Part]

  private enum Part: Hashable, Sendable {
    case scalar(Unicode.Scalar)
    case one
    case any
    case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
  }

  public init(_ pattern: String) {
    self.pattern = pattern
    let scalars = Array(pattern.unicodeScalars)
    var parts: [Part] = []
    var index = 0
    while index < scalars.count {
      let scalar = scalars[index]
      index += 1
      switch scalar {
      case "*": if parts.last != .any { parts.append(.any) }
      case "?": parts.append(.one)
      case "[": parts.append(Self.set(scalars, &index))
      default: parts.append(.scalar(scalar))
      }
    }
    self.parts = parts
  }

  /// Reads a set after its bracket; without an end the bracket is literal.
  private static func set(_ scalars: [Unicode.Scalar], _ index: inout Int) -> Part {
    var end = index
    if end < scalars.count, scalars[end] == "!" { end += 1 }
    if end < scalars.count, scalars[end] == "]" { end += 1 }
    while end < scalars.count, scalars[end] != "]" { end += 1 }
    guard end < scalars.count else { return .scalar("[") }
    var members = scalars[index..<end]
    index = end + 1
    let isNegated = members.first == "!"
    if isNegated { members.removeFirst() }
    var ranges: [ClosedRange<Unicode.Scalar>] = []
    while let first = members.popFirst() {
      if members.count >= 2, members.first == "-" {
        let last = members[members.startIndex + 1]
        members.removeFirst(2)
        if first <= last { ranges.append(first...last) }
      } else {
        ranges.append(first...first)
      }
    }
    return .set(ranges, isNegated: isNegated)
  }

  /// Whether the whole name matches.
  public func matches(_ name: String) -> Bool {
    var steps = 0
    return matches(name, steps: &steps)
  }

  /// The same, and adds what it took: a step for each look at a part, and one for each range of a set. They are at most two more
  /// than the pattern's bytes for each character, and two characters more.
  func matches(_ name: String, steps: inout Int) -> Bool {
    var name = name.unicodeScalars[...]
    var part = 0
    // Position of the last `*` and the end of its match: backtracking to it is enough, because `*` matches anything.
    var star: (part: Int, rest: Substring.UnicodeScalarView)?
    while true {
      steps += 1
      if part < parts.count, parts[part] == .any {
        part += 1
        if part == parts.count { return true }
        star = (part, name)
        continue
      }
      if let scalar = name.first {
        if part < parts.count, Self.fits(parts[part], scalar, &steps) {
          part += 1
          name.removeFirst()
          continue
        }
      } else if part == parts.count {
        return true
      }
      guard var back = star, !back.rest.isEmpty else { return false }
      back.rest.removeFirst()
      star = back
      part = back.part
      name = back.rest
    }
  }

  private static func fits(_ part: Part, _ scalar: Unicode.Scalar, _ steps: inout Int) -> Bool {
    switch part {
    case .scalar(let own): return own == scalar
    case .one: return true
    case .any: return false
    case .set(let ranges, let isNegated):
      steps += ranges.count
      return ranges.contains { $0.contains(scalar) } != isNegated
    }
  }
}

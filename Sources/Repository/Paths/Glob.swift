import Glibc

/// A pattern of Python's fnmatch: `*` matches anything including slashes, `?` one character, `[...]` one character of a
/// set, `[!...]` one outside it. It must match the whole name.
///
/// A file of patterns is compared with every path of the repository, so that a match costs little: bytes are compared where
/// the pattern has text, what is before the first `*` and behind the last one is looked for in one place alone, and what is
/// between two of them is taken where it comes first.
public nonisolated struct Glob: Hashable, Sendable {
  /// The pattern as written.
  public let pattern: String
  /// What is before, between and behind the stars; one without any.
  private let segments: [[Part]]

  private enum Part: Hashable, Sendable {
    /// UTF-8, of whole characters.
    case text([UInt8])
    case one
    case set([ClosedRange<Unicode.Scalar>], isNegated: Bool)
  }

  public init(_ pattern: String) {
    self.pattern = pattern
    let scalars = Array(pattern.unicodeScalars)
    var segments: [[Part]] = [[]]
    var text: [UInt8] = []
    func endText() {
      if text.isEmpty { return }
      segments[segments.count - 1].append(.text(text))
      text = []
    }
    var index = 0
    while index < scalars.count {
      let scalar = scalars[index]
      index += 1
      switch scalar {
      case "*":
        endText()
        // Further ones say the same.
        if segments.count == 1 || segments.last != [] { segments.append([]) }
      case "?":
        endText()
        segments[segments.count - 1].append(.one)
      case "[":
        if let set = Self.set(scalars, &index) {
          endText()
          segments[segments.count - 1].append(set)
        } else {
          text.append(UInt8(ascii: "["))
        }
      default: text += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
      }
    }
    endText()
    self.segments = segments
  }

  /// Reads a set after its bracket; nil without an end: then the bracket is literal.
  private static func set(_ scalars: [Unicode.Scalar], _ index: inout Int) -> Part? {
    var end = index
    if end < scalars.count, scalars[end] == "!" { end += 1 }
    if end < scalars.count, scalars[end] == "]" { end += 1 }
    while end < scalars.count, scalars[end] != "]" { end += 1 }
    guard end < scalars.count else { return nil }
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
    var name = name
    return name.withUTF8 { matches(Bytes($0), &steps) }
  }

  private func matches(_ name: Bytes, _ steps: inout Int) -> Bool {
    guard var place = name.end(of: segments[0], at: 0, limit: name.count, &steps) else { return false }
    if segments.count == 1 { return place == name.count }
    guard let last = name.start(of: segments[segments.count - 1], &steps), last >= place else { return false }
    for segment in segments[1..<(segments.count - 1)] {
      guard let end = name.firstEnd(of: segment, from: place, limit: last, &steps) else { return false }
      place = end
    }
    return true
  }

  /// A name as UTF-8, in which parts are looked for. Places are those of first bytes of characters.
  private struct Bytes {
    let bytes: UnsafeBufferPointer<UInt8>

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    var count: Int { bytes.count }

    /// Where the parts end that begin at a place; nil where they are not there, or go beyond the limit.
    func end(of segment: [Part], at start: Int, limit: Int, _ steps: inout Int) -> Int? {
      steps += 1
      var place = start
      for part in segment {
        steps += Self.cost(part)
        switch part {
        case .text(let text):
          guard has(text, at: place, limit: limit) else { return nil }
          place += text.count
        case .one:
          guard place < limit else { return nil }
          place += width(place)
        case .set(let ranges, let isNegated):
          guard place < limit, fits(scalar(place), ranges, isNegated) else { return nil }
          place += width(place)
        }
      }
      return place
    }

    /// Where the parts begin that end with the name.
    func start(of segment: [Part], _ steps: inout Int) -> Int? {
      steps += 1
      var place = count
      for part in segment.reversed() {
        steps += Self.cost(part)
        switch part {
        case .text(let text):
          place -= text.count
          guard place >= 0, has(text, at: place, limit: count) else { return nil }
        case .one, .set:
          repeat { place -= 1 } while place > 0 && bytes[place] & 0xC0 == 0x80
          guard place >= 0 else { return nil }
          if case .set(let ranges, let isNegated) = part, !fits(scalar(place), ranges, isNegated) { return nil }
        }
      }
      return place
    }

    /// Where the parts end in their first place from there on.
    func firstEnd(of segment: [Part], from start: Int, limit: Int, _ steps: inout Int) -> Int? {
      var place = start
      while place <= limit {
        if case .text(let text)? = segment.first {
          // No other place can be one.
          guard let next = first(text[0], from: place, limit: limit) else { return nil }
          place = next
        }
        if let end = end(of: segment, at: place, limit: limit, &steps) { return end }
        if place == limit { return nil }
        place += width(place)
      }
      return nil
    }

    /// Steps of a look at a part.
    private static func cost(_ part: Part) -> Int {
      if case .set(let ranges, _) = part { 1 + ranges.count } else { 1 }
    }

    private func has(_ text: [UInt8], at place: Int, limit: Int) -> Bool {
      guard limit - place >= text.count, let base = bytes.baseAddress else { return false }
      return memcmp(base + place, text, text.count) == 0
    }

    private func first(_ byte: UInt8, from place: Int, limit: Int) -> Int? {
      guard place < limit, let base = bytes.baseAddress,
        let found = memchr(base + place, Int32(byte), limit - place)
      else { return nil }
      return UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }

    /// Bytes of the character at a place.
    private func width(_ place: Int) -> Int {
      switch bytes[place] {
      case ..<0xC0: 1
      case ..<0xE0: 2
      case ..<0xF0: 3
      default: 4
      }
    }

    private func scalar(_ place: Int) -> Unicode.Scalar {
      let count = width(place)
      var value = UInt32(bytes[place])
      if count > 1 {
        value &= 0x7F >> UInt32(count)
        for offset in 1..<count { value = value << 6 | UInt32(bytes[place + offset] & 0x3F) }
      }
      return Unicode.Scalar(value) ?? "\u{FFFD}"
    }

    private func fits(_ scalar: Unicode.Scalar, _ ranges: [ClosedRange<Unicode.Scalar>], _ isNegated: Bool) -> Bool {
      ranges.contains { $0.contains(scalar) } != isNegated
    }
  }
}

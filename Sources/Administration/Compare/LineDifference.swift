/// The lines in which two texts differ, without context.
nonisolated enum LineDifference {
  /// One line, and whether it is in the second text only, or in the first.
  struct Line: Hashable {
    let text: String
    let isAdded: Bool
  }

  /// Texts with more lines in their differing middles than this, multiplied, are told apart as a whole.
  private static let effortLimit = 4_000_000

  /// What was removed and added, in the order of the texts.
  static func lines(_ old: [Substring], _ new: [Substring]) -> [Line] {
    let start = zip(old, new).prefix { same($0, $1) }.count
    let end = zip(old[start...].reversed(), new[start...].reversed()).prefix { same($0, $1) }.count
    let (one, two) = (old[start..<(old.count - end)], new[start..<(new.count - end)])
    guard one.count * two.count <= effortLimit else {
      return one.map { Line(text: String($0), isAdded: false) } + two.map { Line(text: String($0), isAdded: true) }
    }
    let difference = two.map(Key.init).difference(from: one.map(Key.init))
    let removed = Set(difference.removals.map(\.place))
    let added = Set(difference.insertions.map(\.place))
    var lines: [Line] = []
    var (at, other) = (0, 0)
    let (ones, twos) = (Array(one), Array(two))
    while at < ones.count || other < twos.count {
      if removed.contains(at), at < ones.count {
        lines.append(Line(text: String(ones[at]), isAdded: false))
        at += 1
      } else if added.contains(other), other < twos.count {
        lines.append(Line(text: String(twos[other]), isAdded: true))
        other += 1
      } else {
        at += 1
        other += 1
      }
    }
    return lines
  }

  /// The lines of a text, without their ends.
  static func split(_ text: String) -> [Substring] {
    var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
    if lines.last?.isEmpty ?? false { lines.removeLast() }
    return lines
  }

  private static func same(_ one: Substring, _ other: Substring) -> Bool { one.utf8.elementsEqual(other.utf8) }

  /// A line that is compared by its bytes.
  private struct Key: Hashable {
    let bytes: [UInt8]

    init(_ line: Substring) { bytes = Array(line.utf8) }
  }
}

nonisolated extension CollectionDifference.Change {
  fileprivate var place: Int {
    switch self {
    case .insert(let offset, _, _), .remove(let offset, _, _): offset
    }
  }
}

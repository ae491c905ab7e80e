/// A set of characters, as precise as the bound needs: each ASCII character, all others together, and the end of the
/// text. Line feeds are in no set: the bound is for texts of a single line.
nonisolated struct RegexCharacters: Equatable {
  var low: UInt64 = 0
  var high: UInt64 = 0
  var others = false
  var end = false

  static let none = RegexCharacters()
  static let end = RegexCharacters(end: true)
  static let any = RegexCharacters(low: ~(1 << 10), high: ~0, others: true)
  static let anything = RegexCharacters(low: ~(1 << 10), high: ~0, others: true, end: true)

  mutating func insert(_ value: UInt32) {
    switch value {
    case 10: break
    case ..<64: low |= 1 << UInt64(value)
    case ..<128: high |= 1 << UInt64(value - 64)
    default: others = true
    }
  }

  func contains(_ value: UInt32) -> Bool {
    switch value {
    case ..<64: low & 1 << UInt64(value) != 0
    case ..<128: high & 1 << UInt64(value - 64) != 0
    default: others
    }
  }

  static func | (left: RegexCharacters, right: RegexCharacters) -> RegexCharacters {
    RegexCharacters(
      low: left.low | right.low, high: left.high | right.high, others: left.others || right.others,
      end: left.end || right.end)
  }

  func overlaps(_ other: RegexCharacters) -> Bool {
    low & other.low != 0 || high & other.high != 0 || others && other.others || end && other.end
  }

  /// The characters that a single-character node matches, or a superset.
  init(_ node: RegexNode, _ flags: RegexFlags) {
    self.init()
    switch node {
    case .any: self = .any
    case .literal(let value): insert(value, flags)
    case .set(let set):
      for value: UInt32 in 0..<128 where Self.contains(set, value, flags) != set.isNegative { insert(value) }
      others =
        set.isNegative || flags.contains([.unicode])
        || set.members.contains {
          switch $0 {
          case .range(_, let high): high > 127
          case .category(_, let isNegative): isNegative
          }
        }
    default: self = .any
    }
  }

  init(low: UInt64 = 0, high: UInt64 = 0, others: Bool = false, end: Bool = false) {
    self.low = low
    self.high = high
    self.others = others
    self.end = end
  }

  private mutating func insert(_ value: UInt32, _ flags: RegexFlags) {
    insert(value)
    guard flags.contains(.ignoreCase) else { return }
    if (0x61...0x7A).contains(value | 0x20), value < 128 { insert(value ^ 0x20) }
    // Some letters beyond ASCII fold to ASCII letters.
    if flags.contains(.unicode) {
      others = true
      if value > 127 { (low, high) = (low | Self.any.low, high | Self.any.high) }
    }
  }

  private static func contains(_ set: RegexSet, _ value: UInt32, _ flags: RegexFlags) -> Bool {
    let isLetter = (0x61...0x7A).contains(value | 0x20)
    let isDigit = (0x30...0x39).contains(value)
    return set.members.contains { member in
      switch member {
      case .range(let low, let high):
        (low...high).contains(value)
          || (flags.contains(.ignoreCase) && isLetter && (low...high).contains(value ^ 0x20))
      case .category(let category, let isNegative):
        switch category {
        case .digit: isDigit != isNegative
        case .space: (value == 0x20 || (0x09...0x0D).contains(value)) != isNegative
        case .word: (isDigit || isLetter || value == 0x5F) != isNegative
        }
      }
    }
  }
}

/// The number of ways through a part of a pattern: a factor, and a number for each loop that may end at many places.
nonisolated struct RegexWays {
  var factor = 1.0
  /// Number of places at which each loop may end. The loops end in order, so that the number of ways is the product of
  /// these numbers, divided by the number of orders.
  var loops: [Double] = []

  static let one = RegexWays()

  var value: Double {
    var value = factor
    for (position, loop) in loops.enumerated() { value *= max(loop / Double(position + 1), 1) }
    return value
  }

  func times(_ other: RegexWays) -> RegexWays {
    RegexWays(factor: factor * other.factor, loops: loops + other.loops)
  }
}

/// An upper bound of PCRE2's steps on any one-line text of a given length, computed from the pattern's structure alone.
///
/// A step is a backtracking point: each end of a loop, each branch. The bound walks the pattern from left to right. For
/// each loop it counts the places where the part after it can begin: one, if that part starts with other characters
/// than the loop matches; else as many as the fixed text after the loop can occur. The rest of the pattern is tried as
/// many times. Nested loops multiply these numbers, and make a bound astronomical.
nonisolated struct RegexBound {
  /// What can follow a part of a pattern.
  private struct Follow {
    /// The characters that it can begin with.
    var first: RegexCharacters
    /// What is certain of its first characters, in order.
    var prefix: [RegexCharacters] = []
    /// True if it always matches: the match ends there.
    var isSure = false
    /// True if it is just the end of the text.
    var isEnd = false
    /// Steps until it fails within the prefix.
    var entry = 0.0
  }

  /// The cost of one attempt to match a part of a pattern.
  private struct Cost {
    var ways = RegexWays.one
    /// Steps for any text.
    var fixed = 0.0
    /// Steps for each character read.
    var perCharacter = 0.0
  }

  /// Most characters of `Follow.prefix`.
  private static let prefixLimit = 32

  private let flags: RegexFlags
  private let length: Double

  private init(flags: RegexFlags, length: Int) {
    self.flags = flags
    self.length = Double(length)
  }

  /// - Parameter length: bytes of the text.
  static func steps(_ syntax: RegexSyntax, finds scope: PythonRegex.Scope, length: Int) -> Double {
    let bound = RegexBound(flags: syntax.flags, length: length)
    let end =
      scope == .wholeText ? Follow(first: .end, prefix: [.end], isEnd: true) : Follow(first: .anything, isSure: true)
    var root = syntax.root
    if scope == .anywhere, !syntax.beginsAtTextStart, !syntax.beginsWithAnything {
      root = .sequence([.repeated(.any, min: 0, max: nil, isGreedy: false), .group(0, root)])
    }
    let cost = bound.cost(root, end)
    // The start and the end of a match, and the prefix of a search for `.*` at the start of each line.
    return cost.fixed + (cost.perCharacter + (syntax.beginsWithAnything ? 4 : 1)) * bound.length + 16
  }

  // MARK: What follows

  private func follow(_ node: RegexNode, _ next: Follow) -> Follow {
    switch node {
    case .literal, .any, .set:
      let own = RegexCharacters(node, flags)
      return Follow(
        first: own, prefix: Array(([own] + next.prefix).prefix(Self.prefixLimit)),
        entry: next.prefix.isEmpty ? 0 : next.entry)
    case .assertion(.lineEnd) where !flags.contains(.multiline), .assertion(.textEnd):
      return Follow(first: .end, prefix: [.end], isEnd: next.isSure || next.isEnd)
    case .assertion: return Follow(first: next.first, prefix: next.prefix, entry: next.entry + 2)
    case .group(let number, let inner):
      var own = follow(inner, next)
      if number != nil { own.entry += 1 }
      return own
    case .sequence(let items): return items.reversed().reduce(next) { follow($1, $0) }
    case .alternatives(let items):
      let all = items.map { follow($0, next) }
      let known = all.map(\.prefix.count).min() ?? 0
      return Follow(
        first: all.reduce(.none) { $0 | $1.first },
        prefix: (0..<known).map { place in all.reduce(.none) { $0 | $1.prefix[place] } },
        isSure: all.contains(where: \.isSure), entry: all.reduce(0) { $0 + $1.entry + 1 })
    case .repeated(let inner, let min, let max, _):
      if max == 0 { return next }
      if isToEnd(node), next.isEnd { return Follow(first: .anything, isSure: true, entry: 1) }
      if min > 0 {
        var again = max == min ? next : loopFollow(inner, next)
        // What follows the required turns is another turn or the next part: no prefix is certain.
        if max != min { again.prefix = [] }
        var own = again
        for _ in 0..<Swift.min(min, Self.prefixLimit) { own = follow(inner, own) }
        if !inner.isSingle { own.entry += 1 }
        return own
      }
      let own = follow(inner, next)
      // An empty turn ends before the next part fails, and so does the next turn.
      let turns = inner.width([:]).min == 0 ? Swift.min(max ?? 1, 16) + 1 : 1
      return Follow(
        first: own.first | next.first,
        prefix: own.prefix.isEmpty || next.prefix.isEmpty ? [] : [own.prefix[0] | next.prefix[0]],
        isSure: next.isSure, entry: Double(turns) * (own.entry + next.entry + (turns > 1 ? 3 : 1)))
    // Tried at every place, with any text.
    case .reference, .condition, .look: return Follow(first: .anything)
    }
  }

  /// What follows one turn of a loop: another turn, or the part after the loop.
  private func loopFollow(_ inner: RegexNode, _ next: Follow) -> Follow {
    let again = follow(inner, Follow(first: next.first))
    let first = again.first | next.first
    return Follow(
      first: first, prefix: again.prefix.isEmpty || next.prefix.isEmpty ? [] : [first], isSure: next.isSure,
      entry: again.entry + next.entry + 1)
  }

  /// Whether a node is `.*`, which consumes a whole line.
  private func isToEnd(_ node: RegexNode) -> Bool {
    if case .repeated(.any, min: 0, max: nil, _) = node { return true }
    return false
  }

  // MARK: Cost

  private func cost(_ node: RegexNode, _ next: Follow) -> Cost {
    var cost = costWhateverFollows(node, next)
    // If the rest always matches, the first way is the last.
    if next.isSure { cost.ways = .one }
    return cost
  }

  private func costWhateverFollows(_ node: RegexNode, _ next: Follow) -> Cost {
    switch node {
    case .literal, .any, .set: return Cost()
    // `\B` is translated into two assertions.
    case .assertion(let assertion): return Cost(fixed: assertion == .notWordBoundary ? 2 : 0)
    case .reference: return Cost(fixed: 1)
    case .group(let number, let inner):
      var own = cost(inner, next)
      if number != nil { own.fixed += 1 }
      return own
    case .sequence(let items): return cost(of: items, next)
    case .alternatives(let items): return cost(ofAlternatives: items, next)
    case .look(_, _, let inner):
      let own = cost(inner, Follow(first: .anything, isSure: true))
      return Cost(fixed: own.fixed + own.perCharacter * length + 2)
    case .condition(_, let then, let otherwise):
      let (one, other) = (cost(then, next), cost(otherwise, next))
      return Cost(
        ways: RegexWays(factor: one.ways.value + other.ways.value), fixed: one.fixed + other.fixed + 1,
        perCharacter: one.perCharacter + other.perCharacter)
    case .repeated(let inner, let min, let max, _):
      if max == 0 { return Cost() }
      return inner.isSingle
        ? cost(ofLoop: inner, min: min, max: max, next) : cost(ofGroupLoop: inner, min: min, max: max, next)
    }
  }

  private func cost(of items: [RegexNode], _ next: Follow) -> Cost {
    var follows = [next]
    for item in items.reversed() { follows.append(follow(item, follows.last!)) }
    follows.reverse()
    var total = Cost()
    var isSure = false
    // The fixed text after the last loop that may end at many places.
    var landmark: [RegexCharacters] = []
    for (position, item) in items.enumerated() {
      // If the rest always matches, it is tried once.
      isSure = isSure || follows[position].isSure
      let own = cost(item, follows[position + 1])
      if isSure {
        total.fixed += own.fixed + own.perCharacter * length
        continue
      }
      let ways = total.ways.value
      total.fixed += ways * own.fixed
      if ways <= 1 {
        // The items consume successive parts of the text.
        total.perCharacter = max(total.perCharacter, own.perCharacter)
      } else {
        // If the landmark cannot occur in the item's text, these parts of the text do not overlap: together they are at
        // most as long as the text.
        let taken = alphabet(item)
        let isApart = landmark.contains { !$0.overlaps(taken) }
        let ways = isApart ? RegexWays(factor: total.ways.factor, loops: total.ways.loops.dropLast()) : total.ways
        total.fixed += own.perCharacter * ways.times(RegexWays(loops: [length])).value
        if isApart { total.fixed += own.perCharacter * total.ways.value * Double(landmark.count) }
      }
      total.ways = total.ways.times(own.ways)
      if !own.ways.loops.isEmpty { landmark = isLoop(item) ? follows[position + 1].prefix : [] }
    }
    if isSure { total.ways = .one }
    return total
  }

  /// Whether a node is a loop over characters, grouped or not.
  private func isLoop(_ node: RegexNode) -> Bool {
    switch node {
    case .group(_, let inner): isLoop(inner)
    case .repeated(let inner, _, _, _): inner.isSingle
    default: false
    }
  }

  /// All characters that a part of the pattern may read.
  private func alphabet(_ node: RegexNode) -> RegexCharacters {
    switch node {
    case .literal, .any, .set: RegexCharacters(node, flags)
    case .assertion: .none
    case .group(_, let inner), .repeated(let inner, _, _, _): alphabet(inner)
    case .sequence(let items), .alternatives(let items): items.reduce(.none) { $0 | alphabet($1) }
    case .reference, .condition, .look: .anything
    }
  }

  private func cost(ofAlternatives items: [RegexNode], _ next: Follow) -> Cost {
    let costs = items.map { cost($0, next) }
    let follows = items.map { follow($0, next) }
    // Alternatives that can match one text form a set; only the most expensive set counts.
    var sets: [[Int]] = []
    for item in items.indices {
      let touched = sets.indices.filter { sets[$0].contains { overlaps(follows[$0], follows[item]) } }
      let joined = touched.flatMap { sets[$0] } + [item]
      sets = sets.indices.filter { !touched.contains($0) }.map { sets[$0] } + [joined]
    }
    var total = Cost(ways: RegexWays(factor: 0))
    var ways = RegexWays(factor: 0)
    for set in sets {
      total.fixed = max(total.fixed, set.reduce(0) { $0 + costs[$1].fixed })
      total.perCharacter = max(total.perCharacter, set.reduce(0) { $0 + costs[$1].perCharacter })
      let own = set.count == 1 ? costs[set[0]].ways : RegexWays(factor: set.reduce(0) { $0 + costs[$1].ways.value })
      if own.value > ways.value { ways = own }
    }
    total.ways = ways
    total.fixed += follows.reduce(0) { $0 + $1.entry + 1 }
    return total
  }

  private func overlaps(_ one: Follow, _ other: Follow) -> Bool {
    one.first.overlaps(other.first) && zip(one.prefix, other.prefix).allSatisfy { $0.overlaps($1) }
  }

  private func cost(ofLoop inner: RegexNode, min: Int, max: Int?, _ next: Follow) -> Cost {
    if max == min { return Cost() }
    let own = RegexCharacters(inner, flags)
    let each = 1 + next.entry
    let ends = max.map { Double($0 - min + 1) } ?? .infinity
    var cost = Cost()
    if ends <= 16 { cost.fixed = each * ends } else { (cost.fixed, cost.perCharacter) = (each, each) }
    let places = Swift.min(ends, viableEnds(of: own, next))
    // The part after the loop may read the characters that the loop releases.
    cost.fixed += Double(Self.prefixLimit) * (places < Double(Self.prefixLimit) && places > 1 ? 1 : 0)
    if places > 1 { cost.ways = ends <= 16 ? RegexWays(factor: places) : RegexWays(loops: [places]) }
    return cost
  }

  /// At how many places of a run of characters the next part can begin.
  private func viableEnds(of own: RegexCharacters, _ next: Follow) -> Double {
    guard own.overlaps(next.first) else { return 1 }
    let apart = Double(period(next.prefix))
    // A character outside the loop's set is at most this far after its end.
    if let beyond = next.prefix.firstIndex(where: { !own.overlaps($0) }) {
      return (Double(beyond) / apart).rounded(.down) + 1
    }
    return (length / apart).rounded(.down) + 1
  }

  /// The smallest distance of two occurrences of a fixed text.
  private func period(_ text: [RegexCharacters]) -> Int {
    guard text.count > 1 else { return 1 }
    return (1..<text.count).first { shift in zip(text, text[shift...]).allSatisfy { $0.overlaps($1) } } ?? text.count
  }

  private func cost(ofGroupLoop inner: RegexNode, min: Int, max: Int?, _ next: Follow) -> Cost {
    let following = loopFollow(inner, next)
    let own = cost(inner, following)
    let least = Double(Swift.max(inner.width([:]).min, 1))
    let isNullable = inner.width([:]).min == 0
    let turns = Swift.min(max.map(Double.init) ?? .infinity, (length / least).rounded(.down) + 1)
    // PCRE2 compiles a bounded loop as nested groups.
    let each = own.fixed + next.entry + (isNullable || max != nil ? 3 : 1)
    if own.ways.value <= 1, !isNullable {
      var cost = Cost(fixed: each, perCharacter: own.perCharacter + each / least)
      if turns < 16 { cost = Cost(fixed: each * (turns + 1), perCharacter: own.perCharacter) }
      if max != min {
        let first = follow(inner, Follow(first: next.first)).first
        // If the next turn and the part after the loop start with different characters, the loop ends at one place.
        if first.overlaps(next.first) {
          let apart = Swift.max(least, Double(period(next.prefix)))
          let ends = Swift.min(turns, (length / apart).rounded(.down)) + 1
          cost.ways = turns < 16 ? RegexWays(factor: ends) : RegexWays(loops: [ends])
        }
      }
      return cost
    }
    // Each turn multiplies the number of ways of those before it.
    var ways = RegexWays(factor: 2)
    var fixed = 0.0
    for _ in 0..<Int(turns) {
      fixed += ways.value * each + own.perCharacter * ways.times(RegexWays(loops: [length])).value
      ways = ways.times(own.ways)
      if isNullable { ways.factor *= 2 }
      if fixed > 1e12 { return Cost(ways: RegexWays(factor: 1e12), fixed: 1e12) }
    }
    return Cost(ways: RegexWays(factor: ways.value * (turns + 1)), fixed: fixed)
  }
}

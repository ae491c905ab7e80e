/// Whether a text of a single line, as long as a client's name can be, could drive a pattern over its limit.
///
/// `RegexBound` clears most patterns: no such text exists. For the others it builds texts from what their loops repeat,
/// and tries them. A text that takes too many steps proves it; without one the pattern may still be slow, and the
/// message says so.
struct RegexSlowness {
  /// The warning about the pattern; nil if no text can be too slow.
  let warning: String?

  /// - Parameter check: the budget for trying texts. When it is used up the answer is "may".
  init(_ syntax: RegexSyntax, finds scope: PythonRegex.Scope, _ program: RegexProgram, _ check: RegexCheck) {
    let length = RegexLimits.checkedTextBytes
    let steps = RegexLimits.steps
    guard RegexBound.steps(syntax, finds: scope, length: length) > Double(steps) else {
      warning = nil
      return
    }
    for text in RegexAttack(syntax).texts(length: length) {
      guard check.spend(steps) else { break }
      if program.needsMore(than: steps, text) {
        warning =
          "takes more than \(steps) steps for some texts of \(length) bytes, such as '\(Self.shortened(text))'"
        return
      }
    }
    warning = "may take more than \(steps) steps for some texts of \(length) bytes"
  }

  private static func shortened(_ text: [UInt8]) -> String {
    "\(String(decoding: text.prefix(48), as: UTF8.self))...\(String(decoding: text.suffix(8), as: UTF8.self))"
  }
}

/// Texts that make a pattern backtrack as often as possible: text that leads to a loop, repetitions of the loop and its
/// neighbours, then text that never matches.
nonisolated struct RegexAttack {
  private static let limitTexts = 96
  private static let limitPumpBytes = 64
  private static let limitBlocks = 8

  private let flags: RegexFlags
  /// Pairs of the text before a loop and its repeated text.
  private var pumps: [(lead: [UInt8], pump: [UInt8])] = []
  /// The repeated text of each loop of a sequence.
  private var blocks: [[[UInt8]]] = []
  private var endings: [[UInt8]] = []

  init(_ syntax: RegexSyntax) {
    flags = syntax.flags
    collect(syntax.root, lead: [])
    // All fixed text of the pattern, concatenated: it may separate several loops.
    let literals = Array(fixed(syntax.root).prefix(Self.limitPumpBytes))
    if !literals.isEmpty { pumps.insert(([], literals), at: 0) }
    let whole = Array(sample(syntax.root).prefix(Self.limitPumpBytes))
    pumps.insert(([], whole), at: 0)
    // PCRE2 first checks whether the last required character occurs at all.
    let last = literals.isEmpty ? whole : literals
    endings = [Array(last), Array(last.suffix(1)), [], nil].map { $0.map { [UInt8(ascii: "!")] + $0 } ?? [] }
  }

  /// - Parameter length: bytes of each text.
  func texts(length: Int) -> [[UInt8]] {
    var texts: [[UInt8]] = []
    var known = Set<[UInt8]>()
    func add(_ text: [UInt8]) { if known.insert(text).inserted { texts.append(text) } }
    for ending in endings {
      for (lead, pump) in pumps where !pump.isEmpty && lead.count < length / 2 {
        var text = lead
        while text.count + pump.count + ending.count <= length { text += pump }
        add(text + ending)
      }
      for parts in blocks {
        let share = (length - ending.count) / parts.count
        var text: [UInt8] = []
        for part in parts { text += repeatElement(part, count: share / part.count).joined() }
        add(text + ending)
      }
    }
    return Array(texts.prefix(Self.limitTexts))
  }

  /// Finds the loops of a part of the pattern.
  private mutating func collect(_ node: RegexNode, lead: [UInt8]) {
    guard pumps.count < Self.limitTexts else { return }
    switch node {
    case .literal, .any, .set, .assertion, .reference: break
    case .group(_, let inner), .look(_, _, let inner): collect(inner, lead: lead)
    case .alternatives(let items): for item in items { collect(item, lead: lead) }
    case .condition(_, let then, let otherwise):
      collect(then, lead: lead)
      collect(otherwise, lead: lead)
    case .sequence(let items):
      var lead = lead
      let loops = items.flatMap(loops)
      if loops.count > 1, blocks.count < Self.limitBlocks { blocks.append(loops) }
      var betweens: [[UInt8]] = []
      for (position, item) in items.enumerated() {
        collect(item, lead: lead)
        // The fixed text up to the next loop, which occurs repeatedly in the text of the loops before it.
        if case .repeated(_, _, let max, _) = item, max != 1 {
          var between: [UInt8] = []
          for next in items[(position + 1)...] {
            if case .repeated(_, 0, _, _) = next { break }
            between += sample(next)
          }
          pumps.append((lead, Array(between.prefix(Self.limitPumpBytes))))
          if !between.isEmpty { betweens.append(between) }
        }
        lead += sample(item)
      }
      if betweens.count > 1, blocks.count < Self.limitBlocks { blocks.append(betweens) }
    case .repeated(let inner, let min, let max, _):
      collect(inner, lead: lead)
      guard max.map({ $0 - min > 1 }) ?? true else { return }
      for sample in samples(inner) { pumps.append((lead, Array(sample.prefix(Self.limitPumpBytes)))) }
    }
  }

  /// The repeated texts of the outer loops of a part of the pattern.
  private func loops(_ node: RegexNode) -> [[UInt8]] {
    switch node {
    case .group(_, let inner): loops(inner)
    case .sequence(let items): items.flatMap(loops)
    case .repeated(let inner, _, nil, _): samples(inner).first { !$0.isEmpty }.map { [$0] } ?? []
    default: []
    }
  }

  /// A few texts that a part of the pattern matches.
  private func samples(_ node: RegexNode) -> [[UInt8]] {
    switch node {
    case .alternatives(let items): items.prefix(4).map(sample)
    case .group(_, let inner): samples(inner)
    case .any, .set: characters(node).prefix(4).map { [$0] }
    default: [sample(node), longSample(node)]
    }
  }

  /// A short text that a part of the pattern probably matches.
  private func sample(_ node: RegexNode) -> [UInt8] {
    switch node {
    case .literal(let value): Unicode.Scalar(value).map { Array(String(Character($0)).utf8) } ?? []
    case .any, .set: characters(node).first.map { [$0] } ?? []
    case .assertion, .reference, .look: []
    case .group(_, let inner): sample(inner)
    case .sequence(let items): Array(items.map(sample).joined().prefix(Self.limitPumpBytes))
    case .alternatives(let items): items.first.map(sample) ?? []
    case .condition(_, let then, _): sample(then)
    case .repeated(let inner, let min, _, _):
      Array(repeatElement(sample(inner), count: Swift.min(min, Self.limitPumpBytes)).joined())
    }
  }

  /// A text that includes optional parts.
  private func longSample(_ node: RegexNode) -> [UInt8] {
    switch node {
    case .group(_, let inner): longSample(inner)
    case .sequence(let items): Array(items.map(longSample).joined().prefix(Self.limitPumpBytes))
    case .alternatives(let items): items.last.map(longSample) ?? []
    case .repeated(let inner, let min, _, _):
      Array(repeatElement(longSample(inner), count: Swift.max(1, Swift.min(min, Self.limitPumpBytes))).joined())
    default: sample(node)
    }
  }

  /// The literals of a part of the pattern, including optional ones.
  private func fixed(_ node: RegexNode) -> [UInt8] {
    switch node {
    case .literal: sample(node)
    case .group(_, let inner), .repeated(let inner, _, _, _): fixed(inner)
    case .sequence(let items): Array(items.map(fixed).joined().prefix(Self.limitPumpBytes))
    case .alternatives(let items): items.first.map(fixed) ?? []
    default: []
    }
  }

  /// ASCII characters that a single-character part matches, the likely ones first.
  private func characters(_ node: RegexNode) -> [UInt8] {
    let set = RegexCharacters(node, flags)
    return "a0-._A:/ x".utf8.filter { set.contains(UInt32($0)) }
      + (UInt8(0x21)..<0x7F).filter { set.contains(UInt32($0)) }
  }
}

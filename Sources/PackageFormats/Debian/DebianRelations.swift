import PackageSources

/// A field of relations, `a (>= 1) | b:any, c`, on its way into the index.
struct DebianRelations {
  /// The value of the field with its continuation lines.
  let text: ByteText
  /// Bytes of its first line.
  let firstLineBytes: Int
  let file: String

  /// A name with what limits it.
  private struct Target {
    var name: ByteText
    var comparison = VersionOperator.none
    var version = ByteText(start: nil, count: 0)
    var qualifier = ByteText(start: nil, count: 0)
  }

  /// Adds each alternative of each relation to the package that was begun last.
  func add(_ kind: RelationKind, to builder: inout IndexBuilder) throws(FormatError) {
    try forEachPart(of: text, separator: UInt8(ascii: ",")) { relation, start throws(FormatError) in
      guard relation.index(of: UInt8(ascii: "|")) != nil else {
        return try add(relation, kind, flags(at: start), removesBlanks: false, to: &builder)
      }
      // An alternative is added when the next one is known, since it says that another follows.
      var pending: (text: ByteText, start: Int)?
      try forEachPart(of: relation, separator: UInt8(ascii: "|")) { alternative, offset throws(FormatError) in
        guard !alternative.trimmed.isEmpty else { return }
        if let pending {
          try add(
            pending.text, kind, flags(at: pending.start).union(.orNext), removesBlanks: true, to: &builder)
        }
        pending = (alternative, start + offset)
      }
      if let pending { try add(pending.text, kind, flags(at: pending.start), removesBlanks: true, to: &builder) }
    }
  }

  /// Adds each name that the package that was begun last provides.
  func addProvides(to builder: inout IndexBuilder) throws(FormatError) {
    try forEachPart(of: text, separator: UInt8(ascii: ",")) { provide, start throws(FormatError) in
      guard !provide.trimmed.isEmpty else { return }
      try withTarget(provide, removesBlanks: false, splitsQualifier: false) { target throws(FormatError) in
        let name = try builder.number(target.name, of: file)
        let version = try builder.number(target.version, of: file)
        try builder.add(of: file) { builder throws(IndexBuildError) in
          try builder.addProvide(
            name: name, comparison: target.comparison, version: version,
            flags: isContinued(at: start) ? .isContinued : [])
        }
      }
    }
  }

  private func add(
    _ text: ByteText, _ kind: RelationKind, _ flags: RelationFlags, removesBlanks: Bool, to builder: inout IndexBuilder
  ) throws(FormatError) {
    guard !text.trimmed.isEmpty else { return }
    try withTarget(text, removesBlanks: removesBlanks, splitsQualifier: true) { target throws(FormatError) in
      let name = try builder.number(target.name, of: file)
      let version = try builder.number(target.version, of: file)
      let qualifier = try builder.number(target.qualifier, of: file)
      try builder.add(of: file) { builder throws(IndexBuildError) in
        try builder.addRelation(
          kind, name: name, comparison: target.comparison, version: version, qualifier: qualifier, flags: flags)
      }
    }
  }

  private func isContinued(at place: Int) -> Bool { place > firstLineBytes }

  private func flags(at place: Int) -> RelationFlags { isContinued(at: place) ? .isContinued : [] }

  /// Gives each part between separators, and where its first byte that is no blank stands.
  @inline(__always)
  private func forEachPart(
    of text: ByteText, separator: UInt8, _ body: (ByteText, Int) throws(FormatError) -> Void
  ) throws(FormatError) {
    var start = 0
    while start <= text.count {
      let end = text.part(from: start).index(of: separator).map { start + $0 } ?? text.count
      var first = start
      while first < end, isBlank(text[first]) { first += 1 }
      try body(text.part(first..<end), first)
      start = end + 1
    }
  }

  /// Takes one alternative apart.
  ///
  /// The version stands in parentheses, from the first to the last one, as Bcfg2 sees it. A text with anything else
  /// between, which no archive has, is one name as Bcfg2 makes it: without the parentheses, and within alternatives
  /// without blanks.
  private func withTarget(
    _ given: ByteText, removesBlanks: Bool, splitsQualifier: Bool, _ body: (Target) throws(FormatError) -> Void
  ) throws(FormatError) {
    let text = given.trimmed
    var target = Target(name: text)
    var before = text
    var behind = ByteText(start: nil, count: 0)
    if let opening = text.index(of: UInt8(ascii: "(")), let closing = text.lastIndex(of: UInt8(ascii: ")")),
      closing > opening
    {
      before = text.part(0..<opening)
      target.name = before.trimmed
      behind = text.part(from: closing + 1)
      (target.comparison, target.version) = Self.version(text.part(opening + 1..<closing))
    }
    if behind.isEmpty, !target.name.contains(where: isBlank) {
      if splitsQualifier { Self.splitQualifier(&target) }
      return try body(target)
    }
    var name = Array(before) + behind
    if removesBlanks { name.removeAll(where: isBlank) }
    try withBytes(of: name) { name throws(FormatError) in
      target.name = name.trimmed
      if splitsQualifier { Self.splitQualifier(&target) }
      try body(target)
    }
  }

  /// Takes `:any` or an architecture off a name.
  private static func splitQualifier(_ target: inout Target) {
    guard let colon = target.name.lastIndex(of: UInt8(ascii: ":")), colon > 0, colon + 1 < target.name.count else {
      return
    }
    target.qualifier = target.name.part(from: colon + 1)
    target.name = target.name.part(0..<colon)
  }

  /// Reads `>= 1.0`. `<` and `>` are old forms of `<=` and `>=`; a version without an operator must be equal.
  private static func version(_ given: ByteText) -> (VersionOperator, ByteText) {
    let text = given.trimmed
    let signs = text.prefix { $0 == UInt8(ascii: "<") || $0 == UInt8(ascii: ">") || $0 == UInt8(ascii: "=") }.count
    let version = text.part(from: signs).trimmed
    guard !version.isEmpty else { return (.none, version) }
    let sign = text.part(0..<signs)
    if sign.equals("<<") { return (.less, version) }
    if sign.equals("<=") || sign.equals("<") { return (.lessOrEqual, version) }
    if sign.equals(">>") { return (.greater, version) }
    if sign.equals(">=") || sign.equals(">") { return (.greaterOrEqual, version) }
    return (.equal, version)
  }
}

import Databases

/// Makes texts fit their columns.
///
/// PostgreSQL and MySQL refuse what is longer than the column, and with it Bcfg2's whole interaction. SQLite keeps it whole; here up
/// to `longest`, since pages read such columns of many rows.
struct TextLimits: Sendable, Hashable {
  /// Which characters the database takes.
  enum Characters: Int, Sendable, Hashable, CaseIterable {
    case all
    /// MySQL's `utf8` has three bytes a character.
    case basicPlane
    case ascii
  }

  /// Characters of a text that SQLite gets for a column of a shorter length: those of the longest path.
  static let longest = 4096

  var engine: DatabaseEngine
  var characters = Characters.all

  /// The text as it is stored: without NUL, which PostgreSQL refuses, and cut to the column's length. The end of what was cut
  /// off becomes an ellipsis and a hash, so that two long names stay two.
  func fit(_ text: String, _ kind: SQLColumn.Kind) -> String {
    let text = isPlain(text) ? text : replaced(text)
    guard case .varchar(let length) = kind, text.utf8.count > length else { return text }
    let limit = engine == .sqlite ? max(length, Self.longest) : length
    let scalars = text.unicodeScalars
    guard scalars.count > limit else { return text }
    let mark = characters == .ascii ? "~" : "…"
    let end: String
    if limit > 32 {
      var hash = TextHash()
      hash.add(text)
      end = mark + TextHash.hexadecimal(hash.value)
    } else {
      end = ""
    }
    var cut = String.UnicodeScalarView()
    cut.append(contentsOf: scalars.prefix(limit - end.unicodeScalars.count))
    return String(cut) + end
  }

  private func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { $0 != 0 && $0 < 0x80 } }

  private func replaced(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch (scalar.value, characters) {
      case (0, .ascii), (0x80..., .ascii): result.append("?")
      case (0, _), (0x10000..., .basicPlane): result.append("\u{FFFD}")
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  /// An integer for its column: SQLite's have 64 bits, the others' 32. Nil if it does not fit.
  func fit(_ number: Int) -> Int? { engine == .sqlite || Int32(exactly: number) != nil ? number : nil }
}

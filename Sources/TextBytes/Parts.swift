/// Parts of texts between ASCII characters, found by bytes. In UTF-8 no byte of another character is an ASCII one.
///
/// `split`, `firstIndex(of:)` and `contains` compare grapheme clusters: they do not find the line feed of CR LF, a quote
/// with a combining accent, or one of two forms of a letter.
extension StringProtocol
where SubSequence == Substring, UTF8View: BidirectionalCollection, UnicodeScalarView: BidirectionalCollection {
  /// The parts between the bytes of an ASCII character; parameters and result as those of `split`.
  @inlinable
  package func parts(
    between separator: Unicode.Scalar, maxSplits: Int = .max, omittingEmptySubsequences: Bool = true
  ) -> [Substring] {
    let byte = UInt8(ascii: separator)
    var parts: [Substring] = []
    var start = startIndex
    while parts.count < maxSplits, let end = utf8[start...].firstIndex(of: byte) {
      if start != end || !omittingEmptySubsequences { parts.append(self[start..<end]) }
      start = utf8.index(after: end)
    }
    if start != endIndex || !omittingEmptySubsequences { parts.append(self[start...]) }
    return parts
  }

  /// The parts between runs of ASCII white space: space, tab, line feed, vertical tab, form feed, carriage return.
  @inlinable
  package func partsBetweenBlanks(maxSplits: Int = .max) -> [Substring] {
    utf8.split(maxSplits: maxSplits) { $0 == 0x20 || (0x09...0x0D).contains($0) }.map {
      self[$0.startIndex..<$0.endIndex]
    }
  }

  /// The lines, which end with LF or CR LF, without their ends. The last one is empty where the text ends with a line end.
  @inlinable
  package func lines(omittingEmptySubsequences: Bool = false) -> [Substring] {
    let lines = parts(between: "\n", omittingEmptySubsequences: false).map { $0.dropping(suffix: "\r") ?? $0 }
    return omittingEmptySubsequences ? lines.filter { !$0.utf8.isEmpty } : lines
  }

  /// The place of the first byte that is an ASCII character.
  @inlinable
  package func firstPlace(of character: Unicode.Scalar) -> Index? { utf8.firstIndex(of: UInt8(ascii: character)) }

  /// The place of the last byte that is an ASCII character.
  @inlinable
  package func lastPlace(of character: Unicode.Scalar) -> Index? {
    let byte = UInt8(ascii: character)
    var place = endIndex
    while place != startIndex {
      place = utf8.index(before: place)
      if utf8[place] == byte { return place }
    }
    return nil
  }

  /// What precedes the first byte that is an ASCII character; all of the text if there is none.
  @inlinable
  package func part(before character: Unicode.Scalar) -> Substring { self[..<(firstPlace(of: character) ?? endIndex)] }

  /// What follows the last byte that is an ASCII character; all of the text if there is none.
  @inlinable
  package func part(afterLast character: Unicode.Scalar) -> Substring {
    guard let place = lastPlace(of: character) else { return self[...] }
    return self[utf8.index(after: place)...]
  }

  /// What follows a place, which is that of an ASCII character.
  @inlinable
  package func part(after place: Index) -> Substring { self[utf8.index(after: place)...] }

  /// The place of the first occurrence of another text's bytes.
  @inlinable
  package func place(of part: some StringProtocol) -> Range<Index>? {
    var text = String(self)
    var wanted = String(part)
    let found = text.withUTF8 { bytes in wanted.withUTF8 { ByteSearch.offset(of: $0, in: bytes, from: 0) } }
    guard let found else { return nil }
    let start = utf8.index(startIndex, offsetBy: found)
    return start..<utf8.index(start, offsetBy: part.utf8.count)
  }

  /// True where the bytes of another text are somewhere in this one.
  @inlinable
  package func holds(_ part: some StringProtocol) -> Bool {
    var text = String(self)
    var wanted = String(part)
    return text.withUTF8 { bytes in wanted.withUTF8 { ByteSearch.offset(of: $0, in: bytes, from: 0) != nil } }
  }

  /// The text with other bytes in place of each occurrence of a text's bytes.
  @inlinable
  package func replacing(each part: some StringProtocol, by other: some StringProtocol) -> String {
    var text = String(self)
    var wanted = String(part)
    guard !wanted.isEmpty else { return text }
    var result: [UInt8] = []
    text.withUTF8 { bytes in
      wanted.withUTF8 { wanted in
        var start = 0
        while let found = ByteSearch.offset(of: wanted, in: bytes, from: start) {
          result += bytes[start..<found]
          result += other.utf8
          start = found + wanted.count
        }
        result += bytes[start...]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}

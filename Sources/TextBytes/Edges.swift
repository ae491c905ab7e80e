/// Beginnings and endings of texts, compared by bytes.
///
/// `hasPrefix` and `hasSuffix` compare grapheme clusters: a path does not have the prefix "/" where a combining accent
/// follows, and has a prefix in another normalisation form.
extension StringProtocol {
  /// True where the text begins with the bytes of another.
  @inlinable
  package func begins(with start: some StringProtocol) -> Bool {
    utf8.withContiguousStorageIfAvailable { bytes in
      start.utf8.withContiguousStorageIfAvailable { ByteSearch.areAtStart($0, of: bytes) }
    }.flatMap { $0 } ?? utf8.starts(with: start.utf8)
  }

  /// True where the text ends with the bytes of another.
  @inlinable
  package func ends(with end: some StringProtocol) -> Bool {
    utf8.withContiguousStorageIfAvailable { bytes in
      end.utf8.withContiguousStorageIfAvailable { ByteSearch.areAtEnd($0, of: bytes) }
    }.flatMap { $0 } ?? utf8.suffix(end.utf8.count).elementsEqual(end.utf8)
  }

  /// True where two texts have the same bytes.
  @inlinable
  package func isSame(as other: some StringProtocol) -> Bool {
    utf8.count == other.utf8.count && begins(with: other)
  }
}

extension StringProtocol
where SubSequence == Substring, UTF8View: BidirectionalCollection, UnicodeScalarView: BidirectionalCollection {

  /// What follows a beginning, compared by bytes; nil where the text begins otherwise.
  @inlinable
  package func dropping(prefix: some StringProtocol) -> Substring? {
    guard begins(with: prefix) else { return nil }
    return self[utf8.index(startIndex, offsetBy: prefix.utf8.count)...]
  }

  /// What precedes an ending, compared by bytes; nil where the text ends otherwise.
  @inlinable
  package func dropping(suffix: some StringProtocol) -> Substring? {
    guard ends(with: suffix) else { return nil }
    return self[..<utf8.index(endIndex, offsetBy: -suffix.utf8.count)]
  }

  /// Without the bytes at the beginning that are those of an ASCII character, such as slashes.
  @inlinable
  package func dropping(leading character: Unicode.Scalar) -> Substring {
    let byte = UInt8(ascii: character)
    return self[(utf8.firstIndex { $0 != byte } ?? endIndex)...]
  }

  /// Without the bytes at the end that are those of an ASCII character.
  @inlinable
  package func dropping(trailing character: Unicode.Scalar) -> Substring {
    var end = endIndex
    while end != startIndex, case let last = utf8.index(before: end), utf8[last] == UInt8(ascii: character) {
      end = last
    }
    return self[..<end]
  }

  /// Without blanks and line ends at both ends: code points that Unicode calls White_Space.
  @inlinable
  package var trimmingBlanks: String {
    let scalars = unicodeScalars
    guard let first = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
      let last = scalars.lastIndex(where: { !$0.properties.isWhitespace })
    else { return "" }
    return String(self[first..<scalars.index(after: last)])
  }
}

extension Hasher {
  /// Adds the bytes of a text, which tell it from others as `isSame(as:)` does.
  package mutating func combine(bytesOf text: String) {
    let isAdded: Void? = text.utf8.withContiguousStorageIfAvailable { combine(bytes: UnsafeRawBufferPointer($0)) }
    if isAdded == nil { for byte in text.utf8 { combine(byte) } }
    // No byte of a text: where it ends.
    combine(0xFF as UInt8)
  }
}

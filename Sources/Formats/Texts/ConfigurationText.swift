/// Character tests and splits of Python 2 under the C locale: ASCII only.
nonisolated extension UInt8 {
  /// Space, tab, line feed, vertical tab, form feed, carriage return.
  package var isSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }
}

nonisolated extension BidirectionalCollection where Element == UInt8 {
  /// Without white space at both ends.
  package var stripped: SubSequence {
    guard let first = firstIndex(where: { !$0.isSpace }), let last = lastIndex(where: { !$0.isSpace }) else {
      return self[endIndex..<endIndex]
    }
    return self[first...last]
  }
}

nonisolated extension String {
  /// Lower case in ASCII only, as Python 2's `str.lower` under the C locale.
  package var asciiLowercased: String {
    guard utf8.contains(where: { (0x41...0x5A).contains($0) }) else { return self }
    return String(decoding: utf8.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  /// Splits at commas and removes the white space around them, but not at both ends, as `re.split(r'\s*,\s*', value)`
  /// does. An empty text is an empty list.
  package var commaSeparated: [String] {
    guard !isEmpty else { return [] }
    let parts = utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    return parts.enumerated().map { number, part in
      var part = part
      if number > 0 { part = part.drop(while: \.isSpace) }
      if number < parts.count - 1 {
        while let last = part.last, last.isSpace { part.removeLast() }
      }
      return String(part) ?? ""
    }
  }

  /// Splits at runs of white space.
  package var words: [String] {
    utf8.split(whereSeparator: \.isSpace).map { String($0) ?? "" }
  }
}

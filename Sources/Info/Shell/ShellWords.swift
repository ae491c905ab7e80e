/// Splits a line into words, as a shell and Python's `shlex` do: quotes and backslashes keep blanks.
enum ShellWords {
  struct Problem: Error, CustomStringConvertible {
    let description: String
  }

  /// - Throws: `Problem` for a quotation or a backslash without its end.
  static func split(_ line: String) throws(Problem) -> [String] {
    var words: [String] = []
    var word = String.UnicodeScalarView()
    var isWord = false
    var quote: Unicode.Scalar?
    var rest = line.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      switch (quote, scalar) {
      case (nil, " "), (nil, "\t"), (nil, "\n"), (nil, "\r"):
        if isWord { words.append(String(word)) }
        word = String.UnicodeScalarView()
        isWord = false
      case (nil, "\\"):
        guard let next = rest.popFirst() else { throw Problem(description: "No escaped character") }
        word.append(next)
        isWord = true
      case ("\"", "\\"):
        guard let next = rest.popFirst() else { throw Problem(description: "No closing quotation") }
        if next != "\"", next != "\\" { word.append("\\") }
        word.append(next)
      case (nil, "\""), (nil, "'"):
        quote = scalar
        isWord = true
      case (let open?, scalar) where open == scalar: quote = nil
      default:
        word.append(scalar)
        isWord = true
      }
    }
    guard quote == nil else { throw Problem(description: "No closing quotation") }
    if isWord { words.append(String(word)) }
    return words
  }
}

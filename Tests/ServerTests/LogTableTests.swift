import EventLoop
import Glibc
import Support
import Testing

/// docs/logging.md lists the warnings and errors of the sources, no more and no fewer.
@Suite struct LogTableTests {
  @Test func theTableOfMessagesIsThatOfTheSources() throws {
    let table = try LogTable.markdown()
    #expect(table.split(separator: "\n").count > 100)
    try GeneratedTable(page: "docs/logging.md", mark: LogTable.mark, end: nil).check("\n\n" + table)
  }

  @Test(arguments: [
    ("logger.error(\"a \\(b) c\")", "a <b> c"),
    ("logger.error(\"of \\(x.hostname): \\(error)\")", "of <client>: <reason>"),
    ("logger.error(\"a \\(f(\"(\") ?? \"x\")\")", "a <...>"), ("logger.error(\n  \"a\"\n    + \" b\")", "a b"),
    ("logger.error(\"\"\"\n  a \\\n  b\n  \"\"\")", "a b"), ("logger.error(\"a \\\"b\\\" | c\")", "a \"b\" \\| c"),
  ])
  func messagesAreReadFromTheSource(_ row: (source: String, message: String)) {
    #expect(LogTable.rows(of: row.source).map(\.message) == [row.message])
  }

  @Test(arguments: [
    "logger.error(message)", "logger.error(\"\\(error)\")", "/// logger.error(\"x\")", "logger.info(\"x\")",
  ])
  func whatIsMadeElsewhereIsNotListed(_ source: String) { #expect(LogTable.rows(of: source).isEmpty) }
}

/// The warnings and errors of the sources as a table in Markdown.
enum LogTable {
  /// What stands before it in the page.
  static let mark = "<!-- from the sources -->"

  private static let calls: [(text: String, level: String)] = [
    ("logger.error(", "error"), ("logger.warning(", "warning"), ("warnOnce(", "warning"),
    ("refused(address, ", "error"),
  ]

  static func markdown() throws -> String {
    var found: Set<String> = []
    for path in Project.files(below: "Sources", endings: [".swift"]) {
      for row in rows(of: try Project.text("Sources/\(path)")) { found.insert("| \(row.level) | `\(row.message)` |\n") }
    }
    return "| Level | Message |\n|---|---|\n" + found.sorted().joined()
  }

  /// Messages that are literals, without those that are nothing but a value.
  static func rows(of source: String) -> [(level: String, message: String)] {
    let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
      .filter { !$0.drop { $0 == " " }.hasPrefix("//") }
    let text = Array(lines.joined(separator: "\n"))
    var found: [(level: String, message: String)] = []
    for (call, level) in calls {
      let call = Array(call)
      var at = 0
      while at + call.count <= text.count {
        guard text[at] == call[0], Array(text[at..<(at + call.count)]) == call else {
          at += 1
          continue
        }
        at += call.count
        var reader = LiteralReader(text: text, at: at)
        let message = reader.message()
        if message.contains(where: \.isLetter), message.replacing(/<[^>]*>/, with: "").contains(where: \.isLetter) {
          found.append((level, message))
        }
      }
    }
    return found
  }
}

/// Reads the string literals of an expression, and what stands between them where that is `+`.
private struct LiteralReader {
  let text: [Character]
  var at: Int

  mutating func message() -> String {
    var result = ""
    while true {
      skipBlanks()
      guard starts(with: "\"") else { return result }
      result += starts(with: "\"\"\"") ? longLiteral() : literal()
      skipBlanks()
      guard starts(with: "+") else { return result }
      at += 1
    }
  }

  private func starts(with word: String) -> Bool {
    let word = Array(word)
    return at + word.count <= text.count && Array(text[at..<(at + word.count)]) == word
  }

  private mutating func skipBlanks() { while at < text.count, text[at].isWhitespace { at += 1 } }

  private mutating func literal() -> String {
    at += 1
    var result = ""
    while at < text.count, text[at] != "\"" { result += character() }
    at += 1
    return result
  }

  /// Lines without their indentation; a backslash at the end of one joins it with the next.
  private mutating func longLiteral() -> String {
    at += 3
    skipBlanks()
    var result = ""
    while at < text.count, !starts(with: "\"\"\"") {
      if starts(with: "\\\n") {
        at += 1
        skipBlanks()
      } else if text[at] == "\n" {
        skipBlanks()
        if !starts(with: "\"\"\"") { result += " " }
      } else {
        result += character()
      }
    }
    at += 3
    return result
  }

  private mutating func character() -> String {
    defer { at += 1 }
    guard text[at] == "\\", at + 1 < text.count else { return text[at] == "|" ? "\\|" : String(text[at]) }
    at += 1
    guard text[at] == "(" else { return String(text[at]) }
    at += 1
    var expression = ""
    var depth = 1
    var isInText = false
    while at < text.count {
      if text[at] == "\"" { isInText.toggle() }
      if !isInText, text[at] == "(" { depth += 1 }
      if !isInText, text[at] == ")" { depth -= 1 }
      if depth == 0 { break }
      expression.append(text[at])
      at += 1
    }
    return "<\(Self.name(of: expression))>"
  }

  /// What an interpolated expression is called in the page: its last word, or dots where it is more than a member.
  private static func name(of expression: String) -> String {
    let words = expression.split { !($0.isLetter || $0.isNumber || $0 == "." || $0 == "_") }
    guard words.count == 1, expression == words[0] else { return "..." }
    let last = String(words[0].split(separator: ".").last ?? "...")
    return ["hostname": "client", "error": "reason", "failure": "reason"][last] ?? last
  }
}

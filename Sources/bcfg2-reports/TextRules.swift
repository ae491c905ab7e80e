import Logging
import ServerSettings

/// Python's treatment of texts where it shows in the output.
enum TextRules {
  /// A line that has text of clients, as the log shows it: invisible characters neither control a terminal nor make another line.
  static func visible(_ line: String) -> String {
    let record = LogRecord(level: .info, label: "", message: line)
    return String(decoding: record.visibleMessage(hasFields: true), as: UTF8.self)
  }

  /// `str.title()`.
  static func title(_ text: String) -> String {
    var isInWord = false
    var result = ""
    for character in text {
      result += isInWord ? character.lowercased() : character.uppercased()
      isInWord = character.isLetter
    }
    return result
  }

  /// Text filled up with blanks on the right.
  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
  }

  /// Without blanks at both ends.
  static func trimmed(_ text: String) -> String { trimmedStart(trimmedEnd(text)) }

  static func trimmedStart(_ text: String) -> String { String(text.drop { $0.isWhitespace }) }

  static func trimmedEnd(_ text: String) -> String { String(text.reversed().drop { $0.isWhitespace }.reversed()) }
}

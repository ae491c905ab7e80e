package import Logging
import XMLRPC

/// 1.3's `info` and `:info` files: attributes of Path entries, one a line.
///
/// Source of the contract: 1.3.4's Server/Plugin/helpers.py, INFO_REGEX.
package enum LegacyInfo {
  /// The names of these files.
  package static let fileNames: Set<String> = ["info", ":info"]
  /// The keys in the order of 1.3's regular expression.
  private static let keys: [(name: String, isWord: Bool)] = [
    ("owner", false), ("group", false), ("mode", true), ("secontext", false), ("paranoid", false),
    ("sensitive", false), ("encoding", false), ("important", false), ("mtime", true),
  ]

  /// Sets the attributes of a file over the existing ones. Logs lines that it cannot read.
  package static func read(
    _ bytes: [UInt8], path: String, into values: inout [(name: String, value: String)], logger: Logger
  ) {
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      let text = String(decoding: line, as: UTF8.self)
      guard let (name, value) = parse(text) else {
        if !line.isEmpty { logger.warning("Failed to parse line in \(path): \(text)") }
        continue
      }
      values.removeAll { $0.name == name }
      values.append((name, value))
    }
  }

  /// Extends a mode of three digits to four.
  package static func completeMode(in values: inout [(name: String, value: String)]) {
    if let index = values.firstIndex(where: { $0.name == "mode" && $0.value.utf8.count == 3 }) {
      values[index].value = "0" + values[index].value
    }
  }

  /// Reads `key: value` at the start of the line and ignores the rest.
  static func parse(_ line: String) -> (name: String, value: String)? {
    for key in keys {
      guard let rest = line.dropping(prefix: key.name + ":") else { continue }
      let value = rest.drop(while: \.isWhitespace).prefix {
        key.isWord ? $0.isLetter || $0.isNumber || $0 == "_" : !$0.isWhitespace
      }
      return value.isEmpty ? nil : (key.name, String(value))
    }
    return nil
  }
}

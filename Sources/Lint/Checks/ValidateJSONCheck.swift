import Formats

extension LintPlugin {
  /// JSON files can be parsed.
  static let validateJSON = LintPlugin("ValidateJSON", errors: ["json-failed-to-parse": .error]) { context in
    for path in context.files("Properties/*.json") + context.files("Ohai/*.json") {
      guard let bytes = context.bytes(of: path) else {
        context.report.add("json-failed-to-parse", "\(path) cannot be read", at: .init(path))
        continue
      }
      do throws(JSONError) {
        _ = try JSONValue(json: String(decoding: bytes, as: UTF8.self))
      } catch {
        context.report.add(
          "json-failed-to-parse", "\(path) does not contain valid JSON: \(error)", at: .init(path, line: error.line))
      }
    }
  }
}

import EventLoop
import Formats
import Repository

extension LintPlugin {
  /// Regular expressions of AWSTags can be compiled.
  static let awsTags = LintPlugin(
    "AWSTags", serverPlugin: "AWSTags", errors: ["pattern-fails-to-initialize": .error]
  ) { context in
    let path = "\(context.repository)/AWSTags/config.xml"
    guard context.handles(path), fileExists(path),
      case .success(let document) = context.document(path).document
    else { return }
    for tag in document.root.all(tagged: "Tag") {
      for attribute in ["name", "value"] {
        guard let pattern = tag[attribute], attribute == "name" || !pattern.isEmpty else { continue }
        do throws(RegexError) {
          _ = try PythonRegex(pattern, finds: .anywhere)
        } catch {
          context.report.add(
            "pattern-fails-to-initialize",
            "'\(attribute)' regex could not be compiled: \(error)",
            more: ["    \(path):\(tag.line): \(tag["name"] ?? "None")"],
            at: .init(path, line: Int(tag.line)))
        }
      }
    }
  }
}

import Core
import EventLoop
import Plugins
import Repository

extension LintPlugin {
  /// Patterns of GroupPatterns can be used.
  static let groupPatterns = LintPlugin(
    "GroupPatterns", serverPlugin: "GroupPatterns", errors: ["pattern-fails-to-initialize": .error]
  ) { context, core in
    let path = "\(context.repository)/GroupPatterns/config.xml"
    guard context.handles(path), fileExists(path),
      case .success(let document) = context.document(path).document
    else { return }
    for pattern in document.root.all(tagged: "GroupPattern") {
      for element in pattern.children {
        let problem =
          switch element.tag {
          case "NamePattern": GroupPatternProblem.ofPattern(element.text)
          case "NameRange": GroupPatternProblem.ofRange(element.text)
          default: String?.none
          }
        guard let problem else { continue }
        context.report.add(
          "pattern-fails-to-initialize",
          "Failed to initialize \(element.tag) \(element.text ?? "None") in \(path): \(problem)",
          at: .init(path, line: Int(element.line)))
      }
    }
  }
}

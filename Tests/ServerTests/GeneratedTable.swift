import EventLoop
import Glibc
import Support
import Testing

/// A table or example of a page that is made from the sources. With BCFG2_WRITE_DOCS in the environment it is written, otherwise the
/// page must have it as it is.
struct GeneratedTable {
  let page: String
  /// What stands before it in the page, once.
  let mark: String
  /// What stands behind it; nil: it goes to the end of the page.
  let end: String?

  /// - Parameter table: what follows the mark to the letter.
  func check(_ table: String) throws {
    let text = try Project.text(page)
    let start = try #require(text.firstRange(of: mark), "\(page) has lost the line before its table or example")
      .upperBound
    let rest = text[start...]
    let end = try end.map {
      try #require(rest.firstRange(of: $0), "\(page) has lost the line after its table or example").lowerBound
    }
    if getenv("BCFG2_WRITE_DOCS") != nil {
      let new = text[..<start] + table + text[(end ?? text.endIndex)...]
      try AtomicFile.writeOver("\(Project.root)/\(page)", Array(new.utf8))
      return
    }
    let differing = differingLine(String(text[start..<(end ?? text.endIndex)]), table)
    #expect(
      differing == nil,
      "\(page) is not what the sources say; `BCFG2_WRITE_DOCS=1 swift test --filter IsThatOfTheSources` writes it anew")
  }

  /// The first line that only one of them has, with the sign of diff(1); nil if they are the same.
  private func differingLine(_ page: String, _ sources: String) -> String? {
    guard page != sources else { return nil }
    let (old, new) = (page.split(separator: "\n"), sources.split(separator: "\n"))
    if let added = new.first(where: { !old.contains($0) }) { return "+ \(added)" }
    if let removed = old.first(where: { !new.contains($0) }) { return "- \(removed)" }
    return "the same lines in another order, or blank ones"
  }
}

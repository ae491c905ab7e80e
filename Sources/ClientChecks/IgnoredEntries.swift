import Glibc

/// Entries whose failures do not count: `TAG:NAME`, where the name may be a pattern of the shell.
public struct IgnoredEntries: Sendable {
  private let items: [(tag: String, pattern: String)]

  /// Why an item is wrong.
  public struct Problem: Error, CustomStringConvertible {
    public let description: String
  }

  public init(_ texts: [String]) throws(Problem) {
    var items: [(tag: String, pattern: String)] = []
    for text in texts {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw Problem(description: "\(text): what is ignored is TAG:NAME")
      }
      items.append((parts[0], parts[1]))
    }
    self.items = items
  }

  func contain(_ tag: String, _ name: String) -> Bool {
    items.contains { $0.tag == tag && ($0.pattern == name || fnmatch($0.pattern, name, FNM_NOESCAPE) == 0) }
  }
}

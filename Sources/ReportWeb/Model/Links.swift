/// Links to pages, below the prefix.
struct Links {
  /// `""` or `/reports`.
  var prefix: String

  func to(_ path: String) -> String { prefix + path }

  func client(_ name: String, _ interaction: Int64? = nil) -> String {
    to("/client/\(URLCoding.encode(name))" + (interaction.map { "/\($0)" } ?? ""))
  }

  func history(_ client: String) -> String {
    // A name that could be a page's number or a filter is followed by the number of the page.
    let isPlain =
      Route(path: "/history/\(URLCoding.encode(client))").map { $0.target == .history(client: client) } ?? false
    return to("/history/\(URLCoding.encode(client))" + (isPlain ? "" : "/1"))
  }

  func element(_ type: String, _ id: Int64, _ interaction: Int64? = nil) -> String {
    to("/element/\(type)/\(id)" + (interaction.map { "/\($0)" } ?? ""))
  }

  func entry(_ type: String, _ id: Int64) -> String { to("/entry/\(type)/\(id)") }
}

import ReportStore

/// Where a request goes: Bcfg2's URLs, and ours beside them.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/urls.py, utils.py.
struct Route {
  enum Target: Hashable {
    case front
    case grid
    case detailed
    case client(name: String, interaction: Int64?)
    case manage
    case history(client: String?)
    case elements(state: String)
    case element(type: String, id: Int64, interaction: Int64?)
    case entry(type: String, id: Int64)
    case common(threshold: Int?)
    case summary
    case timing
    case search
    case stylesheet
  }

  var target: Target
  var filter = RunFilter()
  /// Time travel.
  var time: ReportTime?
  /// Of a history.
  var page: Int?
  var limit: Int?
  /// `|all`.
  var isAll = false
  var format = Format.html

  /// The steps of the path, encoded, without prefix.
  ///
  /// - Returns: nil where nothing is.
  init?(path: String) {
    var format = Format.html
    var path = path[...]
    for (suffix, kind) in Format.suffixes where path.hasSuffix(suffix) {
      format = kind
      path = path.dropLast(suffix.count)
    }
    var steps: [String] = []
    for step in path.split(separator: "/", omittingEmptySubsequences: true) {
      guard let name = URLCoding.decode(step), steps.count < 16 else { return nil }
      steps.append(name)
    }
    var rest = steps[...]
    guard let first = rest.popFirst() else {
      target = .front
      self.format = format
      return
    }
    self.target = .front
    guard let target = parse(first, &rest), rest.isEmpty else { return nil }
    self.target = target
    self.format = format
  }

  private mutating func parse(_ first: String, _ rest: inout ArraySlice<String>) -> Target? {
    switch first {
    case "index": return .front
    case "style.css": return .stylesheet
    case "manage": return .manage
    case "search": return .search
    case "client":
      guard let name = rest.popFirst() else { return nil }
      guard let text = rest.popFirst() else { return .client(name: name, interaction: nil) }
      return Route.id(text).map { .client(name: name, interaction: Int64($0)) }
    case "element", "entry":
      guard let type = rest.popFirst(), let id = rest.popFirst().flatMap(Route.id).map(Int64.init) else { return nil }
      if first == "entry" {
        filter = RunFilter(&rest)
        return parseTime(&rest) ? .entry(type: type, id: id) : nil
      }
      guard let text = rest.popFirst() else { return .element(type: type, id: id, interaction: nil) }
      return Route.id(text).map { .element(type: type, id: id, interaction: Int64($0)) }
    case "history":
      return parseHistory(&rest)
    case "common":
      if rest.first == "group" {
        guard rest.count >= 2 else { return nil }
        filter.group = rest[rest.startIndex + 1]
        rest = rest.dropFirst(2)
      }
      let threshold = rest.first.flatMap(Route.id)
      if threshold != nil { rest.removeFirst() }
      return parseTime(&rest) ? .common(threshold: threshold) : nil
    case "summary": return parseTime(&rest) ? .summary : nil
    case "timing": return parseTime(&rest) ? .timing : nil
    case "grid", "detailed":
      filter = RunFilter(&rest)
      return parseTime(&rest) ? (first == "grid" ? .grid : .detailed) : nil
    case "elements":
      guard let state = rest.popFirst()?.lowercased() else { return nil }
      filter = RunFilter(&rest)
      return parseTime(&rest) ? .elements(state: state) : nil
    default: return nil
    }
  }

  private mutating func parseHistory(_ rest: inout ArraySlice<String>) -> Target? {
    var client: String?
    let isFilter = rest.count >= 2 && RunFilter.names.contains(rest[rest.startIndex])
    if let first = rest.first, !isFilter, rest.count > 1 || !isPage(first) {
      rest.removeFirst()
      // `/history/HOST|all`.
      if first.hasSuffix("|all") {
        isAll = true
        client = String(first.dropLast(4))
      } else {
        client = first
      }
    }
    filter = RunFilter(&rest)
    if let last = rest.first {
      guard isPage(last) else { return nil }
      rest.removeFirst()
      if last == "|all" {
        isAll = true
      } else {
        let parts = last.split(separator: "|", omittingEmptySubsequences: false)
        page = Route.id(String(parts[0]))
        limit = parts.count > 1 ? Route.id(String(parts[1])) : nil
      }
    }
    return .history(client: client)
  }

  /// `N`, `N|LIMIT` or `|all`.
  private func isPage(_ text: String) -> Bool {
    if text == "|all" { return true }
    let parts = text.split(separator: "|", omittingEmptySubsequences: false)
    return parts.count <= 2 && parts.allSatisfy { Route.id(String($0)) != nil }
  }

  /// `YYYY-MM-DD` or `YYYY-MM-DD/HH-MM`.
  ///
  /// - Returns: false for a time that there is not.
  private mutating func parseTime(_ rest: inout ArraySlice<String>) -> Bool {
    guard let day = rest.popFirst() else { return true }
    let clock = rest.popFirst()
    guard day.utf8.count == 10, clock.map({ $0.utf8.count == 5 }) ?? true,
      let time = ReportTime("\(day) \((clock ?? "00-00").replacing("-", with: ":"))")
    else { return false }
    self.time = time
    return true
  }

  /// A number of the database or a count; nil for other text.
  static func id(_ text: String) -> Int? {
    guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Int(text)
  }
}

import ArgumentParser
import ServerSettings

/// `bcfg2-info why`.
struct Why: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "why", abstract: "Show how an entry comes to a client, and what lost against it.",
    discussion: """
      Names the bundle, the groups that bring it and how the client comes to be in them; the generator; the files, rules and \
      info.xml that apply, with what is used first; and the attributes that the client gets.
      """)
  static let completions: [Completion] = [.client, .entry, .none]

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @Argument(help: ArgumentHelp("Its type and name, such as Path:/etc/motd.", valueName: "entry"))
  var entry: String

  @ArgumentParser.OptionGroup var common: InfoArguments

  func validate() throws {
    let parts = entry.split(separator: ":", maxSplits: 1)
    guard parts.count == 2 else { throw ArgumentParser.ValidationError("\(entry): an entry is TYPE:NAME") }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    let parts = entry.split(separator: ":", maxSplits: 1).map(String.init)
    let inquiry = EntryInquiry(core: context.core, metadata: try await context.metadata(host))
    guard let history = try await inquiry.history(type: parts[0], name: parts[1]) else {
      throw InfoProblem("\(host) has no entry \(entry)")
    }
    if common.json {
      try context.printJSON(history)
    } else {
      context.printText(HistoryText.text(history))
    }
    return 0
  }
}

/// A history as text.
enum HistoryText {
  static func text(_ history: EntryHistory) -> String {
    var lines = ["\(history.type):\(history.name) of \(history.host)"]
    for origin in history.origins { lines += Self.lines(origin) }
    if let name = history.alternative { lines.append("looked up as \(history.type):\(name) (altsrc)") }
    switch history.generators.count {
    case 0: if history.origins.contains(where: { !$0.isBound }) { lines.append("no generator has it") }
    case 1: lines.append("bound by \(history.generators[0])")
    default: lines.append("several generators have it: \(history.generators.joined(separator: ", "))")
    }
    for source in history.sources { lines.append(line(source)) }
    lines.append("result: \(attributes(history.attributes))")
    return lines.map { VisibleText.escaped($0) + "\n" }.joined()
  }

  private static func lines(_ origin: EntryHistory.Origin) -> [String] {
    var lines = ["\(origin.isBound ? "bound " : "")in \(origin.structure), by \(origin.plugin)"]
    for element in origin.elements {
      let place = "\(element.place.text)\(element.isRendered ? " (line of what the template made)" : "")"
      lines.append("  \(element.applies ? "" : "lost: ")\(place), for \(element.conditions)")
    }
    for group in origin.groups {
      lines.append(
        "  \(origin.structure) is a bundle of group \(group.group)\(group.place.map { ": \($0.text)" } ?? "")")
      for membership in group.memberships {
        let place = membership.place.map { ": \($0.text)" } ?? ""
        lines.append("    in group \(membership.group): \(membership.reason)\(place)")
      }
    }
    for element in origin.requiredBy { lines.append("  required by \(element.place.text), for \(element.conditions)") }
    return lines
  }

  private static func line(_ source: EntryHistory.Source) -> String {
    let values = source.attributes.isEmpty ? "" : ": \(attributes(source.attributes))"
    let text = "\(source.kind): \(source.place.text), for \(source.scope)\(values)"
    return source.reason.map { "    lost: \(text) (\($0))" } ?? "  \(text)"
  }

  private static func attributes(_ table: [String: String]) -> String {
    table.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
  }
}

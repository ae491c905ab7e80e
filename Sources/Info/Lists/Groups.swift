import ArgumentParser
import Core
import XMLRPC

/// `bcfg2-info groups`.
struct Groups: InfoMode {
  static let configuration = CommandConfiguration(commandName: "groups", abstract: "Print out group info.")
  static let completions: [Completion] = [.group]

  @Argument(help: ArgumentHelp("Names or globs.", valueName: "group"))
  var groups: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Row: Encodable {
    let name: String
    let category: String?
    let profile: Bool
    let isPublic: Bool
    let bundles: [String]

    private enum CodingKeys: String, CodingKey {
      case name, category, profile, bundles
      case isPublic = "public"
    }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    let found = try context.groups(groups)
    let rows = found.map {
      Row(name: $0.name, category: $0.category, profile: $0.isProfile, isPublic: $0.isPublic, bundles: $0.bundles)
    }
    try context.printRows(rows, json: common.json, ["Groups", "Profile", "Category"]) { row in
      [row.name, row.profile ? "yes" : "no", row.category ?? "None"]
    }
    return 0
  }
}

/// `bcfg2-info bundles`.
struct Bundles: InfoMode {
  static let configuration = CommandConfiguration(commandName: "bundles", abstract: "Print out group/bundle info.")
  static let completions: [Completion] = [.group]

  @Argument(help: ArgumentHelp("Names or globs.", valueName: "group"))
  var groups: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    let found = try context.groups(groups)
    if common.json {
      try context.printJSON(Dictionary(found.map { ($0.name, $0.bundles) }) { first, _ in first })
      return 0
    }
    var table = TextTable(["Group", "Bundles"])
    for group in found { table.add([group.name, group.bundles.joined(separator: ",")]) }
    context.printText(table.text)
    return 0
  }
}

import Core
import EventLoop
import Glibc
import Plugins
import ServerSettings
import Support
import Testing

/// Pages of docs/ agree with the sources.
@Suite struct DocumentTests {
  /// All of Sources, by path below it.
  private func sources() throws -> [String: String] {
    var found: [String: String] = [:]
    for path in Project.files(below: "Sources", endings: [".swift", ".py"]) {
      found[path] = try Project.text("Sources/\(path)")
    }
    return found
  }

  @Test func theExamplePluginIsThatOfTheSources() throws {
    let page = GeneratedTable(
      page: "docs/plugins.md", mark: "In `Sources/Plugins` it needs the same imports.\n\n```swift\n", end: "```\n")
    try page.check(try Project.text("Tests/CoreTests/Plugin/ExamplePlugin.swift"))
  }

  @Test func theExampleCoreIsThatOfTheSources() throws {
    let page = GeneratedTable(
      page: "docs/core.md", mark: "and make the core in `ServerProcess`.\n\n```swift\n", end: "```\n")
    try page.check(try Project.text("Tests/ServerTests/Cores/ExampleCore.swift"))
  }

  @Test func everyInterfaceIsInThePage() throws {
    let page = try Project.text("docs/plugins.md")
    for line in try Project.text("Sources/Core/Plugin/Interfaces.swift").split(separator: "\n")
    where line.hasPrefix("public protocol ") {
      let name = line.dropFirst("public protocol ".utf8.count).prefix { $0 != ":" }
      let isThere = page.contains("`\(name)`")
      #expect(isThere, "\(name)")
    }
  }

  @Test func everyPluginHasARowInThePage() throws {
    let rows = try Project.text("docs/plugins/README.md").split(separator: "\n").filter { $0.hasPrefix("| ") }
    let names = rows.flatMap { $0.dropFirst(2).prefix { $0 != "|" }.split { $0 == "," || $0 == " " }.map(String.init) }
    for plugin in PluginRegistry.standard.all {
      #expect(names.contains(plugin.name), "docs/plugins/README.md has no row for \(plugin.name)")
    }
  }

  @Test func membersOfTheCoreAreWhereThePageSays() throws {
    let sources = try sources()
    var count = 0
    for line in try Project.text("docs/core.md").split(separator: "\n") {
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      }
      guard cells.count == 6, cells[2].contains("`"), cells[3].hasSuffix(".swift`") else { continue }
      let path = String(cells[3].dropFirst().dropLast())
      let file = try #require(sources[path], "\(line)")
      for part in cells[2].split(separator: "`").enumerated().filter({ $0.offset % 2 == 0 }).map(\.element) {
        let name = part.prefix { $0 != "(" }.split(separator: ".").last ?? ""
        let isThere =
          file.contains(name) || sources.values.contains { $0.contains("class \(name)") || $0.contains("enum \(name)") }
        #expect(isThere, "\(name) in \(path)")
      }
      count += 1
    }
    #expect(count > 60)
  }

  @Test func everyMemberOfTheDocumentIsInThePage() throws {
    let page = try Project.text("docs/core.md")
    for member in [
      "BaseCore(setup)", "_daemonize", "_drop_privileges", "_run", "_block", "_file_monitor_thread", "_perflog_thread",
      "AssertProfile", "Bind", "BindStructure", "BindStructures", "BuildConfiguration", "DeclareVersion", "GetConfig",
      "GetDecisionList", "GetDecisions", "GetProbes", "GetStructures", "HandleEvent", "RecvProbeData", "RecvStats",
      "authenticate", "block_for_fam_events", "build_metadata", "ca", "cfile", "client_run_hook", "critical_error",
      "database_available", "datastore", "db_write_lock", "debug_flag", "expire_caches_by_type", "fam", "fam_thread",
      "get_statistics", "init_plugin", "listMethods", "load_plugins", "lock", "logger", "metadata", "metadata_cache",
      "metadata_cache_mode", "methodHelp", "plugin_blacklist", "plugins", "plugins_by_type", "process_statistics",
      "resolve_client", "revision", "run", "set_core_debug", "set_debug", "set_fam_debug", "setup", "shutdown",
      "terminate", "toggle_core_debug", "toggle_debug", "toggle_fam_debug", "validate_goals", "validate_structures",
      "CoreInitError", "NoExposedMethod", "close_db_connection", "exposed", "sort_xml", "BuiltinCore.Core", "context",
      "server", "SSLServer", "XMLRPCDispatcher", "XMLRPCRequestHandler", "XMLRPCServer", "XMLRPCServer.ping",
      "serve_forever", "shutdown",
    ] {
      let isThere = page.contains("| `\(member)`")
      #expect(isThere, "\(member)")
    }
  }

  /// Each claim of the threat model names existing tests.
  @Test func theThreatModelNamesItsTests() throws {
    let tests = try Project.files(below: "Tests", endings: ["Tests.swift"]).map { try Project.text("Tests/\($0)") }
      .joined()
    let page = try Project.text("SECURITY.md")
    let start = try #require(page.firstRange(of: "## Threat model"))
    let end = try #require(page.firstRange(of: "## What is promised"))
    var count = 0
    for row in page[start.upperBound..<end.lowerBound].split(separator: "\n") where row.hasPrefix("| ") {
      let cells = row.split(separator: " | ", omittingEmptySubsequences: false)
      guard let shown = cells.last, !shown.hasPrefix("Shown by") else { continue }
      let names = shown.split(separator: "`").enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        .filter { $0.allSatisfy { $0.isLetter || $0.isNumber } }
      #expect(cells.count == 4 && !names.isEmpty, "\(row)")
      for name in names {
        let isThere = tests.contains("func \(name)(")
        #expect(isThere, "\(name)")
      }
      count += 1
    }
    #expect(count > 12)
  }

  @Test func theBaseCoreKnowsNoTransport() throws {
    let transport = [
      "HTTPRequest", "HTTPResponse", "TLSContext", "Listener", "ConnectionTable", "SocketAddress", "PeerIdentity",
    ]
    for (path, file) in try sources() where path.hasPrefix("Core/") && !path.hasPrefix("Core/PluginKit/") {
      for word in transport {
        let isThere = file.contains(word)
        #expect(!isThere, "\(word) in \(path)")
      }
    }
  }

  @Test func messagesKeepTheWordsThatThePageLists() throws {
    let all = try sources().values.joined()
    var count = 0
    // The rest of the page is made from the sources.
    let page = try Project.text("docs/logging.md")
    let end = try #require(page.firstRange(of: LogTable.mark)).lowerBound
    for line in page[..<end].split(separator: "\n") {
      guard let match = line.wholeMatch(of: /\| (debug|info|warning|error) \| `(.*)` \|/) else { continue }
      count += 1
      for words in match.2.split(separator: /<[^>]*>/) {
        let words = words.trimmingPrefix(", ").split(separator: " ").joined(separator: " ")
        let isThere = all.contains(words)
        #expect(isThere, "\(words) of \(match.2)")
      }
    }
    #expect(count > 80)
  }

  @Test func theTableOfOptionsIsThatOfTheSources() throws {
    try GeneratedTable(page: "docs/configuration.md", mark: ConfigurationTable.mark, end: nil)
      .check("\n\n" + ConfigurationTable.markdown(PluginRegistry.standard.settings))
  }

  @Test func theTableOfFixedOptionsIsThatOfTheSources() throws {
    let rows = try PluginRegistry.standard.settings.fixed.map { definition in
      let reason = try #require(definition.fixed)
      return "| `[\(definition.section)] \(definition.option)` | \(reason.rawValue) |"
    }
    let mark = "| Option | Why it waits for a restart |\n|---|---|\n"
    try GeneratedTable(page: "docs/configuration.md", mark: mark, end: "\n\n").check(rows.joined(separator: "\n"))
  }
}

@Suite struct ConfigurationTableTests {
  private nonisolated struct LanternOptions: OptionGroup {
    let wicks = Option("lantern", "wicks", .integer(1...9), default: "2", .ours, help: "Wicks that burn")
  }

  private final class LanternPlugin: Plugin {
    override class var name: String { "Lantern" }
    override class var options: any OptionGroup { LanternOptions() }
  }

  @Test func anOptionOfAnAddedPluginIsInTheTable() {
    let table = ConfigurationTable.markdown(PluginRegistry([LanternPlugin.self]).settings)
    let row = "| `wicks` | number, 1 to 9 | `2` | Wicks that burn (not in Bcfg2) |\n"
    #expect(table.contains("### [lantern]\n\n| Option | Type | Default | Meaning |\n|---|---|---|---|\n\(row)"))
  }
}

/// The options of bcfg2.conf as tables in Markdown.
enum ConfigurationTable {
  /// What stands before them in the page.
  static let mark = "<!-- from the options that the server and its plugins declare -->"

  static func markdown(_ registry: SettingRegistry) -> String {
    var sections: [String] = []
    for definition in registry.definitions where !sections.contains(definition.section) {
      sections.append(definition.section)
    }
    return sections.map { section in
      let rows = registry.definitions.filter { $0.section == section }.map(row)
      return "### [\(section)]\n\n| Option | Type | Default | Meaning |\n|---|---|---|---|\n" + rows.joined()
    }.joined(separator: "\n")
  }

  private static func row(_ definition: SettingDefinition) -> String {
    var standard = definition.standard.map(shown) ?? "none"
    if let standard13 = definition.standard13 { standard += "; with 1.3: \(standard13.map(shown) ?? "none")" }
    var notes = ""
    switch definition.availability {
    case .always: break
    case .only1_3: notes = " (1.3 only)"
    case .only1_4: notes = " (1.4 only)"
    case .ours: notes = " (not in Bcfg2)"
    }
    for place in definition.deprecated { notes += ". Formerly `[\(place.section)] \(place.option)`" }
    let option = definition.option == "*" ? "any name" : "`\(definition.option)`"
    return "| \(option) | \(type(definition.kind)) | \(standard) | \(definition.help)\(notes) |\n"
  }

  private static func shown(_ text: String) -> String { text.isEmpty ? "empty" : "`\(text)`" }

  private static func type(_ kind: SettingKind) -> String {
    switch kind {
    case .text: "text"
    case .secret: "secret text"
    case .macroText: "text, `<repository>` is replaced"
    case .path: "path"
    case .program: "path, or a name in PATH"
    case .boolean: "boolean"
    case .integer(let range): "number, \(range.lowerBound) to \(range.upperBound)"
    case .seconds: "seconds"
    case .timeout: "seconds, 0 for never"
    case .octal: "octal"
    case .size: "bytes, with k, m, g, t"
    case .days: "days, with d, w, y"
    case .commaList: "list, commas"
    case .patterns: "regular expressions, blanks"
    case .networks: "addresses, commas"
    case .choice(let values), .choiceInAnyCase(let values): values.map { "`\($0)`" }.joined(separator: ", ")
    case .user: "user"
    case .group: "group"
    case .dictionary: "dictionary"
    case .location: "`https://host:port`"
    }
  }
}

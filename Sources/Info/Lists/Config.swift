import ArgumentParser
import Commands
import Core
import Plugins
import ServerSettings

/// `bcfg2-info config`.
struct Config: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Print out the current configuration of Bcfg2.",
    discussion: "Passwords are not shown.")

  @Flag(help: "Produce more accurate but less readable raw output: sections, options, and who set them.")
  var raw = false

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Row: Encodable {
    let section: String
    let option: String
    let help: String
    let value: String?
    let origin: String
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    try show(context.core.settings) { context.printText($0) }
    return 0
  }

  @MainActor func show(_ settings: Settings, _ write: (String) -> Void) throws {
    let rows = Self.rows(settings)
    if common.json {
      write(try Output.json(rows) + "\n")
      return
    }
    var table = TextTable(raw ? ["Option", "Value", "Set by"] : ["Description", "Value"])
    for row in rows {
      let value = row.value ?? "None"
      table.add(raw ? ["[\(row.section)] \(row.option)", value, row.origin] : [row.help, value])
    }
    write(table.text)
  }

  @MainActor private static func rows(_ settings: Settings) -> [Row] {
    var rows = [
      Row(
        section: "command line", option: "-C", help: "Configuration file", value: settings.configurationFile,
        origin: "command line or environment")
    ]
    for definition in PluginRegistry.standard.settings.definitions {
      // Sections and options with any name: those that the files have.
      let sections =
        definition.section.hasSuffix("*")
        ? settings.sections(withPrefix: String(definition.section.dropLast())) : [definition.section]
      for section in sections {
        for option in definition.option == "*" ? settings.options(of: section) : [definition.option] {
          let setting = settings.value(section, option)
          let isSecret = definition.kind == .secret
          rows.append(
            Row(
              section: section, option: option, help: definition.help,
              value: setting.map { isSecret ? "********" : text($0.value, definition.kind) },
              origin: "\(settings.origin(of: section, option))"))
        }
      }
    }
    return rows
  }

  private static func text(_ value: SettingValue, _ kind: SettingKind) -> String {
    switch value {
    case .text(let text): text
    case .boolean(let flag): flag ? "true" : "false"
    case .integer(let number): if case .octal = kind { "0" + String(number, radix: 8) } else { "\(number)" }
    case .duration(let span): span.map { Decimals.text($0.inSeconds, 1) } ?? "none"
    case .list(let items): items.joined(separator: ",")
    case .dictionary(let items): items.keys.sorted().joined(separator: ",")
    case .location(let location): "\(location)"
    }
  }
}

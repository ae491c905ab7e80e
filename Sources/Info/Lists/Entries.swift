import ArgumentParser
import Core
import Repository
import XMLRPC

/// `bcfg2-info showentries`.
struct ShowEntries: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "showentries", abstract: "Show abstract configuration entries for a given host.")
  static let completions: [Completion] = [.client, .type, .none]

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @Argument(help: "Only entries of this type.")
  var type: String?

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Row: Encodable {
    let type: String
    let name: String?
    let bundle: String?
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    let metadata: ClientMetadata
    do {
      metadata = try await context.metadata(host)
    } catch {
      throw InfoProblem("Unable to build metadata for \(host): \(error)")
    }
    var rows: [Row] = []
    for structure in try await context.core.getStructures(metadata) {
      for entry in structure.children where type.map({ entry.tag == $0 || entry.tag == "Bound\($0)" }) ?? true {
        rows.append(Row(type: entry.tag, name: entry.name, bundle: structure.name))
      }
    }
    try context.printRows(rows, json: common.json, ["Entry Type", "Name"]) { [$0.type, $0.name ?? "None"] }
    return 0
  }
}

/// `bcfg2-info mappings`.
struct Mappings: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "mappings", abstract: "Print generator mappings for optional type and name.")
  static let completions: [Completion] = [.type, .path, .none]

  @Argument(help: "Only entries of this type.")
  var type: String?

  @Argument(help: "Only the entry of this name, or those that a glob matches.")
  var name: String?

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Row: Encodable {
    let plugin: String
    let type: String
    let name: String
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    let glob = name.map { Glob($0) }
    var rows: [Row] = []
    for generator in context.core.interfaces.generators {
      for tag in generator.entryTags where type.map({ Name.areSame($0, tag) }) ?? true {
        for entry in generator.entryNames(tag: tag) where glob?.matches(entry) ?? true {
          rows.append(Row(plugin: generator.name, type: tag, name: entry))
        }
      }
    }
    try context.printRows(rows, json: common.json, ["Plugin", "Type", "Name"]) { [$0.plugin, $0.type, $0.name] }
    return 0
  }
}

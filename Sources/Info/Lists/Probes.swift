import ArgumentParser
import Core
import Plugins
import Repository

/// `bcfg2-info probes`.
struct Probes: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "probes", abstract: "Get probes for the given host.")
  static let completions: [Completion] = [.client, .none]

  @Flag(name: [.customShort("p"), .long], help: "Human-readable output.")
  var pretty = false

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    let metadata = try await context.metadata(host)
    let probes = Element("probes")
    for plugin in context.core.interfaces.probing { probes.children += try await plugin.getProbes(metadata) }
    if common.json {
      try context.printJSON(probes.children.map { ElementJSON($0) })
    } else if pretty {
      for probe in probes.children {
        let name = probe.name ?? "None"
        let rule = String(repeating: "=", count: name.unicodeScalars.count + 2)
        context.printText("\(rule)\n \(name)\n\(rule)\n\n\(probe.text ?? "")\n\n")
      }
    } else {
      context.print(PrettyXML.text(probes))
    }
    return 0
  }
}

/// `bcfg2-info automatch`.
struct Automatch: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "automatch", abstract: "Perform automatch on a Properties file.")
  static let completions: [Completion] = [.propertyFile, .client, .none]

  @Flag(name: [.customShort("f"), .long], help: "Force automatch even if it's disabled.")
  var force = false

  @Argument(help: ArgumentHelp(valueName: "propertyfile"))
  var file: String

  @Argument(help: ArgumentHelp(valueName: "hostname"))
  var host: String

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    guard let plugin = context.core.plugins(of: PropertiesPlugin.self).first else {
      throw InfoProblem("Properties plugin not enabled")
    }
    let found: Element?
    do {
      found = try await plugin.matched(file, try await context.metadata(host), isForced: force)
    } catch let error as PropertiesPlugin.NotMatched {
      if common.json { throw InfoProblem("\(error)") }
      context.print("\(error)")
      return 0
    }
    guard let found else { throw InfoProblem("No such file of Properties: \(file)") }
    if common.json { try context.printJSON(ElementJSON(found)) } else { context.print(PrettyXML.text(found)) }
    return 0
  }
}

import ArgumentParser
import Core
import EventLoop
import Identity
import Logging
import PackageSources
import Plugins
import Server
import ServerSettings

/// `bcfg2-packages compare`.
struct CompareCommand: ParsableCommand, ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Show what solver = strict would change for clients.",
    discussion: """
      Each client's bundles are read as the server reads them, and its packages are resolved both ways. + comes in, - goes, ? is \
      not found, ! is missing or does not stand another package.

      Exit status: 0 if nothing changes, 1 if something does or a client cannot be built.
      """)

  @ArgumentParser.OptionGroup var common: CommonArguments

  @ArgumentParser.Flag(help: "Print a JSON object for each client.")
  var json = false

  @ArgumentParser.Argument(help: ArgumentHelp("Clients; all if there is none.", valueName: "host"))
  var hosts: [String] = []

  @MainActor func runTool() throws -> Int32 {
    let settings = try ReadingCore.settings(common.options)
    Log.router.configure([(ConsoleLog(), .warning)], standard: .warning)
    return try Reactor.runAsCommand { loop in
      do {
        return try await ReadingCore.with(settings, on: loop) { try await compare($0) }
      } catch {
        ReadingCore.printError("bcfg2-packages: \(error)")
        return Exit.usage
      }
    }
  }

  @MainActor private func compare(_ core: ServerCore) async throws -> Int32 {
    guard let plugin = core.interfaces.addedStructures.lazy.compactMap({ $0 as? PackagesPlugin }).first else {
      throw PluginExecutionError("the plugin Packages is not loaded: see [server] plugins")
    }
    let clients =
      hosts.isEmpty
      ? await core.metadata.listClients().sorted { $0.text < $1.text }
      : try hosts.map { try ReadingCore.client($0, core) }
    var isSame = true
    for client in clients {
      do {
        let metadata = try await core.buildMetadata(client)
        let differences = try plugin.differences(try await core.getStructures(metadata), metadata)
        isSame = isSame && differences.isEmpty
        print(json ? differences.json(host: client.text) : differences.text(host: client.text), terminator: "")
      } catch {
        isSame = false
        ReadingCore.printError("\(client): \(error)")
      }
    }
    return isSame ? 0 : Exit.failedSource
  }
}

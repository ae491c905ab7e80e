import EventLoop
import Glibc
import Logging
import LoopDatabases
import NIOServer
import Networking
import Server
import ServerSettings

/// `bcfg2-server`: reads the command line and bcfg2.conf, goes to the background if requested, and runs a core.
@main
enum BcfgServer {
  static func main() {
    ResolverHelper.runIfAsked()
    SyncHelper.runIfAsked()
    DatabaseHelper.runIfAsked()
    ChildServer.runIfAsked()
    let service = ServiceEnvironment.take()
    let options: CommandLineOptions
    switch CommandLineOptions.parse(CommandLine.arguments, version: ServerVersion.text) {
    case .run(let parsed): options = parsed
    case .print(let text):
      print(text, terminator: "")
      exit(0)
    case .usage(let text): fail(text, status: 2)
    }
    options.hideSecrets()
    do {
      if let file = options.renderFile, let client = options.renderClient {
        exit(try TemplateTool.run(options, file: file, client: client))
      }
      if options.checksTemplates { exit(try TemplateCheck.run(options, hasNIO: makeNIO != nil)) }
      if options.checksRepository { exit(try RepositoryCheck.run(options, hasNIO: makeNIO != nil)) }
      exit(try ServerProcess(options, service: service, makeNIO: makeNIO).run())
    } catch {
      fail("bcfg2-server: \(error)\n", status: 1)
    }
  }

  /// Makes the library of `[server] backend = nio`, in a build that has it.
  private static var makeNIO: ((Reactor, Settings) -> any ConnectionLibrary)? {
    #if NIO
      { NIOConnections(on: $0, settings: $1) }
    #else
      nil
    #endif
  }

  private static func fail(_ text: String, status: Int32) -> Never {
    var text = text
    text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    exit(status)
  }
}

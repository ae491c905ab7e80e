import ArgumentParser
import Commands
import PackageFetching

/// `bcfg2-packages instance-tags`: asks EC2 for tags of instances, for the server's plugin AWSTags. The keys and the questions come
/// over a socket: nothing of them is on a command line.
struct TagsCommand: ParsableCommand, ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "instance-tags", abstract: "Ask EC2 for tags, over the socket at descriptor 3. The server starts it.",
    shouldDisplay: false)

  @MainActor func runTool() -> Int32 {
    // Before libcurl has sockets of its own, of which one would be taken for the server's.
    guard TagService.isStartedByServer() else {
      Output.printError(
        "bcfg2-packages: bcfg2-server starts instance-tags, for the plugin AWSTags: nobody else can ask it")
      return Exit.usage
    }
    return TagService().run()
  }
}

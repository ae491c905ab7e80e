import ArgumentParser
import PackageFetching

/// `bcfg2-packages instance-tags`: asks EC2 for tags of instances, for the server's plugin AWSTags. The keys and the questions come
/// over a socket: nothing of them is on a command line.
struct TagsCommand: ParsableCommand, ToolCommand {
  static let configuration = CommandConfiguration(
    commandName: "instance-tags", abstract: "Ask EC2 for tags, over the socket at descriptor 3. The server starts it.",
    shouldDisplay: false)

  @MainActor func runTool() -> Int32 { TagService().run() }
}

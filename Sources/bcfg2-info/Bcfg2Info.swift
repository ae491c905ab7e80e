import EventLoop
import Glibc
import Info
import LoopDatabases

/// `bcfg2-info`: shows what the server makes of its repository.
@main
@MainActor
enum Bcfg2Info {
  static func main() {
    ResolverHelper.runIfAsked()
    DatabaseHelper.runIfAsked()
    exit(InfoCommand.run(Array(CommandLine.arguments.dropFirst())))
  }
}

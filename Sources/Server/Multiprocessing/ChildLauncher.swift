import EventLoop
import Glibc

/// Starts the process of a child: this executable once more, with a first argument that no user types.
///
/// It is started, not forked: a runtime that has run has locks, descriptors and an event loop that a copy must not
/// touch. It inherits what the parent has become: user, groups, umask, working folder, standard error.
struct ChildLauncher {
  /// The hidden argument; the child's name and the parent's number follow.
  nonisolated static let argument = "--build-for-parent"
  /// The descriptor of the pair in the child.
  nonisolated static let descriptor: Int32 = 3

  /// The executable: the running one, even where it was replaced on disk.
  var path = "/proc/self/exe"

  /// - Parameter onExit: called once, when the process has ended.
  func launch(
    _ name: String, _ loop: Reactor, _ onExit: @escaping (ChildProcess.ExitStatus) -> Void
  ) throws(SystemError) -> LaunchedChild {
    let pair = try RPCChannel.makePair()
    let ours = FileDescriptor(owning: pair.0)
    let theirs = FileDescriptor(owning: pair.1)
    var configuration = ChildProcess.Configuration([path, Self.argument, name, "\(getpid())"])
    configuration.descriptors = [Self.descriptor: theirs.rawValue]
    configuration.standardOutput = .inherit
    // A crash is told by the status, in one line of the log; the runtime's report of it would take seconds, while the
    // requests of the child wait, and pages. An administrator who wants one sets the variable.
    configuration.environment = Environment.own.merging(["SWIFT_BACKTRACE": "enable=no"]) { own, _ in own }
    let channel = try RPCChannel(ours, on: loop)
    let process: ChildProcess
    do throws(SystemError) {
      process = try ChildProcess(configuration, on: loop, onExit: onExit)
    } catch {
      channel.close()
      throw error
    }
    return LaunchedChild(channel: channel, processID: process.processID, kill: { process.kill(SIGKILL) })
  }
}

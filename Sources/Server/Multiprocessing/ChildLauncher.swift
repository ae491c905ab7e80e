import EventLoop
import Glibc

/// Starts a child process: this executable again, with a first argument that users never type.
///
/// It executes instead of forking: a copy must not touch the locks, descriptors and event loop of a running process.
/// The child inherits user, groups, umask, working folder and standard error of the parent.
struct ChildLauncher {
  /// The hidden argument; the child's name and the parent's number follow.
  nonisolated static let argument = "--build-for-parent"
  /// The descriptor of the socket pair in the child.
  nonisolated static let descriptor: Int32 = 3

  /// The running executable, even if it was replaced on disk.
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
    // The exit status logs a crash in one line. The runtime's report would take seconds, while the child's requests
    // wait, and fill pages. An administrator who wants it sets the variable.
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

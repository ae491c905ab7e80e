import CLinux
import Core
import EventLoop
import Glibc
import Logging
import Plugins
import Repository
import ServerSettings
import Synchronization
import XMLRPC

/// Runs a child process of the multiprocessing core, from its hidden argument to the end of its parent's socket pair.
public enum ChildServer {
  /// Runs this process as a child and ends it if its first argument says so; returns otherwise. Must be first in
  /// `main`.
  public static func runIfAsked() {
    let arguments = CommandLine.arguments
    guard arguments.count == 4, arguments[1] == ChildLauncher.argument else { return }
    let name = arguments[2]
    // The parent decides: ignore signals that a terminal or service sends to the whole group.
    for number in [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1] { signal(number, SIG_IGN) }
    // If the parent ended before this call, the socket pair shows it.
    guard clinux_set_parent_death_signal(SIGKILL) == 0 else { exit(1) }
    if let parent = pid_t(arguments[3]), getppid() != parent { exit(0) }
    clinux_set_name("bcfg2-" + name.lowercased())
    do {
      exit(try Reactor.runAsMain { loop in await run(on: loop) })
    } catch {
      exit(1)
    }
  }

  private static func run(on loop: Reactor) async -> Int32 {
    let life = ChildLife()
    let name = CommandLine.arguments[2]
    let channel: RPCChannel
    do {
      channel = try RPCChannel(FileDescriptor(owning: ChildLauncher.descriptor), on: loop)
    } catch {
      return 1
    }
    channel.onFrame = { life.receive($0) }
    channel.onEnd = { _ in life.end() }
    let logger = Logger(label: "bcfg2-server")
    do {
      guard let value = try await life.start() else { return 0 }
      let settings = try ChildSettings.decode(value["settings"] ?? .nil)
      let log = ForwardingLog(channel)
      LogSetup.bootstrap(settings, forwardingTo: log)
      if geteuid() == 0, settings.user != 0 {
        try Privileges.drop(user: settings.user, group: settings.group)
        // The kernel drops this setting when the user changes.
        guard clinux_set_parent_death_signal(SIGKILL) == 0 else { return 1 }
      }
      AtomicFile.refuseWrites(below: settings.repository)
      guard
        let monitor = FileMonitorFactory.make(settings.fileMonitor, ignoring: settings.ignoredFiles, on: loop)
      else { throw CoreInitError("Failed to instantiate fam driver \(settings.fileMonitor)") }
      // The parent monitors the same files and logs missing ones.
      (monitor as? TreeMonitor)?.troubleLogLevel = .debug
      let resolver = HostResolver(on: loop)
      defer {
        resolver.shutdown()
        monitor.shutdown()
      }
      let child = ChildCore(
        channel: channel, settings: settings, loop: loop, fileMonitor: monitor, resolver: resolver,
        registry: .standard)
      child.opensDatabases()
      // Debugging messages are errors, and belong to this process.
      (monitor as? TreeMonitor)?.onDelivery = { [unowned child] begins in
        log.isReading.store(begins && !child.isDebuggingAnything, ordering: .relaxed)
      }
      try await child.start(value)
      channel.onFrame = { child.receive($0) }
      channel.send(.ready)
      for frame in life.drainWaiting() { child.receive(frame) }
      await life.waitForEnd()
      child.shutdown()
      channel.close()
      return 0
    } catch {
      logger.error("\(name): startup failed: \(error)")
      channel.flush()
      return 1
    }
  }
}

/// Queues the parent's frames until the core exists, and detects the end of the socket pair.
private final class ChildLife {
  private var waiting: [RPCFrame] = []
  private var starting: CheckedContinuation<Void, Never>?
  private var ending: CheckedContinuation<Void, Never>?
  private var isEnded = false

  func receive(_ frame: RPCFrame) {
    waiting.append(frame)
    starting?.resume()
    starting = nil
  }

  func end() {
    isEnded = true
    starting?.resume()
    starting = nil
    ending?.resume()
    ending = nil
  }

  /// The parameter of the first call; nil if the parent ended before it.
  func start() async throws -> Value? {
    if waiting.isEmpty, !isEnded { await withCheckedContinuation { starting = $0 } }
    guard !waiting.isEmpty else { return nil }
    let call = try MethodCall.decode(waiting.removeFirst().payload, limits: RPCQueue.limits)
    guard call.method == "start", call.params.count == 1 else {
      throw ParameterError("\(call.method) comes before start")
    }
    return call.params[0]
  }

  /// Returns the frames after the first and clears the queue.
  func drainWaiting() -> [RPCFrame] {
    defer { waiting = [] }
    return waiting
  }

  func waitForEnd() async {
    if !isEnded { await withCheckedContinuation { ending = $0 } }
  }
}

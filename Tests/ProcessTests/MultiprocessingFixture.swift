import Core
import CoreSupport
import EventLoop
import Glibc
import Identity
import Logging
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

@testable import Server

/// A multiprocessing core in this process, with real child processes of the built server.
final class MultiprocessingFixture {
  /// What differs from the usual fixture.
  struct Options {
    var children = 2
    /// `child_timeout`, seconds: short only in tests of hanging children, since a busy machine is slow.
    var patience = 60
    var monitor = "inotify"
    var plugins: [String] = []
    /// Builds can be held: see `BuildHold`.
    var holds = false
    /// Answers are not cached, so that a child builds each.
    var allowsCaching = false
    /// Bytes of a file that only the first client has.
    var fileBytes = 0
  }

  let repository = TemporaryDirectory()
  let loop: Reactor
  let core: MultiprocessingCore
  let clientCount = 6
  /// Log lines of the children.
  private(set) var records: [LogRecord] = []
  /// nil unless the options request it.
  let hold: BuildHold!
  private let monitor: any FileMonitor

  init(_ loop: Reactor, _ options: Options = Options()) async throws {
    self.loop = loop
    var clients = "<Clients>\n"
    for number in 0..<clientCount {
      clients += "<Client name=\"c\(number)\" profile=\"p\" address=\"127.0.1.\(number + 1)\"/>\n"
      repository.write("contents of c\(number)\n", to: "Cfg/motd/motd.H_c\(number)")
    }
    repository.write(clients + "</Clients>\n", to: "Metadata/clients.xml")
    repository.write(
      "<Groups><Group name=\"p\" profile=\"true\" public=\"true\" default=\"true\"><Bundle name=\"b\"/></Group>"
        + "<Group name=\"probed\"><Bundle name=\"q\"/></Group></Groups>\n", to: "Metadata/groups.xml")
    repository.write("first\n", to: "Cfg/motd/motd")
    repository.write(
      "<Bundle><Path name=\"/motd\"/><Client name=\"c0\"><Path name=\"/large\"/></Client></Bundle>\n",
      to: "Bundler/b.xml")
    let line = "line of a large file\n"
    let large = String(repeating: line, count: options.fileBytes / line.utf8.count)
    repository.write(large, to: "Cfg/large/large")
    repository.write("<Bundle><BoundAction name=\"probed\" command=\"true\"/></Bundle>\n", to: "Bundler/q.xml")
    hold = options.holds ? try BuildHold.install(in: repository) : nil
    let plugins = ["Bundler", "Cfg", "Metadata", "Probes"] + (options.holds ? ["PuppetENC"] : []) + options.plugins
    let text =
      "[server]\nrepository = \(repository.path)\nplugins = \(plugins.joined(separator: ","))\n"
      + "backend = multiprocessing\nchildren = \(options.children)\nchild_selection = round_robin\nchild_timeout = \(options.patience)\n"
      + (options.allowsCaching ? "" : "[caching]\nconfigurations = 0\n") + "[logging]\nsyslog = false\n"
    var typed = CommandLineOptions()
    typed.configurationFile = repository.write(text, to: "bcfg2.conf")
    typed.set("server", "filemonitor", to: options.monitor, typed: "test")
    let settings = try Settings.load(typed, registry: PluginRegistry.standard.settings)
    monitor = try #require(FileMonitorFactory.make(settings.fileMonitor, ignoring: settings.ignoredFiles, on: loop))
    core = MultiprocessingCore(
      settings: settings, loop: loop, fileMonitor: monitor, resolver: FixedResolver(), registry: .standard)
    core.commandLine = typed
    core.launcher.path = Project.server
    core.pool.queue.onLog = { [unowned self] in records.append($0) }
    core.readSettings = { try Settings.load(typed, registry: PluginRegistry.standard.settings) }
    try core.loadPlugins()
    try await core.repositoryLoaded()
  }

  /// The address of a client.
  func address(_ number: Int) -> ClientAddress {
    ClientAddress(ip: "127.0.1.\(number + 1)", port: UInt16(1000 + number))
  }

  func call(_ method: String, _ params: [Value] = [], as number: Int = 0) async -> CallOutcome {
    await core.dispatch(MethodCall(method: method, params: params), from: address(number))
  }

  /// A call of an administrator, as the address says.
  func administrate(_ method: String, _ params: [Value] = []) async -> CallOutcome {
    await core.dispatch(MethodCall(method: method, params: params), from: ClientAddress(ip: "127.0.0.1", port: 1))
  }

  /// The configuration of a client; a fault as text.
  func configuration(_ number: Int) async -> String {
    switch await call("GetConfig", as: number) {
    case .value(.escaped(let segments)): String(decoding: segments.bytes(), as: UTF8.self)
    case .fault(let fault): "fault \(fault.code): \(fault.string)"
    default: "no answer"
    }
  }

  /// Appends to bcfg2.conf, and has the core read it again.
  func changeSettings(_ lines: String) {
    let path = repository.file("bcfg2.conf")
    let text = (try? AtomicFile.readFile(path, limitBytes: 1 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    repository.write(text + lines, to: "bcfg2.conf")
    core.reloadSettings()
  }

  /// The configuration that the parent builds now.
  func expected(_ number: Int) async throws -> String {
    let document = WireWriter.document(try await core.buildConfiguration("c\(number)"))
    return String(decoding: document.bytes(), as: UTF8.self)
  }

  /// Sends probe data that puts a client into the group `probed`, or not.
  func sendProbes(_ isProbed: Bool, as number: Int) async -> Bool {
    let text = isProbed ? "group:probed" : "other"
    let data =
      "<probe-data><probe-data name=\"x\" source=\"Probes\">\(text)\n</probe-data></probe-data>"
    guard case .value(.bool(true)) = await call("RecvProbeData", [.string(data)], as: number) else { return false }
    return true
  }

  /// Whether a configuration is this client's and no other's.
  func isOwn(_ text: String, _ number: Int) -> Bool {
    text.contains("contents of c\(number)") && text.contains("Configuration")
      && !(0..<clientCount).contains { $0 != number && text.contains("contents of c\($0)") }
  }

  /// Waits for children that are ready, as many as there are.
  func waitForChildren() async throws { try await wait { core.readyChildren == core.childCount } }

  /// Waits for a condition that another process causes.
  func wait(_ condition: () -> Bool) async throws {
    while !condition() { try await loop.sleep(for: .milliseconds(2)) }
  }

  /// Stops the children and waits for their end.
  func stop() async {
    await withCheckedContinuation { done in core.stopChildren { done.resume() } }
    core.shutdown()
  }

  // MARK: Load

  /// A load under way.
  final class Load {
    fileprivate(set) var asked = 0
    fileprivate(set) var answered = 0
    fileprivate(set) var wrong: [String] = []
    fileprivate var tasks: [Task<Void, Never>] = []
    fileprivate var isEnough: (Load) -> Bool = { _ in false }

    /// Sends no more requests, and waits for pending answers.
    func finish() async {
      isEnough = { _ in true }
      for task in tasks { await task.value }
    }
  }

  /// Starts requesting configurations, `width` at a time.
  func startLoad(width: Int, isEnough: @escaping (Load) -> Bool = { _ in false }) -> Load {
    let load = Load()
    load.isEnough = isEnough
    load.tasks = (0..<width).map { _ in
      Task {
        while !load.isEnough(load) {
          let number = load.asked % clientCount
          load.asked += 1
          let text = await configuration(number)
          load.answered += 1
          if !isOwn(text, number) { load.wrong.append(text) }
          // If the parent builds, nothing else yields to the loop.
          await loop.nextIteration()
        }
      }
    }
    return load
  }

  /// Requests this many configurations.
  func load(requests: Int, width: Int) async -> (answers: Int, wrong: [String]) {
    let load = startLoad(width: width) { $0.asked >= requests }
    for task in load.tasks { await task.value }
    return (load.answered, load.wrong)
  }
}

/// The kernel's view of processes.
enum Processes {
  static func children(of process: pid_t) -> [pid_t] {
    text(process, "task/\(process)/children").split(separator: " ").compactMap { pid_t($0) }
  }

  /// Whether a process runs; a zombie does not.
  static func isAlive(_ process: pid_t) -> Bool { state(process).map { $0 != "Z" } ?? false }

  /// Whether SIGSTOP has taken effect.
  static func isStopped(_ process: pid_t) -> Bool { state(process) == "T" }

  /// A file of a process's folder in /proc; empty if the process ended.
  static func text(_ process: pid_t, _ name: String) -> String {
    guard let bytes = try? AtomicFile.readFile("/proc/\(process)/\(name)", limitBytes: 1 << 20) else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func state(_ process: pid_t) -> Character? {
    text(process, "stat").split(separator: ")").last?.dropFirst().first
  }
}

/// Holds builds of clients inside of the children: a node classifier that waits for a line in a pipe.
struct BuildHold {
  private let repository: TemporaryDirectory
  private let gate: FileDescriptorBox

  /// To be made before the plugins are loaded.
  static func install(in repository: TemporaryDirectory) throws -> BuildHold {
    let path = repository.file("gate")
    try #require(mkfifo(path, 0o600) == 0)
    let script = """
      #!/bin/sh
      echo "$1 $PPID" >>\(repository.file("entered"))
      if [ -e \(repository.file("hold-"))$1 ]; then read line <\(path); fi
      echo '{}'

      """
    repository.write(script, to: "PuppetENC/hold.sh", mode: 0o755)
    let raw = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
    try #require(raw >= 0)
    return BuildHold(repository: repository, gate: FileDescriptorBox(raw))
  }

  /// Builds for a client wait from now on.
  func hold(_ client: String) { repository.write("", to: "hold-\(client)") }

  /// Later builds do not wait; held builds stay held.
  func letPass(_ client: String) { unlink(repository.file("hold-\(client)")) }

  /// Releases all held builds.
  func release(_ count: Int) { for _ in 0..<count { _ = write(gate.raw, "\n", 1) } }

  /// The processes that started building for a client, in order.
  func builders(of client: String) -> [pid_t] {
    guard let bytes = try? AtomicFile.readFile(repository.file("entered"), limitBytes: 1 << 20) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      return words.count == 2 && words[0] == client ? pid_t(words[1]) : nil
    }
  }
}

/// A descriptor that is closed with its last holder.
final class FileDescriptorBox {
  let raw: Int32
  init(_ raw: Int32) { self.raw = raw }
  deinit { close(raw) }
}

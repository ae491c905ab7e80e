import Core
import EventLoop
import Formats
import Glibc
import Logging
import Repository
import XMLRPC

/// Reports how the server uses memory: in the log every ten minutes, and on request.
///
/// Bcfg2's plugin of this name opens a console of Python's Heapy. This one keeps its name and its calls: `Enable` logs
/// a report at once and every ten minutes, `Disable` ends that. `Report` answers the same figures.
///
/// Source of the calls: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Guppy.py.
final class GuppyPlugin: Plugin {
  override class var name: String { "Guppy" }
  override class var createsFolder: Bool { false }

  private static let interval: Duration = .seconds(600)
  /// The figures of /proc/self/status that are reported, in kB but `Threads`.
  private static let figures = [
    "VmPeak", "VmSize", "VmHWM", "VmRSS", "RssAnon", "RssFile", "VmData", "VmSwap", "Threads",
  ]

  private var timer: Timer?

  override func load() { enable() }

  override var rmi: [String: RemoteMethod] {
    super.rmi.merging([
      "Enable": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Enable")
        enable()
        return .nil
      },
      "Disable": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Disable")
        disable()
        return .nil
      },
      "Report": RemoteMethod { [unowned self] arguments in
        try arguments.require(0, of: "Report")
        return .structure(report().map { Value.Member($0.name, .int(Int64($0.value))) })
      },
    ]) { $1 }
  }

  override func shutdown() {
    disable()
    super.shutdown()
  }

  private func enable() {
    disable()
    log()
    schedule()
  }

  private func schedule() {
    timer = core.loop.schedule(after: Self.interval) { [weak self] in
      self?.log()
      self?.schedule()
    }
  }

  private func disable() {
    timer?.cancel()
    timer = nil
  }

  private func log() {
    logger.info("Memory: \(report().map { "\($0.name)=\($0.value)" }.joined(separator: " "))")
  }

  /// Memory of the process in kB, its threads and open descriptors, and how many clients' metadata is cached.
  private func report() -> [(name: String, value: Int)] {
    var found: [(name: String, value: Int)] = []
    do throws(SystemError) {
      let status = try AtomicFile.readFile("/proc/self/status", limitBytes: 1 << 16)
      for line in status.split(separator: UInt8(ascii: "\n")) {
        let words = String(decoding: line, as: UTF8.self).words
        guard words.count > 1, words[0].hasSuffix(":"), let value = Int(words[1]) else { continue }
        let name = String(words[0].dropLast())
        if Self.figures.contains(name) { found.append((name, value)) }
      }
    } catch {
      logger.warning("Memory: \(error)")
    }
    found.append(("Descriptors", RepositoryPath.glob("/proc/self/fd/*").count))
    found.append(("CachedMetadata", core.metadataCache.count))
    found.append(("FileMonitors", core.fileMonitor.listPaths().count))
    return found
  }
}

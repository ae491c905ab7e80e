import EventLoop
import Glibc
import Identity
import Logging
import Repository
import Support
import Testing

@testable import Plugins

/// A plugin's folder with a store of probe data that can be killed and restarted.
final class ProbeSite {
  let folder: TemporaryDirectory
  let disk = HeldSynchronizer(isHolding: false)
  private(set) var store: ProbeStore
  private let layout: ProbeStore.Layout
  private let lateDelay: Duration
  private let loop: Reactor
  private let log = LogRecorder(level: .notice)

  /// - Parameter files: below the repository, of which `Probes` is the plugin's folder.
  init(
    _ files: [String: String] = [:], layout: ProbeStore.Layout = .client, lateDelay: Duration = .seconds(600),
    on loop: Reactor
  ) {
    folder = TemporaryDirectory()
    self.layout = layout
    self.lateDelay = lateDelay
    self.loop = loop
    folder.write("", to: "Probes/kind")
    for (name, text) in files { folder.write(text, to: name) }
    loop.fileWriter.synchronizer = disk
    store = Self.store(folder, layout, lateDelay, loop, log)
  }

  isolated deinit { store.flush() }

  private static func store(
    _ folder: TemporaryDirectory, _ layout: ProbeStore.Layout, _ lateDelay: Duration, _ loop: Reactor,
    _ log: LogRecorder
  ) -> ProbeStore {
    ProbeStore(
      layout: layout, pluginFolder: folder.file("Probes"), isReadOnly: false, lateDelay: lateDelay, loop: loop,
      logger: log.logger)
  }

  /// Starts another store on the same files, as after `kill -9`.
  func restart() { store = Self.store(folder, layout, lateDelay, loop, log) }

  func report(_ client: ClientName, _ text: String, at time: Int = 100) async throws {
    let report = ProbeReport(timestamp: "\(time)", probes: [("p", text)], groups: [])
    try await store.save(report, of: client)
  }

  /// The store's data of clients.
  var known: [String: String] {
    get throws {
      var known: [String: String] = [:]
      for client in store.table.names {
        let data = ProbeDataSet(timestamp: "0", body: try #require(store[client]).body)
        known[client.text] = data["p"]?.text
      }
      return known
    }
  }

  /// The names in probed.d.
  var files: [String] { folder.names(in: "Probes/probed.d") }

  /// probed.xml.
  var text: String {
    get throws {
      let bytes = try AtomicFile.readFile(folder.file("Probes/probed.xml"), limitBytes: 1 << 28)
      return String(decoding: bytes, as: UTF8.self)
    }
  }

  /// The clients that probed.xml names.
  var copied: [String] {
    get throws { try ProbedFile.parse(Array(try text.utf8)).children.compactMap(\.name) }
  }

  /// Waits until nothing is being written.
  func quiet() async {
    while store.isWriting || store.isCopying { await loop.nextIteration() }
  }

  func wait(until condition: () -> Bool) async {
    while !condition() { await loop.nextIteration() }
  }

  /// The lines since the last call that contain a text.
  func logged(_ text: String) -> Int { log.take().count { $0.contains(text) } }

  func lines() -> [String] { log.take() }

  func remove(_ name: String) { #expect(unlink(folder.file(name)) == 0, "\(name)") }

  /// As `rm -r probed.d` does.
  func removeFolder() {
    for name in files { remove("Probes/probed.d/\(name)") }
    #expect(rmdir(folder.file("Probes/probed.d")) == 0)
  }

  static func client(_ name: String, _ text: String, at time: Int = 1) -> String {
    "<Client name=\"\(name)\" timestamp=\"\(time)\"><Probe name=\"p\" value=\"\(text)\"/></Client>"
  }
}

public import Core
import Databases
import EventLoop
import Formats
import Glibc
public import Identity
import Logging
import LoopDatabases
import ReportRecords
public import Repository
import ServerSettings
import XMLRPC

/// Reporting: keeps what clients report at the end of their runs, for `bcfg2-report-collector`, which brings it to the database.
///
/// Source of the behaviour: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Reporting.py, Reporting/Transport.
public final class ReportingPlugin: Plugin, Statistics, Threaded, PullSource {
  public override class var name: String { "Reporting" }

  /// How statistics come to the database: the names of Bcfg2 that have an equal here.
  enum Transport: String, CaseIterable {
    /// The server starts the collector.
    case direct = "DirectStore"
    /// Somebody else does.
    case files = "LocalFilesystem"
  }

  private static let reporting = ReportingOptions.standard

  private var transport = Transport.direct
  private(set) var spool: SpoolWriter?
  private(set) var collector: CollectorProgram?
  /// The open database, for administrators' calls; nil before the first.
  private var database: (any LoopDatabase)?
  /// Opens the database; tests have their own.
  var openDatabase: (ReportingPlugin) throws -> any LoopDatabase = { plugin in
    LoopDatabases.open(try plugin.core.settings.reportingDatabase, on: plugin.core.loop, logger: plugin.logger)
  }
  private var lastMicroseconds: Int64 = 0
  private var cutEntries = 0

  public override func load() throws {
    let name = core.settings[Self.reporting.transport]
    guard let transport = Transport(rawValue: name) else {
      let origin = core.settings.origin(of: Self.reporting.transport)
      throw PluginInitError(
        name == "RedisTransport"
          ? "\(origin): RedisTransport is not supported. Use DirectStore, where the server starts the collector, or LocalFilesystem, where an init script does"
          : "\(origin): there is no transport \(name), but DirectStore and LocalFilesystem")
    }
    self.transport = transport
    // The parent of children has the statistics, and a tool leaves the spool alone.
    guard !core.isChild, !core.isReadOnly else { return }
    spool = SpoolWriter(
      folder: "\(folder)/\(SpoolSegment.folder)", limits: limits, on: core.loop, logger: logger)
  }

  /// What waits in the spool, for metrics; nil in a process that has none.
  package var spoolCounts: SpoolCounts? { spool?.counts }

  private var limits: SpoolWriter.Limits {
    var limits = SpoolWriter.Limits()
    limits.spoolBytes = core.settings[Self.reporting.spoolLimitBytes]
    return limits
  }

  public override func settingsChanged() { spool?.limits = limits }

  public func startThreads() async throws {
    guard transport == .direct, spool != nil else { return }
    let collector = CollectorProgram(on: core.loop, logger: logger) { [unowned core] in core.settings }
    self.collector = collector
    collector.start()
  }

  public override func shutdown() {
    spool?.close()
    collector?.stop()
    database?.close()
    super.shutdown()
  }

  // MARK: Statistics

  public func processStatistics(_ metadata: ClientMetadata, _ document: Element) async throws {
    guard let spool, let statistics = document.descendants(tagged: "Statistics").first else { return }
    let client = metadata.hostname
    // Two interactions of a client never have the same time.
    lastMicroseconds = max(lastMicroseconds + 1, SpoolWriter.microseconds())
    var interaction = Interaction(hostname: client.text, microseconds: lastMicroseconds)
    interaction.server = Self.nodeName
    interaction.profile = metadata.profile ?? ""
    interaction.groups = metadata.groups.sorted()
    interaction.bundles = metadata.bundles.map(\.text)
    let limits = ReportedDocument.Limits(
      entries: core.settings[Self.reporting.clientEntries], bytes: core.settings[Self.reporting.clientBytes])
    let cut = ReportedDocument.read(statistics, into: &interaction, limits: limits)
    if cut > 0 {
      logger.warning(
        "Reporting: \(cut) entries of \(client) are left out: a report has at most [reporting] client_entries entries and client_bytes bytes"
      )
    }
    do throws(SystemError) {
      try await spool.write(interaction.record())
    } catch {
      throw StatisticsNotKept(reason: error)
    }
    debugLog("Reporting: Queued statistics data for \(client)")
  }

  /// The name of this machine, as in `uname -n`.
  private static let nodeName: String = {
    var names = utsname()
    guard uname(&names) == 0 else { return "" }
    return withUnsafeBytes(of: names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }()

  // MARK: The last run

  public func getExtra(_ client: ClientName) async throws -> [(tag: String, name: String)] {
    do {
      return try await entries().extra(of: client.text)
    } catch let error as DatabaseError {
      throw PluginExecutionError("Reporting: \(error)")
    }
  }

  public func getCurrentEntry(_ client: ClientName, tag: String, name: String) async throws -> Element {
    let found: CurrentEntries.Entry
    do {
      found = try await entries().entry(of: client.text, tag: tag, name: name)
    } catch let error as DatabaseError {
      throw PluginExecutionError("Reporting: \(error)")
    }
    let element = Element(tag)
    element["name"] = name
    element["owner"] = found.owner
    element["group"] = found.group
    element["mode"] = found.mode
    switch found.contents {
    case .none: break
    case .text(let text): element.text = text
    case .binary(let bytes):
      element["encoding"] = "base64"
      element.text = String(decoding: Base64.encode(bytes), as: UTF8.self)
    }
    return element
  }

  private func entries() throws -> CurrentEntries {
    if let database { return CurrentEntries(database: database) }
    let opened = try openDatabase(self)
    database = opened
    return CurrentEntries(database: opened)
  }

  public override var rmi: [String: RemoteMethod] {
    var methods = super.rmi
    methods["Ping"] = method("Ping", 0) { _, _ in .string("Pong") }
    methods["GetExtra"] = method("GetExtra", 1) { plugin, arguments in
      let extra = try await plugin.entries().extra(of: arguments[0])
      return .array(extra.map { .array([.string($0.tag), .string($0.name)]) })
    }
    methods["GetCurrentEntry"] = method("GetCurrentEntry", 3) { plugin, arguments in
      let entry = try await plugin.entries().entry(of: arguments[0], tag: arguments[1], name: arguments[2])
      var values: [Value] = [.string(entry.owner), .string(entry.group), .string(entry.mode)]
      switch entry.contents {
      case .none: values.append(.nil)
      case .text(let text): values.append(.string(Self.received(text)))
      // Python 2 has one type for both.
      case .binary(let bytes): values.append(Self.text(bytes).map { .string(Self.received($0)) } ?? .bytes(bytes))
      }
      return .array(values)
    }
    return methods
  }

  /// A text as callers of Bcfg2 get it: it does not escape CR, so that their XML readers make LF of it, alone or before LF.
  private static func received(_ text: String) -> String {
    String(String.UnicodeScalarView(text.replacing("\r\n", with: "\n").unicodeScalars.map { $0 == "\r" ? "\n" : $0 }))
  }

  /// Bytes as a text that XML can carry; nil for others.
  private static func text(_ bytes: [UInt8]) -> String? {
    guard let text = String(validating: bytes, as: UTF8.self),
      text.unicodeScalars.allSatisfy({ $0.value >= 0x20 || $0 == "\n" || $0 == "\r" || $0 == "\t" }),
      !text.unicodeScalars.contains(where: { $0.value == 0xFFFE || $0.value == 0xFFFF })
    else { return nil }
    return text
  }

  /// A method of the transport in Bcfg2, which packs every error into a sentence; those of the storage have no text.
  private func method(
    _ name: String, _ count: Int, _ body: @escaping @MainActor (ReportingPlugin, [String]) async throws -> Value
  ) -> RemoteMethod {
    RemoteMethod { [unowned self] arguments in
      do {
        try arguments.require(count, of: name)
        return try await body(
          self,
          try arguments.map { value throws(ParameterError) in
            guard case .string(let text) = value else { throw ParameterError("\(name)() takes texts only") }
            return text
          })
      } catch {
        var text = "\(error)"
        if error is PluginExecutionError {
          logger.error("\(text)")
          text = ""
        }
        throw PluginExecutionError("Reporting: RPC method \(name) failed: \(text)")
      }
    }
  }
}

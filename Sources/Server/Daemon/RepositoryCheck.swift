import Core
import EventLoop
import Glibc
import Identity
import Logging
import Repository
public import ServerSettings

/// `bcfg2-server --check [REPO]`: reads the whole repository, builds the configuration of every client, and prints what the
/// server would log as an error or a warning: before a change is deployed.
///
/// It serves nobody and writes nothing. Keys and certificates that the server would make are not made; entries that need
/// them are counted apart.
public enum RepositoryCheck {
  /// Messages, each once, with the clients that it came up for.
  private struct Messages {
    private var indexes: [String: Int] = [:]
    private(set) var all: [(text: String, isError: Bool, clients: [ClientName])] = []

    mutating func add(_ records: [LogRecord], for client: ClientName?) {
      for record in records {
        let name = client?.text ?? ""
        let text = name.isEmpty ? record.message : record.message.replacing(name, with: "CLIENT")
        let isError = record.level >= .error
        let index = indexes["\(isError) \(text)"] ?? all.count
        if index == all.count {
          indexes["\(isError) \(text)"] = index
          all.append((text, isError, []))
        }
        if let client, all[index].clients.last != client { all[index].clients.append(client) }
      }
    }

    /// The lines of the report.
    var lines: [String] {
      all.map { text, isError, clients in
        let kind = isError ? "error" : "warning"
        switch clients.count {
        case 0: return "\(kind): \(text)"
        case 1: return "\(kind): \(text.replacing("CLIENT", with: clients[0].text)) (for \(clients[0]))"
        default: return "\(kind): \(text) (for \(clients[0]) and \(clients.count - 1) more)"
        }
      }
    }
  }

  /// What building all configurations came to.
  private struct Totals {
    var clients = 0
    var entries = 0
    var failedEntries = 0
    var failedClients = 0
    /// Entries that fail because what they need would be made only now.
    var unmadeEntries = 0
  }

  /// - Parameter hasNIO: whether this program was built with the core on SwiftNIO.
  /// - Returns: the exit status: 0, or 1 if there was an error.
  /// - Throws: `SettingsError`.
  public static func run(_ options: CommandLineOptions, hasNIO: Bool = true) throws -> Int32 {
    let settings = try ReadingCore.settings(options)
    try settings.requireBackend(hasNIO: hasNIO)
    let log = GatheredLog()
    Log.router.configure([(log, .warning)], standard: .warning)
    return try Reactor.runAsCommand { loop in
      var messages = Messages()
      do {
        return try await ReadingCore.with(settings, on: loop) { core in
          messages.add(log.take(), for: nil)
          for name in settings.plugins where !core.isLoaded(name) {
            let text = "\(settings.origin(of: "server", "plugins")): plugin \(name) cannot be loaded"
            messages.add([LogRecord(level: .error, label: "bcfg2-server", message: text)], for: nil)
          }
          let clients = try await self.clients(core, only: options.renderClient)
          let totals = await build(clients, core, log, &messages)
          // Templates and modules that no client asked for, as the server loads them at its start.
          if options.renderClient == nil { _ = await core.templates.checks.load(except: []) }
          messages.add(log.take(), for: nil)
          return report(messages, totals)
        }
      } catch {
        messages.add(log.take(), for: nil)
        for line in messages.lines { print(VisibleText.escaped(line, keepsLines: true)) }
        ReadingCore.printError("bcfg2-server: \(error)")
        return 1
      }
    }
  }

  private static func clients(_ core: ServerCore, only name: String?) async throws -> [ClientName] {
    if let name { return [try ReadingCore.client(name, core)] }
    return await core.metadata.listClients().sorted { $0.text < $1.text }
  }

  private static func build(
    _ clients: [ClientName], _ core: ServerCore, _ log: GatheredLog, _ messages: inout Messages
  ) async -> Totals {
    var totals = Totals()
    let showsProgress = isatty(STDERR_FILENO) == 1
    for (index, client) in clients.enumerated() {
      if showsProgress, index % 10 == 0 { showProgress("\(index) of \(clients.count) clients") }
      totals.clients += 1
      do {
        let document = try await core.buildConfiguration(client)
        count(document, &totals)
        messages.add(log.take().filter { !isRefusedWrite($0.message) }, for: client)
      } catch {
        totals.failedClients += 1
        messages.add(
          log.take() + [LogRecord(level: .error, label: "bcfg2-server", message: "no configuration: \(error)")],
          for: client)
      }
    }
    if showsProgress { showProgress("") }
    return totals
  }

  private static func count(_ document: Element, _ totals: inout Totals) {
    guard document.tag == "Configuration" else {
      totals.failedClients += 1
      return
    }
    var hasFailed = false
    for structure in document.children {
      totals.entries += structure.children.count
      for entry in structure.children {
        guard let failure = entry["failure"] else { continue }
        if isRefusedWrite(failure) {
          totals.unmadeEntries += 1
        } else {
          totals.failedEntries += 1
          hasFailed = true
        }
      }
    }
    if hasFailed { totals.failedClients += 1 }
  }

  /// Whether something failed because this process writes nothing.
  private static func isRefusedWrite(_ message: String) -> Bool {
    message.contains(String(cString: strerror(EROFS)))
  }

  /// - Returns: the exit status.
  private static func report(_ messages: Messages, _ totals: Totals) -> Int32 {
    for line in messages.lines { print(VisibleText.escaped(line, keepsLines: true)) }
    let errors = messages.all.count { $0.isError }
    let failed = counted(totals.failedEntries, "entry fails", "entries fail")
    let concerned = counted(totals.failedClients, "client is concerned", "clients are concerned")
    var line =
      "\(counted(totals.clients, "client")), \(counted(totals.entries, "entry", "entries")): \(failed), \(concerned); "
      + "\(counted(errors, "error")), \(counted(messages.all.count - errors, "warning"))"
    if totals.unmadeEntries > 0 {
      line += "; \(counted(totals.unmadeEntries, "entry needs", "entries need")) keys that the server will make"
    }
    print(line)
    return errors == 0 && totals.failedEntries == 0 && totals.failedClients == 0 ? 0 : 1
  }

  /// Replaces the line on the terminal.
  private static func showProgress(_ text: String) {
    var line = "\r\u{1B}[K" + text
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

import ArgumentParser
import Commands
import Core
import FoundationEssentials
import Logging
import Repository
import ServerSettings

/// `bcfg2-info buildall`.
struct BuildAll: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "buildall", abstract: "Build configs for all clients in directory.",
    discussion: "Exit status: 0, or 1 if a client's could not be built; the others are.")
  static let completions: [Completion] = [.file, .client]

  @Argument(help: "It is made if it is not there.")
  var directory: String

  @Argument(help: ArgumentHelp("Names or globs; all without any.", valueName: "hostname"))
  var hosts: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  /// The part of the clients that this process is for; nil for all.
  @ArgumentParser.Option(help: .hidden)
  var part: String?

  /// Fewer clients are not worth further processes.
  private static let fewClients = 8

  func validate() throws {
    if let part, WorkPart(part) == nil { throw ArgumentParser.ValidationError("--part is like 1/2") }
  }

  func prepare(_ files: OutputFiles) throws { try files.makeFolder(directory) }

  var workerPart: WorkPart? { part.flatMap { WorkPart($0) } }

  func distribute(_ start: InfoStart) async throws -> Int32? {
    let isFew = !hosts.isEmpty && hosts.count < Self.fewClients && !Selection.hasWildcard(hosts)
    guard part == nil, !isFew else { return nil }
    let progress = Progress("Building")
    var messages = ClientMessages()
    let workers = try Workers(WorkPart.all(Workers.processors), on: start.loop) { part in
      WorkerArguments.beforeMode(start.options, start.settings) + [Self._commandName, "--part", part.text]
        + (common.json ? ["--json"] : []) + ["--", directory] + hosts
    } onLine: { line in
      switch line {
      case .total(let count): progress.expect(count)
      case .done: progress.finishOne()
      case .result(let text):
        let said = try JSONDecoder().decode(ClientMessages.Said.self, from: Data(text.utf8))
        messages.add(said)
      case .problem: break
      }
    }
    let statuses = try await workers.waitForEnd()
    progress.end()
    for line in messages.lines { Output.printError(line) }
    return statuses.allSatisfy { $0 == 0 } ? 0 : InfoStatus.failed
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    if context.isInteractive { try prepare(context.files) }
    var isGood = true
    var clients = try await context.clients(hosts)
    // What is logged for many clients is said once.
    var log: GatheredLog?
    if let part = workerPart {
      clients = part.of(clients)
      context.print(WorkerLine.total(clients.count).text)
      if LogSetup.level(context.core.settings) == .warning {
        let gathered = GatheredLog()
        Log.router.configure([(gathered, .warning)], standard: .warning)
        log = gathered
      }
    }
    func tell(_ host: String, _ messages: [String]) throws {
      guard part != nil, !messages.isEmpty else { return }
      let said = ClientMessages.Said(host: host, messages: messages)
      context.print(WorkerLine.result(try Output.json(said, isPretty: false)).text)
    }
    for host in clients {
      defer { if part != nil { context.print(WorkerLine.done.text) } }
      var problem: String?
      do {
        let document = try await context.core.buildConfiguration(try context.client(host))
        if document.tag == "error" { throw InfoProblem("\(document["type"] ?? "error")") }
        try context.files.write(
          common.json ? Array((try ElementJSON(document).document + "\n").utf8) : PrettyXML.document(document),
          to: "\(directory)/\(host).\(common.json ? "json" : "xml")")
      } catch {
        isGood = false
        problem = "\(error)"
        if part == nil { Output.printError("\(host): \(error)") }
      }
      try tell(host, (log?.take().map(\.message) ?? []) + (problem.map { [$0] } ?? []))
    }
    return isGood ? 0 : InfoStatus.failed
  }
}

/// What is said of clients: each message once, with the clients that it is for.
struct ClientMessages {
  /// What is said of one client.
  struct Said: Codable {
    let host: String
    let messages: [String]
  }

  private var hosts: [[String]] = []
  private var texts: [String] = []
  private var places: [String: Int] = [:]

  mutating func add(_ said: Said) {
    for message in said.messages {
      let place = places[message] ?? texts.count
      if place == texts.count {
        places[message] = place
        texts.append(message)
        hosts.append([])
      }
      if hosts[place].last != said.host { hosts[place].append(said.host) }
    }
  }

  /// `Failed to bind entry Path:/etc/x: ... (for one.example.com and 49 more)`.
  var lines: [String] {
    zip(texts, hosts).map { text, hosts in
      let first = hosts.min { $0.utf8.lexicographicallyPrecedes($1.utf8) } ?? ""
      return VisibleText.escaped("\(text) (for \(first)\(hosts.count > 1 ? " and \(hosts.count - 1) more" : ""))")
    }
  }
}

/// `bcfg2-info buildallfile`.
struct BuildAllFile: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "buildallfile", abstract: "Build config file for all clients in directory.",
    discussion: "Exit status: 0, or 1 if a client's could not be built; the others are.")
  static let completions: [Completion] = [.file, .path, .client]

  @ArgumentParser.Option(help: ArgumentHelp("The name under which the repository has the entry.", valueName: "path"))
  var altsrc: String?

  @Argument(help: "It is made if it is not there.")
  var directory: String

  @Argument(help: ArgumentHelp("The name of the Path entry.", valueName: "filename"))
  var path: String

  @Argument(help: ArgumentHelp("Names or globs; all without any.", valueName: "hostname"))
  var hosts: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  func prepare(_ files: OutputFiles) throws { try files.makeFolder(directory) }

  func run(_ context: InfoContext) async throws -> Int32 {
    if context.isInteractive { try prepare(context.files) }
    var isGood = true
    for host in try await context.clients(hosts) {
      do {
        let entry = try await PathEntry.bound(path, altsrc: altsrc, host, context)
        let text = common.json ? try ElementJSON(entry).document : PrettyXML.line(entry)
        try context.files.write(Array((text + "\n").utf8), to: "\(directory)/\(host)")
      } catch {
        isGood = false
        Output.printError("\(error)")
      }
    }
    return isGood ? 0 : InfoStatus.failed
  }
}

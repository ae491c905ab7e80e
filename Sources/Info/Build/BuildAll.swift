import ArgumentParser
import Commands
import Core
import Repository

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
    let count = Workers.processors
    let isFew = !hosts.isEmpty && hosts.count < Self.fewClients && !Selection.hasWildcard(hosts)
    guard part == nil, count > 1, !isFew else { return nil }
    let progress = Progress("Building")
    let workers = try Workers(WorkPart.all(count), on: start.loop) { part in
      WorkerArguments.beforeMode(start.options, start.settings) + [Self._commandName, "--part", part.text]
        + (common.json ? ["--json"] : []) + ["--", directory] + hosts
    } onLine: { line in
      switch line {
      case .total(let count): progress.expect(count)
      case .done: progress.finishOne()
      case .result, .problem: break
      }
    }
    let statuses = try await workers.waitForEnd()
    progress.end()
    return statuses.allSatisfy { $0 == 0 } ? 0 : InfoStatus.failed
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    if context.isInteractive { try prepare(context.files) }
    var isGood = true
    var clients = try await context.clients(hosts)
    if let part = workerPart {
      clients = part.of(clients)
      context.print(WorkerLine.total(clients.count).text)
    }
    for host in clients {
      defer { if part != nil { context.print(WorkerLine.done.text) } }
      do {
        let document = try await context.core.buildConfiguration(try context.client(host))
        if document.tag == "error" { throw InfoProblem("\(document["type"] ?? "error")") }
        try context.files.write(
          common.json ? Array((try ElementJSON(document).document + "\n").utf8) : PrettyXML.document(document),
          to: "\(directory)/\(host).\(common.json ? "json" : "xml")")
      } catch {
        isGood = false
        Output.printError("\(host): \(error)")
      }
    }
    return isGood ? 0 : InfoStatus.failed
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

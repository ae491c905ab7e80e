import ClientChecks
import Commands
import Core
import EventLoop
import FoundationEssentials
import Glibc
import Identity
import Repository
import Server
import ServerSettings
import XMLRPC

/// All clients, or a part of them, one after the other.
@MainActor
struct TestRun {
  let arguments: Arguments
  let options: TestOptions
  let settings: Settings
  let log: GatheredLog
  /// Where JUnit's XML goes.
  let xunit: CommandFile?

  /// - Returns: the exit status.
  func run(on loop: Reactor) async throws -> Int32 {
    if let part = arguments.workerPart {
      _ = try await test(part, on: loop) { Output.print(WorkerLine.result(try Output.json($0, isPretty: false)).text) }
      return 0
    }
    let start = ContinuousClock.now
    let text = NoseText(isVerbose: options.isVerbose)
    func show(_ result: ClientResult) {
      if !arguments.json { Output.writeError(Self.visible(text.progress(result))) }
    }
    let parts = WorkPart.all(options.children + 1)
    var others: [ClientResult] = []
    let workers = try Workers(Array(parts.dropFirst()), on: loop) {
      arguments.arguments(for: $0, settings)
    } onLine: {
      guard case .result(let text) = $0 else { return }
      let result = try JSONDecoder().decode(ClientResult.self, from: Data(text.utf8))
      show(result)
      others.append(result)
    }
    var results: [ClientResult] = []
    do {
      results = try await test(parts[0], on: loop, show)
    } catch {
      _ = try? await workers.waitForEnd()
      throw error
    }
    guard try await workers.waitForEnd().allSatisfy({ $0 == 0 }) else { throw Problem() }
    results += others
    results.sort { $0.client < $1.client }
    if arguments.json {
      try Output.printJSON(results)
    } else {
      Output.printError(Self.visible(text.summary(results, seconds: start.duration(to: .now).seconds)))
    }
    // A file that cannot be written hides no result.
    try xunit?.write(Array(JUnitXML.document(results).utf8))
    return results.allSatisfy { $0.outcome == .ok } ? 0 : 1
  }

  /// Names and texts of the repository do not control a terminal.
  private static func visible(_ text: String) -> String { VisibleText.escaped(text, keepsLines: true) }

  /// A glob that no client matches.
  private struct UnknownClient: Error, CustomStringConvertible {
    let description: String
  }

  /// The clients that the command line names, each once; all of the metadata without any.
  ///
  /// A name that the metadata does not have is told, and built as the new client that it could be, as in 1.4.
  ///
  /// - Throws: `UnknownClient` for a glob that matches none.
  private func names(_ core: ServerCore, tellingUnknown: Bool) async throws -> [String] {
    let all = await core.metadata.listClients().map(\.text).sorted()
    guard !arguments.clients.isEmpty else { return all }
    var names: [String] = []
    for word in arguments.clients {
      let isGlob = word.utf8.contains(where: Set("*?[]".utf8).contains)
      let pattern = Glob(word)
      let found = isGlob ? all.filter { pattern.matches($0) } : [word]
      guard !found.isEmpty else { throw UnknownClient(description: "no client matches \(word)") }
      for name in found where !names.contains(where: { Name.areSame($0, name) }) {
        let isKnown = (try? ClientName(recorded: name)).map { core.metadata.knowsClient($0) } ?? false
        if !isKnown, tellingUnknown {
          let shown = Self.visible(name)
          Output.printError("\(Bcfg2Test.program): there is no client \(shown): it is built as the server would add it")
        }
        names.append(name)
      }
    }
    return names
  }

  /// A process for a part of the clients has failed; it said why.
  private struct Problem: Error, CustomStringConvertible {
    var description: String { "a process for a part of the clients has failed" }
  }

  private func test(
    _ part: WorkPart, on loop: Reactor, _ show: (ClientResult) throws -> Void
  ) async throws -> [ClientResult] {
    try await ReadingCore.with(settings, on: loop) { core in
      // What loading the repository said is of no client.
      for record in log.take() where part.place == 0 { Output.printError(Self.visible(record.message)) }
      let names: [String]
      do {
        names = try await self.names(core, tellingUnknown: part.place == 0)
      } catch {
        // The process that has the others says so.
        if part.place > 0 { return [] }
        throw error
      }
      var results: [ClientResult] = []
      for name in part.of(names) {
        let result = await test(name, core)
        try show(result)
        results.append(result)
        // The other processes are heard meanwhile.
        await Task.yield()
      }
      return results
    }
  }

  private func test(_ name: String, _ core: ServerCore) async -> ClientResult {
    let start = ContinuousClock.now
    let check = ConfigurationCheck(ignoring: options.ignored) { Self.isRefusedWrite($0) }
    func result(_ outcome: ClientResult.Outcome, _ text: String = "") -> ClientResult {
      ClientResult(client: name, outcome: outcome, text: text, seconds: start.duration(to: .now).seconds)
    }
    do {
      let client = try ClientName(recorded: name)
      let document = try await core.buildConfiguration(client)
      let messages = log.take().map(\.message).filter { !Self.isRefusedWrite($0) }
      let bundles = document.tag == "Configuration" ? try await core.buildMetadata(client).bundles.map(\.text) : []
      let problem = check.problem(document, client: name, bundles: bundles, log: messages)
      return problem.map { result(.failure, $0) } ?? result(.ok)
    } catch {
      let lines = log.take().map(\.message) + ["\(error)"]
      return result(.error, lines.joined(separator: "\n"))
    }
  }

  /// Whether something failed because this process writes nothing, such as a key that a server would make.
  private static func isRefusedWrite(_ message: String) -> Bool { message.contains(String(cString: strerror(EROFS))) }
}

extension Duration {
  fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

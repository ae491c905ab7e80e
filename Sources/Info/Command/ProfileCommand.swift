import ArgumentParser
import Commands
import Core
import EventLoop
import Repository
import ServerSettings

/// `bcfg2-info profile`.
struct ProfileCommand: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Profile a single bcfg2-info command.",
    discussion:
      "Prints the execution times of the server's core after the output of the command, as bcfg2-admin perf does.")
  static let completions: [Completion] = [.mode, .client]

  @Argument(
    parsing: .captureForPassthrough, help: "A mode and its arguments.",
    completion: .list(Arguments.names(isInteractive: false)))
  var command: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  func run(_ context: InfoContext) async throws -> Int32 {
    if command.isEmpty || ["-h", "--help"].contains(command[0]) {
      context.print(Arguments.helpMessage(for: Self.self))
      return command.isEmpty ? InfoStatus.usage : 0
    }
    switch ModeParsing.parse(command, isInteractive: context.isInteractive) {
    case .mode(let mode):
      let start = MonotonicTime.now()
      if common.json || mode.common.json {
        let output = Captured()
        let status = try await mode.perform(context.printing { output.text += $0 })
        try tell(output.text, (MonotonicTime.now() - start).inSeconds, isJSON: mode.common.json, context)
        return status
      }
      let status = try await mode.perform(context)
      let time = Decimals.text((MonotonicTime.now() - start).inSeconds, 6)
      context.printText(ExecutionTable.text(context.core.statistics))
      context.print("\(type(of: mode)._commandName): \(time) seconds")
      return status
    case .done(let text, let isError):
      let prefix = "\(InfoCommand.program): "
      let said = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
      if isError { context.printError(said) } else { context.print(text) }
      return isError ? InfoStatus.usage : 0
    case .failed(let text): throw InfoProblem(text)
    }
  }

  /// What a mode printed.
  @MainActor private final class Captured {
    var text = ""
  }

  /// Prints one object: what the mode printed, as JSON or as a text, and the times.
  @MainActor private func tell(_ output: String, _ seconds: Double, isJSON: Bool, _ context: InfoContext) throws {
    let text = isJSON ? (output.isEmpty ? "null" : output.trimmedEnd) : try Output.json(output)
    context.print(
      """
      {
        "output" : \(text),
        "seconds" : \(try Output.json(seconds)),
        "times" : \(try Output.json(ExecutionTable.rows(context.core.statistics)))
      }
      """)
  }
}

/// `bcfg2-info profiletemplates`.
struct ProfileTemplates: InfoMode {
  static let configuration = CommandConfiguration(
    commandName: "profiletemplates", abstract: "Benchmark template rendering times.",
    discussion: """
      Renders each template of Path entries for each client, as often as --runs says, in the server's renderers and without their \
      cache. Times are seconds of waiting.
      """)
  static let completions: [Completion] = [.path]

  @ArgumentParser.Option(help: "Benchmark templates for the named clients; names or globs between commas.")
  var clients: String?

  @ArgumentParser.Option(help: "Number of rendering passes per template.")
  var runs = 5

  @Argument(help: "Profile the named templates instead of all templates: names of Path entries.")
  var templates: [String] = []

  @ArgumentParser.OptionGroup var common: InfoArguments

  private struct Row: Encodable {
    let template: String
    let mean: Double
    let median: Double
    let sigma: Double
    let runs: Int
    let failures: Int
  }

  func validate() throws {
    guard (1...10_000).contains(runs) else { throw ArgumentParser.ValidationError("--runs: 1 to 10000") }
  }

  func run(_ context: InfoContext) async throws -> Int32 {
    var times: [String: [Double]] = [:]
    var failures: [String: Int] = [:]
    let globs = (clients ?? "").split(separator: ",").map(String.init)
    for host in try await context.clients(globs) {
      let metadata = try await context.metadata(host)
      let core = context.core
      for entry in try await core.getStructures(metadata).flatMap({ $0.children(tagged: "Path") }) {
        guard let name = entry.name, templates.isEmpty || templates.contains(name) else { continue }
        for generator in core.interfaces.templateGenerators {
          let looked = entry["altsrc"] ?? name
          guard let request = generator.templateRequest(tag: entry.tag, name: looked, realName: name, metadata) else {
            continue
          }
          for _ in 0..<runs {
            // Nothing that was rendered before is used.
            core.templates.forgetResults()
            let start = MonotonicTime.now()
            do {
              _ = try await core.templates.render(request, metadata)
              times[name, default: []].append((MonotonicTime.now() - start).inSeconds)
            } catch {
              failures[name, default: 0] += 1
              break
            }
          }
        }
      }
    }
    let rows = Set(times.keys).union(failures.keys).map { name in
      Self.row(name, times[name] ?? [], failures[name] ?? 0)
    }.sorted { ($1.mean, $0.template) < ($0.mean, $1.template) }
    if common.json {
      try context.printJSON(rows)
      return 0
    }
    context.print("\("Template".padded(50)) Mean Time  Median Time  \(String(repeating: " ", count: 5))σ")
    for row in rows {
      let cells = [(row.mean, 9), (row.median, 11), (row.sigma, 6)].map { value, width in
        Decimals.text(value, 4).padded(width, isRight: true)
      }
      let failed = row.failures > 0 ? "  failed for \(row.failures) clients" : ""
      context.print("\(row.template.padded(50)) \(cells.joined(separator: "  "))\(failed)")
    }
    return 0
  }

  private static func row(_ name: String, _ times: [Double], _ failures: Int) -> Row {
    guard !times.isEmpty else {
      return Row(template: name, mean: 0, median: 0, sigma: 0, runs: 0, failures: failures)
    }
    let mean = times.reduce(0, +) / Double(times.count)
    let variance = times.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(times.count)
    return Row(
      template: name, mean: mean, median: times.sorted()[times.count / 2], sigma: variance.squareRoot(),
      runs: times.count, failures: failures)
  }
}

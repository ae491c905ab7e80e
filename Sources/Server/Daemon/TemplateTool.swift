import Core
import EventLoop
import Glibc
import Logging
import Repository
public import ServerSettings
import Templates

/// `bcfg2-server --render FILE --client NAME`: renders one template as the server would, and prints what it read.
///
/// It reads the repository as a server does, serves nobody, and writes nothing: it does not disturb a running server.
public enum TemplateTool {
  /// Passes log records about the template: its own messages and output, and warnings that name its file.
  private nonisolated final class TemplateLog: LogSink {
    let name = "console"
    private let path: String
    private let console = ConsoleLog()

    init(_ path: String) { self.path = path }

    var dropped: Int { console.dropped }

    func write(_ record: LogRecord) {
      // The error that ends the command has the reason, too.
      if record.message.hasPrefix("\(path): Failed to load template: ") { return }
      let isWarning = record.level.rank >= Logger.Level.warning.rank
      if record.label == "Templates" || (isWarning && record.message.contains(path)) { console.write(record) }
    }
  }

  /// Prints the output on standard output and the data read on standard error. Returns the exit status: 0, or 1 if the
  /// template failed.
  ///
  /// - Throws: `SettingsError`.
  public static func run(_ options: CommandLineOptions, file: String, client: String) throws -> Int32 {
    let settings = try ReadingCore.settings(options)
    let path = path(file, settings)
    // Progress and messages about other files show at verbose levels only.
    let level = LogSetup.level(settings)
    if level == .warning {
      Log.router.configure([(TemplateLog(path), .info)], standard: .info)
    } else {
      Log.router.configure([(ConsoleLog(), level)], standard: level)
    }
    return try Reactor.runAsCommand { loop in
      do {
        return try await ReadingCore.with(settings, on: loop) { try await render(path, client, $0) }
      } catch {
        ReadingCore.printError("bcfg2-server: \(error)")
        return 1
      }
    }
  }

  /// The absolute path of a file given relative to the working folder or the repository.
  private static func path(_ file: String, _ settings: Settings) -> String {
    let repository = settings.repository
    guard !file.hasPrefix(repository + "/") else { return RepositoryPath.normalised(file) }
    // The repository may be reached by a link.
    if let real = realPath(file), let root = realPath(repository), real.hasPrefix(root + "/") {
      return repository + real.dropFirst(root.count)
    }
    return RepositoryPath.normalised(file.hasPrefix("/") ? file : repository + "/" + file)
  }

  private static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private static func render(_ path: String, _ client: String, _ core: ServerCore) async throws -> Int32 {
    let request = try request(path, core)
    let metadata = try await core.buildMetadata(try ReadingCore.client(client, core))
    core.templates.onReport = { reported, report in if reported == path { printReport(report) } }
    guard let output = try await core.templates.render(request, metadata) as? Output else { return 1 }
    var rest = output.bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw SystemError(call: "write", errno: errno, detail: "standard output") }
      rest = rest.dropFirst(count)
    }
    return 0
  }

  /// The request to render a file as its plugin does, or as an XML template.
  ///
  /// - Throws: `PluginExecutionError` if the server would not render the file; `SystemError` or `XMLFileError` if it cannot
  ///   be read.
  private static func request(_ path: String, _ core: ServerCore) throws -> TemplateRenderer.Request {
    for generator in core.interfaces.templateGenerators {
      if let request = generator.templateRequest(path: path) { return request.making { Output($0) } }
    }
    let bytes = try AtomicFile.readFile(path, limitBytes: RepositoryXML.fileLimitBytes)
    let noTemplate = PluginExecutionError("\(path) is no template of the repository \(core.settings.repository)")
    let isXML = path.hasSuffix(".xml") || path.hasSuffix(".genshi")
    guard path.hasPrefix(core.settings.repository + "/"), isXML else { throw noTemplate }
    let document = try RepositoryXML.parse(bytes, path: path)
    guard path.hasSuffix(".genshi") || document.namespaces["py"] == GenshiText.namespace else { throw noTemplate }
    guard core.settings.compatibility != .v1_3 || core.templates.checks.hasGathered(path) else {
      throw PluginExecutionError("\(path) is no template with [server] compatibility = 1.3")
    }
    let source = TemplateSource(path: path)
    source.update(bytes)
    return TemplateRenderer.Request(
      kind: .xml, source: source, entryName: nil, limitBytes: TemplateRenderer.xmlLimitBytes
    ) { Output($0) }
  }

  private final class Output {
    let bytes: [UInt8]
    init(_ bytes: [UInt8]) { self.bytes = bytes }
  }

  private static func printReport(_ report: TemplateRenderer.Report) {
    for question in report.questions { ReadingCore.printError("read: \(description(question))") }
    if report.isRepeatable {
      ReadingCore.printError("repeatable: reused for clients with the same answers, until the data read changes")
    } else if report.reasons.isEmpty {
      ReadingCore.printError("not repeatable: nothing is recorded ([templates] cache, or a Python before 3.8)")
    }
    for reason in report.reasons { ReadingCore.printError("not repeatable: \(reason)") }
  }

  /// A question of a trace as readable text.
  static func description(_ question: TemplateValue) -> String {
    let words = (question.list ?? []).map { word in word.text ?? "\(word.texts)" }
    switch (words.first, words.count) {
    case ("file", 2): return words[1]
    case ("of", 3...):
      let of = words[1].isEmpty ? "metadata" : "metadata of \(words[1])"
      switch (words[2], words.count) {
      case ("in", 5): return "\(of): is \(words[4]) in \(words[3])"
      case ("category", 4): return "\(of): categories[\(words[3])]"
      case ("item", 5): return "\(of): \(words[3])[\(words[4].drop { $0 == "\0" })]"
      case ("keys", 4): return "\(of): names in \(words[3])"
      case ("connector", 4): return "\(of): \(words[3])"
      default: return "\(of): \(words[2])"
      }
    case ("query", 2...): return "metadata.query.\(words[1])(\(words[2...].joined(separator: ", ")))"
    case ("client", 2): return "metadata.query.by_name(\(words[1]))"
    default: return "data of several clients"
    }
  }
}

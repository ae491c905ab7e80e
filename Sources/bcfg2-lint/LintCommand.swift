import Commands
import EventLoop
import Glibc
import Lint
import Logging
import Server
import ServerSettings

/// Reads the settings, runs the checks and prints what they found.
@MainActor
struct LintCommand {
  private let arguments: Arguments
  private let settings: Settings
  private let configuration: LintConfiguration
  private let plugins: [LintPlugin]
  private let messages = GatheredLog()

  /// - Throws: `SettingsError`; `SystemError` if the log cannot be opened.
  init(_ arguments: Arguments) throws {
    self.arguments = arguments
    settings = try ReadingCore.settings(arguments.options)
    // What the server says is a finding, and printed as one.
    Log.router.configure([(messages, .info)], standard: .info)
    let file = try Self.configurationFile(settings, arguments)
    configuration = LintConfiguration(file)
    plugins = try Self.plugins(arguments, configuration, settings)
  }

  /// bcfg2.conf, and over it bcfg2-lint.conf, which need not be there.
  private static func configurationFile(_ settings: Settings, _ arguments: Arguments) throws -> INIFile {
    var file = try INIFile(path: settings.configurationFile)
    let path = arguments.lintConfiguration ?? LintConfiguration.standardFile
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try RegularFile.read(path, limitBytes: 1 << 20)
    } catch {
      if arguments.lintConfiguration != nil || error.errno != ENOENT {
        Output.printError("Could not read \(path): \(error.reason)")
      }
      return file
    }
    try file.read(bytes: bytes, path: path)
    return file
  }

  private static func plugins(
    _ arguments: Arguments, _ configuration: LintConfiguration, _ settings: Settings
  ) throws -> [LintPlugin] {
    let typed = arguments.plugins + (arguments.lintPlugins?.split(separator: ",").map(String.init) ?? [])
    let configured = typed.isEmpty ? try configuration.plugins() : typed
    guard let names = configured, !names.isEmpty else { return LintPlugin.standard(for: settings.plugins) }
    for name in names where !LintPlugin.all.contains(where: { $0.name == name }) {
      Output.printError("\(Bcfg2Lint.program): there is no check \(name)")
    }
    return LintPlugin.all.filter { names.contains($0.name) }
  }

  /// - Returns: the exit status.
  func run() throws -> Int32 {
    let severities = LintPlugin.severities(plugins, try configuration.severities())
    let format = arguments.printsJSON ? .json : arguments.format
    if arguments.listsErrors {
      if format == .json { Output.print(MachineOutput.json(severities)) } else { list(severities) }
      return 0
    }
    guard !plugins.isEmpty else {
      Output.printError("No lint plugins loaded!")
      return Exit.failed
    }
    let report = LintReport(severities: severities)
    if format == .text { report.onFinding = printer() }
    let schemas =
      try (arguments.schemaFolder ?? configuration.schemaFolder()).map { SchemaFolder(path: $0) }
      ?? SchemaFolder.standard()
    let files = arguments.readsFiles ? Self.lines() : nil
    for name in files ?? [] where !fileExists(name) && !fileExists("\(settings.repository)/\(name)") {
      Output.printError("\(Bcfg2Lint.program): \(VisibleText.escaped(name)) does not exist")
    }
    let context = LintContext(
      settings: settings, configuration: configuration, schemas: schemas, report: report, messages: messages,
      files: files)
    return try Reactor.runAsCommand { [plugins] loop in
      var run = LintRun(plugins, context)
      do {
        try await run.run(on: loop)
      } catch {
        Output.printError("\(Bcfg2Lint.program): \(error)")
        return Exit.failed
      }
      finish(report, format, isCutShort: run.isCutShort)
      return report.errorCount > 0 ? Exit.errors : report.warningCount > 0 ? Exit.warnings : 0
    }
  }

  private func printer() -> (Finding) -> Void {
    let output = TextOutput(width: TextOutput.terminalWidth)
    return { [isDebug = arguments.isDebug] finding in
      guard finding.severity != .silent || isDebug else { return }
      for line in output.lines(finding) { Output.printError(line) }
      if isDebug { Output.printError("    (\(finding.name))") }
    }
  }

  private func finish(_ report: LintReport, _ format: OutputFormat, isCutShort: Bool) {
    let output = MachineOutput(report.findings, folder: Self.workingFolder)
    let note = "Serverless plugins encountered errors, skipping server plugins"
    if isCutShort { if format == .text { Output.print(note) } else { Output.printError(note) } }
    switch format {
    case .json: Output.print(output.json)
    case .sarif: Output.print(output.sarif(version: ServerVersion.text))
    case .github: Output.print(output.annotations)
    case .text:
      if report.errorCount + report.warningCount > 0 || arguments.isVerbose || settings.verbose {
        Output.print("\(report.errorCount) errors")
        Output.print("\(report.warningCount) warnings")
      }
    }
  }

  private func list(_ severities: [String: Severity]) {
    func row(_ name: String, _ handler: String) -> String { Self.padded(name) + " " + Self.padded(handler) }
    Output.print(row("Error name", "Handler"))
    for (name, severity) in severities.sorted(by: { $0.key < $1.key }) { Output.print(row(name, severity.handler)) }
  }

  private static func padded(_ text: String) -> String {
    text + String(repeating: " ", count: max(0, 35 - text.utf8.count))
  }

  /// Lines of standard input that are not blank.
  private static func lines() -> [String] {
    var lines: [String] = []
    while let line = readLine() {
      let name = line.drop { $0.isWhitespace }
      if !name.isEmpty { lines.append(String(name)) }
    }
    return lines
  }

  private static var workingFolder: String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
  }
}

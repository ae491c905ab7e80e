import ArgumentParser
import Commands
import Core
import EventLoop
import Glibc
import Identity
import ServerSettings

/// A mode of `bcfg2-info`: what follows the name of the command, or a line of its shell.
protocol InfoMode: ParsableCommand {
  var common: InfoArguments { get }

  /// Where the mode can be used.
  static var place: ModePlace { get }
  /// What the shell completes, for each argument; the last counts for all that follow.
  static var completions: [Completion] { get }
  /// The same for the values of options, by the options as they are typed.
  static var optionCompletions: [String: Completion] { get }
  /// The part of the work that this process is for; nil: it is no worker.
  var workerPart: WorkPart? { get }
  /// Whether errors of the repository are not told in the log: they are told otherwise.
  static var isQuiet: Bool { get }

  /// Opens what the mode writes, before a process of root becomes that of the server's user.
  @MainActor func prepare(_ files: OutputFiles) throws
  /// The configuration files that another process gave to this one; nil: it reads those of the disk.
  func configurationFiles() throws -> ConfigurationFiles?
  /// Changes the options that the core of this process has.
  func adapt(_ options: inout CommandLineOptions)
  /// Has the work done by other processes, before a core is made here.
  ///
  /// - Returns: the exit status; nil for a mode that needs a core here.
  @MainActor func distribute(_ start: InfoStart) async throws -> Int32?
  /// - Returns: the exit status.
  /// - Throws: `InfoProblem` for what is to be told to the administrator alone.
  @MainActor func run(_ context: InfoContext) async throws -> Int32
}

extension InfoMode {
  static var place: ModePlace { .everywhere }
  static var completions: [Completion] { [] }
  static var optionCompletions: [String: Completion] { [:] }
  static var isQuiet: Bool { false }
  var workerPart: WorkPart? { nil }
  func prepare(_ files: OutputFiles) throws {}
  func configurationFiles() throws -> ConfigurationFiles? { nil }
  func adapt(_ options: inout CommandLineOptions) {}
  func distribute(_ start: InfoStart) async throws -> Int32? { nil }

  /// Runs the mode; where it fails, nothing is left of folders that it has made for what it did not write.
  @MainActor func perform(_ context: InfoContext) async throws -> Int32 {
    do {
      let status = try await run(context)
      if status != 0 { context.files.removeEmptyFolders() }
      return status
    } catch {
      context.files.removeEmptyFolders()
      throw error
    }
  }
}

/// What a mode has before there is a core.
struct InfoStart {
  let settings: Settings
  /// The options before the mode.
  let options: CommandLineOptions
  let loop: Reactor
}

/// Exit statuses.
enum InfoStatus {
  static let failed: Int32 = 1
  /// A wrong command line.
  static let usage: Int32 = 2
}

/// Where a mode can be used.
enum ModePlace { case everywhere, shell, commandLine }

/// Options that all modes have: those of `SharedArguments`, side by side for the same reason, and `--json`.
struct InfoArguments: ModeArguments {
  @ArgumentParser.OptionGroup var configuration: ConfigurationArguments
  @ArgumentParser.OptionGroup var repository: RepositoryArguments
  @ArgumentParser.OptionGroup var debug: DebugArguments
  @ArgumentParser.OptionGroup var log: LogFileArguments

  @Flag(help: "Print JSON.")
  var json = false

  func adding(to options: CommandLineOptions) -> CommandLineOptions {
    log.adding(to: debug.adding(to: repository.adding(to: configuration.adding(to: options))))
  }
}

/// The reason for a status of 1, as Bcfg2 says it on standard output.
struct InfoProblem: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// What a mode works with.
@MainActor
final class InfoContext {
  let core: ServerCore
  let files: OutputFiles
  /// Unknown clients that were told of.
  private var strangers: Set<String> = []
  let isInteractive: Bool
  /// The options before the mode, for processes that do a part of the work.
  let options: CommandLineOptions
  private let write: @MainActor (String) -> Void
  private let writeError: @MainActor (String) -> Void

  init(
    core: ServerCore, files: OutputFiles = OutputFiles(), options: CommandLineOptions = CommandLineOptions(),
    isInteractive: Bool = false, write: @escaping @MainActor (String) -> Void = { Output.write($0) },
    writeError: @escaping @MainActor (String) -> Void = { Output.writeError($0) }
  ) {
    self.core = core
    self.files = files
    self.options = options
    self.isInteractive = isInteractive
    self.write = write
    self.writeError = writeError
  }

  /// The same context with another place for what is printed.
  func printing(to write: @escaping @MainActor (String) -> Void, isInteractive: Bool? = nil) -> InfoContext {
    InfoContext(
      core: core, files: files, options: options, isInteractive: isInteractive ?? self.isInteractive, write: write,
      writeError: writeError)
  }

  /// Prints text as it is.
  func printText(_ text: String) { write(text) }

  func print(_ line: String) { write(line + "\n") }

  /// Prints a line on standard error.
  func printError(_ line: String) { writeError("\(InfoCommand.program): \(VisibleText.escaped(line))\n") }

  func printJSON(_ value: some Encodable) throws { write(try Output.json(value) + "\n") }

  /// A client by its name. One that is not known yet is shown as the server would add it, and told of once.
  ///
  /// - Throws: `InfoProblem` for what is no name of a client.
  func client(_ name: String) throws -> ClientName {
    do {
      let client = try ClientName(recorded: name)
      if core.metadata.knowsClient(client) { return client }
      // The server adds no others.
      let stranger = try ClientName(name)
      if strangers.insert(name).inserted { printError(Self.unknown(name)) }
      return stranger
    } catch {
      throw InfoProblem("\(name) is no name of a client: \(error)")
    }
  }

  static func unknown(_ name: String) -> String {
    "there is no client \(name): it is shown as the server would add it"
  }

  func metadata(_ name: String) async throws -> ClientMetadata { try await core.buildMetadata(try client(name)) }
}

/// Files that modes write.
@MainActor
final class OutputFiles {
  private var opened: [String: Int32] = [:]
  /// Folders that were made, those above others first.
  private var made: [String] = []
  /// Lines of earlier shells.
  var history: ShellHistory?
  /// Says who this process becomes when it is root's; nil: it stays what it is.
  var settings: Settings?

  /// Opens a file, which is emptied. A new one is for its user alone, because configurations hold secrets.
  ///
  /// - Throws: `InfoProblem`.
  func open(_ path: String) throws {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.problem(path) }
    opened[path] = descriptor
  }

  /// Makes a folder, if it is not there, for the user that this process becomes, and for nobody else: configurations hold
  /// secrets.
  ///
  /// - Throws: `InfoProblem`.
  func makeFolder(_ path: String) throws {
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw InfoProblem("Could not create \(path): it is no folder") }
      return
    }
    let parent = path.split(separator: "/").dropLast().joined(separator: "/")
    if !parent.isEmpty { try makeFolder((path.hasPrefix("/") ? "/" : "") + parent) }
    if mkdir(path, 0o700) == 0 {
      made.append(path)
    } else if errno != EEXIST {
      throw InfoProblem("Could not create \(path): \(String(cString: strerror(errno)))")
    }
    if let settings, geteuid() == 0 {
      try? RootFiles.give(path, kind: S_IFDIR, to: settings.user, group: settings.group)
    }
  }

  /// Removes the folders again that were made and have nothing in them: the mode has failed before it wrote something.
  func removeEmptyFolders() {
    // One that has something stays, as does one in a folder in which this process may remove nothing.
    for path in made.reversed() { rmdir(path) }
    made = []
  }

  /// Writes and closes a file; opens it first if nobody has.
  ///
  /// - Throws: `InfoProblem`.
  func write(_ bytes: [UInt8], to path: String) throws {
    if opened[path] == nil { try open(path) }
    guard let descriptor = opened.removeValue(forKey: path) else { return }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        let problem = Self.problem(path)
        close(descriptor)
        throw problem
      }
      rest = rest.dropFirst(count)
    }
    guard close(descriptor) == 0 else { throw Self.problem(path) }
  }

  private static func problem(_ path: String) -> InfoProblem {
    InfoProblem("Failed to write \(path): \(String(cString: strerror(errno)))")
  }
}

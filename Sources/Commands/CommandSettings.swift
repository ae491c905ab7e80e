import Core
import EventLoop
import Glibc
import Logging
import Plugins
import Server
public import ServerSettings

/// The settings of a command: a process that serves nobody and says what it has to say on the terminal.
public enum CommandSettings {
  /// Reads bcfg2.conf as the server does. Run by root, the process becomes the server's user, so that the server can change what
  /// the command makes.
  ///
  /// - Parameters:
  ///   - groups: further options that the command reads.
  ///   - keepsUser: whether root stays root: for commands that change no file of the server.
  ///   - tellsWarnings: whether to say what the server would warn of in bcfg2.conf.
  /// - Throws: `SettingsError`; `SystemError` if privileges cannot be dropped.
  public static func load(
    _ options: CommandLineOptions, program: String, adding groups: [any OptionGroup] = [], keepsUser: Bool = false,
    tellsWarnings: Bool = true
  ) throws -> Settings {
    let settings = try Settings.load(options, registry: PluginRegistry.standard.settings.adding(groups))
    options.hideSecrets()
    if geteuid() == 0, !keepsUser { try Privileges.drop(user: settings.user, group: settings.group) }
    let level = LogSetup.level(settings)
    Log.router.configure([(ConsoleLog(), level)], standard: level)
    LoggingSystem.bootstrap { Log.router.handler(label: $0) }
    for warning in settings.warnings where tellsWarnings { Logger(label: program).warning("\(warning)") }
    return settings
  }

  /// The version, as `--version` prints it.
  public nonisolated static func version(of program: String) -> String { "\(program) \(ServerVersion.text)" }
}

/// Standard output and standard error of a command.
public nonisolated enum Output {
  /// Writes text to standard output, all of it. A reader that ended ends the process by SIGPIPE.
  public static func write(_ text: String) { write(text, to: STDOUT_FILENO) }

  /// Writes bytes to standard output, all of them.
  public static func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0, to: STDOUT_FILENO) } }

  private static func write(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { write(UnsafeRawBufferPointer($0), to: descriptor) }
  }

  private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) {
    var rest = bytes
    while !rest.isEmpty {
      let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        // A full disk behind standard output: what was asked for was not given.
        if descriptor == STDOUT_FILENO {
          if errno == EPIPE {
            // Also where a core has SIGPIPE ignored.
            signal(SIGPIPE, SIG_DFL)
            raise(SIGPIPE)
          }
          printError("standard output: \(String(cString: strerror(errno)))")
          _exit(1)
        }
        return
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Writes a line.
  public static func print(_ line: String) { write(line + "\n") }

  /// Writes lines at once.
  public static func print(_ lines: [String]) {
    if !lines.isEmpty { write(lines.joined(separator: "\n") + "\n") }
  }

  /// Writes text to standard error as it is.
  public static func writeError(_ text: String) { write(text, to: STDERR_FILENO) }

  /// Writes a line on standard error.
  public static func printError(_ line: String) {
    write(line.hasSuffix("\n") ? line : line + "\n", to: STDERR_FILENO)
  }
}

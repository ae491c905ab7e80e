#if Web
  import ArgumentParser
  import Databases
  import Glibc
  import Logging
  import Plugins
  import ReportWeb
  import Server
  import ServerSettings
  import Synchronization

  /// `bcfg2-web`: serves the report pages.
  @main
  struct Bcfg2Web: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "bcfg2-web", abstract: "Serves what clients reported as web pages.",
      discussion: """
        It reads the database that bcfg2.conf names, and listens where [reporting] web_listen says. See docs/web.md.

        Exit status: 0 after SIGTERM or SIGINT, 1 if it cannot listen, 2 for a wrong command line or configuration.
        """,
      version: "bcfg2-web \(ServerVersion.text)")

    @ArgumentParser.Option(name: [.customShort("C"), .customLong("config")], help: "Configuration file.")
    var configuration: String?

    @ArgumentParser.Option(
      name: [.customShort("W"), .customLong("web-config")],
      help: "Configuration file to read in place of bcfg2.conf, which has the server's password.")
    var webConfiguration: String?

    @ArgumentParser.Option(help: "Address and port to listen on, in place of [reporting] web_listen.")
    var listen: String?

    @ArgumentParser.Flag(name: [.customShort("v"), .long], help: "Log changes of clients.")
    var verbose = false

    @ArgumentParser.Flag(name: [.customShort("d"), .long], help: "Log each request.")
    var debug = false

    static func main() async {
      do {
        try await parse().run()
      } catch {
        guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
        StandardErrorLog.write(Array((fullMessage(for: error) + "\n").utf8))
        exit(withError: ExitCode(2))
      }
    }

    func run() async throws {
      var logger = Logger(label: "bcfg2-web") { StandardErrorLog(label: $0) }
      logger.logLevel = debug ? .debug : verbose ? .info : .notice
      let settings: WebSettings
      do {
        let typed = WebConfiguration.Arguments(
          configuration: configuration, webConfiguration: webConfiguration, listen: listen)
        settings = try await WebConfiguration.read(typed, logger)
        try WebServer(settings, logger: logger).check()
      } catch {
        logger.error("\(error)")
        throw ExitCode(2)
      }
      // A connection that ends while it is written to is an error of that connection.
      signal(SIGPIPE, SIG_IGN)
      let manager = NotifySocket(ServiceEnvironment.take().notifySocket)
      let notice = logger
      let address = settings.address.contains(":") ? "[\(settings.address)]" : settings.address
      do {
        try await WebServer(settings, logger: logger).run { port in
          let place = "http://\(address):\(port)\(settings.prefix)/"
          notice.notice("serves \(place)")
          manager.send(["READY=1", NotifySocket.status("Serving \(place)")])
        }
        manager.send(["STOPPING=1"])
      } catch {
        logger.error("\(address):\(settings.port): \(error)")
        throw ExitCode(1)
      }
    }
  }

  /// Writes lines on standard error, where systemd's journal takes them.
  struct StandardErrorLog: LogHandler {
    let label: String
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    private static let isJSON = Atomic<Bool>(false)

    /// Writes lines as `[logging] format` says.
    static func use(_ format: LogFormat) { isJSON.store(format == .json, ordering: .relaxed) }

    init(label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      if Self.isJSON.load(ordering: .relaxed) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let record = LogRecord(
          level: event.level, label: label, message: "\(event.message)", fields: fields.map { ($0.key, $0.value) },
          file: event.file, line: event.line)
        return Self.write(record.jsonLine)
      }
      let level = event.level >= .warning ? "\(event.level): " : ""
      Self.write(LogRecord(level: event.level, label: label, message: "\(label): \(level)\(event.message)").consoleLine)
    }

    /// Writes a line, with its end.
    static func write(_ line: [UInt8]) {
      _ = line.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
  }
#else
  import Glibc

  /// Built without the trait Web.
  @main
  enum Bcfg2Web {
    static func main() {
      var line = "bcfg2-web: this program was built without the trait Web, and so without pages\n"
      line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
      exit(1)
    }
  }
#endif

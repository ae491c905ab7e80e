#if Web
  import Commands
  import Core
  import Databases
  import Glibc
  import Logging
  import Plugins
  import ReportWeb
  import ServerSettings

  /// Makes `WebSettings` of bcfg2.conf and the command line.
  enum WebConfiguration {
    /// What was typed.
    struct Arguments: Sendable {
      var configuration: String?
      var webConfiguration: String?
      var listen: String?
    }

    struct Failure: Error, CustomStringConvertible {
      var description: String
    }

    /// Reads the configuration: of `-W` alone, or of bcfg2.conf and the further file that it names. Where bcfg2.conf cannot be read, as by the
    /// user of a web server, the further file's standard place is tried.
    @MainActor static func read(_ command: Arguments, _ logger: Logger) throws -> WebSettings {
      var line = CommandLineOptions()
      line.configurationFile = command.webConfiguration ?? command.configuration
      let standard = ReportingOptions.standard.furtherFile.definition.standard ?? "/etc/bcfg2-web.conf"
      if line.configurationFile == nil, getenv("BCFG2_CONFIG_FILE") == nil, getenv("BCFG2_CONFIG") == nil,
        access("/etc/bcfg2.conf", R_OK) != 0, access(standard, R_OK) == 0
      {
        line.configurationFile = standard
      }
      let settings = try Settings.load(line, registry: PluginRegistry.standard.settings)
      StandardErrorLog.use(settings.logFormat)
      // With -W nobody else tells of a misspelt option, be it one that says who may look.
      for warning in settings.warnings where !warning.isOfServing { logger.warning("\(warning)") }
      try settings.useReportZone()
      return try web(settings, listen: command.listen, logger)
    }

    private static func web(_ settings: Settings, listen: String?, _ logger: Logger) throws -> WebSettings {
      let options = ReportingOptions.standard
      var web = WebSettings(database: try settings.reportingDatabase)
      let text = listen ?? settings[options.webListen]
      guard let place = WebSettings.listen(text) else {
        throw Failure(description: "[reporting] web_listen: \(text) is not ADDRESS:PORT, [ADDRESS]:PORT or a port")
      }
      (web.address, web.port) = place
      web.prefix = WebSettings.prefix(settings[options.webPrefix] ?? "")
      web.hosts = settings[options.webHosts]
      switch settings[options.webAuthentication] {
      case "basic":
        guard let file = settings[options.webUsers] else {
          throw Failure(
            description: "[reporting] web_auth = basic needs web_users, a file of users and hashed passwords")
        }
        web.authentication = .basic(usersFile: file)
      case "header":
        let proxies = try settings[options.webProxies].map { text in
          guard let address = WebSettings.address(text) else {
            throw settings.wrongValue(options.webProxies, value: text, allowed: "addresses, no names and no networks")
          }
          return address
        }
        web.authentication = .header(name: settings[options.webHeader], proxies: proxies)
      default:
        if !web.isLoopback {
          logger.warning(
            "\(web.address) is not loopback and [reporting] web_auth is none: everyone who reaches it sees all reports")
        }
      }
      return web
    }
  }
#endif

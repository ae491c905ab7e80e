import Core
import Plugins
public import ServerSettings

/// What will differ for an installation of Bcfg2 1.3 or 1.4 with this server, as `bcfg2-admin migrate` says it.
public struct Migration {
  public nonisolated enum Level: String, Sendable, Encodable {
    /// Clients or administrators lose something, or the server does not start.
    case lost
    /// Something is done otherwise.
    case differs
    /// Good to know, or to do once.
    case note
  }

  public nonisolated struct Finding: Sendable, Hashable, Encodable {
    /// A file with its line, a file, or a folder.
    public let place: String
    public let level: Level
    public let text: String

    /// `PLACE: LEVEL: TEXT`.
    public var line: String { "\(place): \(level.rawValue): \(text)" }
  }

  public private(set) var findings: [Finding] = []
  /// What only 1.3 has, by the first place of each kind.
  private(set) var signsOf13: [String] = []

  public init() {}

  /// Looks at bcfg2.conf and at the repository that it names.
  ///
  /// - Parameter options: of the command line.
  /// - Throws: `SettingsError` for a file that cannot be read at all.
  public mutating func examine(_ options: CommandLineOptions) throws(SettingsError) {
    let registry = PluginRegistry.standard.settings
    let settings: Settings
    do throws(SettingsError) {
      settings = try Settings.load(options, registry: registry)
    } catch {
      if case .unreadable = error { throw error }
      add("bcfg2.conf", .lost, "the server does not start with it: \(error)")
      return
    }
    for warning in settings.warnings { add(warning.origin.description, .differs, warning.text) }
    var configuration = ConfigurationReview(settings)
    configuration.review(try INIFile(path: settings.configurationFile))
    findings += configuration.findings
    signsOf13 += configuration.signsOf13
    var repository = RepositoryReview(settings)
    repository.review()
    findings += repository.findings
    signsOf13 += repository.signsOf13
    advise(settings)
  }

  private mutating func advise(_ settings: Settings) {
    let isSet = settings.origin(of: "server", "compatibility") != .builtIn
    if let sign = signsOf13.first, !isSet {
      let more = signsOf13.count > 1 ? " and \(signsOf13.count - 1) more" : ""
      add(
        settings.configurationFile, .differs,
        "this looks like a site of 1.3 (\(sign)\(more)): set [server] compatibility = 1.3, or these are not used")
    }
    guard settings.plugins.contains("Probes") else { return }
    add(
      settings.configurationFile, .note,
      "probe data of clients goes to Probes/probed.d; stop this server before going back to Bcfg2's: that updates probed.xml"
    )
  }

  mutating func add(_ place: String, _ level: Level, _ text: String) {
    findings.append(Finding(place: place, level: level, text: text))
  }
}

import Core
import EventLoop
import Glibc
import Logging
import PackageFetching
import PackageSources
import Plugins
import Server
import ServerSettings

/// What bcfg2.conf and sources.xml say, read as the server reads them.
@MainActor
struct ToolSettings {
  let settings: Settings
  let cache: PackageCache

  /// Reads bcfg2.conf. Run by root, as from cron, the process becomes the server's user, so that the server can change the
  /// files later.
  ///
  /// - Throws: `SettingsError`; `SystemError` if privileges cannot be dropped.
  init(_ arguments: CommonArguments) throws {
    settings = try Settings.load(arguments.options, registry: PluginRegistry.standard.settings)
    if geteuid() == 0 { try Privileges.drop(user: settings.user, group: settings.group) }
    cache = PackageCache(folder: settings[PackagesOptions.standard.cache])
  }

  /// The sources of sources.xml.
  func sources() throws -> [PackageSource] {
    try SourcesFile.read(settings, logger: Logger(label: "Packages"))
  }

  /// How they are fetched.
  var fetching: FetchOptions {
    let options = PackagesOptions.standard
    var fetching = FetchOptions()
    fetching.verification = settings[options.verification] == .required ? .required : .ifPossible
    fetching.parallel = settings[options.fetchParallel]
    fetching.parallelPerServer = min(fetching.parallel, fetching.parallelPerServer)
    fetching.connectTimeout = settings[options.fetchTimeout]
    fetching.stallTimeout = settings[options.fetchTimeout]
    // The rest is for making the indexes, before the server ends the program.
    fetching.totalTimeout = settings[options.fetchLimit] * 0.9
    fetching.limitBytes = settings[options.fetchBytes]
    fetching.userAgent = "bcfg2-packages/\(ServerVersion.text)"
    return fetching
  }
}

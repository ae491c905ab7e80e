package import PackageSources
package import ServerSettings

/// `[packages]`, `[packages:yum]` and `[packages:pulp]`, of the plugin and of `bcfg2-packages`.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Packages/__init__.py and Yum.py, of 1.4 and 1.3.4.
package nonisolated struct PackagesOptions: OptionGroup {
  package static let standard = PackagesOptions()

  /// Texts of `resolver` and `metadata`. Which of them turn something off depends on the version: see `PackagesSwitches`.
  private static let switches = ["true", "false", "enabled", "disabled", "yes", "no", "on", "off", "1", "0"]

  package let backends = Option(
    "packages", "backends", .commaList, default: "Yum,Apt,Pac,Pkgng", .only1_4, help: "Kinds of package sources")
  package let resolver = Option(
    "packages", "resolver", .choiceInAnyCase(switches), default: "true", help: "Resolve dependencies of packages")
  package let metadata = Option(
    "packages", "metadata", .choiceInAnyCase(switches), default: "true", help: "Read the metadata of package sources")
  package let cache = Option(
    "packages", "cache", .path, default: "<repository>/Packages/cache", help: "Folder of the package caches")
  package let version = Option(
    "packages", "version", .choice(["auto", "any"]), default: "auto", help: "Version attribute of Package entries")
  package let yumConfig = Option(
    "packages", "yum_config", .path, default: "/etc/yum.repos.d/bcfg2.repo", help: "Path of generated yum sources")
  package let aptConfig = Option(
    "packages", "apt_config", .path, default: "/etc/apt/sources.list.d/bcfg2-packages-generated-sources.list",
    help: "Path of generated APT sources")
  package let usesMagicGroups = Option(
    "packages", "magic_groups", .boolean, default: "false", .only1_3, help: "Match sources by groups of their names")
  package let solver = Option(
    "packages", "solver", .choice(SolverChoice.self), default: "bcfg2", .ours,
    help: "How dependencies are resolved: as Bcfg2 does, or strictly as the packages say")
  package let verification = Option(
    "packages", "verify", .choice(SourceVerification.self), default: "if-possible", .ours,
    help: "Signatures of sources: required refuses a source without a key or without a signature")
  package let refreshInterval = Option(
    "packages", "refresh", .timeout, default: "0", .ours,
    help: "Seconds after which all sources are fetched again; 0 for never, as with Bcfg2, where cron does it")
  package let program = Option(
    "packages", "fetch_program", .path, .ours,
    help: "The program that fetches sources; default: bcfg2-packages beside the server's executable")
  package let fetchLimit = Option(
    "packages", "fetch_limit", .seconds, default: "3600", .ours,
    help: "Seconds after which a fetch of all sources is ended")
  package let firstFetchWait = Option(
    "packages", "first_fetch_wait", .seconds, default: "60", .ours,
    help: "Seconds that a client waits for sources that are fetched for the first time")

  package let fetchParallel = Option(
    "packages", "fetch_parallel", .integer(1...64), default: "8", .ours, help: "The most files that are fetched at once"
  )
  package let fetchTimeout = Option(
    "packages", "fetch_timeout", .seconds, default: "30", .ours,
    help:
      "Seconds to wait for a connection to a mirror, and after which a transfer that brings next to nothing is ended")
  package let fetchBytes = Option(
    "packages", "fetch_bytes", .size, default: "2g", .ours, help: "The most bytes of one file of a mirror")

  package let usesYumLibraries = Option(
    "packages:yum", "use_yum_libraries", .boolean, default: "false", help: "Resolve with yum's libraries")
  package let yumHelper = Option("packages:yum", "helper", .path, help: "Path of bcfg2-yum-helper")
  package let keyFolder = Option(
    "packages:yum", "gpg_keypath", .path, default: "/etc/pki/rpm-gpg", help: "Folder of GPG keys on clients")
  package let otherYumOptions = Option(
    "packages:yum", "*", .text, help: "An option for the generated yum configuration")
  package let pulpUsername = Option("packages:pulp", "username", .text, help: "User of the Pulp server")
  package let pulpPassword = Option("packages:pulp", "password", .secret, help: "Password of the Pulp server")
}

/// `[packages] solver`.
package nonisolated enum SolverChoice: String, Sendable, CaseIterable {
  case bcfg2, strict

  /// The resolver of this name; Bcfg2's is that of the version in `compatibility`.
  package func solver(_ settings: Settings) -> PackageSolver {
    switch self {
    case .bcfg2: .bcfg2(settings.compatibility == .v1_3 ? .version13 : .version14)
    case .strict: .strict
    }
  }
}

/// `[packages] verify`.
package nonisolated enum SourceVerification: String, Sendable, CaseIterable {
  case required
  case ifPossible = "if-possible"
}

/// `[packages] resolver` and `metadata` as the version in `compatibility` reads them.
package nonisolated struct PackagesSwitches: Sendable, Equatable {
  /// Whether sources are fetched and read.
  package let readsMetadata: Bool
  /// Whether dependencies are resolved and added.
  package let resolves: Bool
  /// An option that does not do what it says, for the log; nil if there is none.
  package let surprise: String?

  package init(_ settings: Settings) {
    let options = PackagesOptions.standard
    let resolver = settings[options.resolver]
    let metadata = settings[options.metadata]
    func isOff(_ text: String) -> Bool { ["false", "disabled", "no", "off", "0"].contains(text) }
    // Both versions have errors here that decide what clients get.
    switch settings.compatibility {
    case .v1_4:
      // Only `disabled` turns off: any other text counts as true.
      readsMetadata = metadata != "disabled"
      resolves = readsMetadata && resolver != "disabled"
      let misread = [("resolver", resolver), ("metadata", metadata)].first { isOff($0.1) && $0.1 != "disabled" }
      surprise = misread.map {
        "[packages] \($0.0) = \($0.1) does not turn it off, as in Bcfg2 1.4: write disabled"
      }
    case .v1_3:
      // Where `resolver` is set to a Boolean it decides about metadata too.
      let isSet = settings.origin(of: options.resolver) != .builtIn
      let isBoolean = isSet && resolver != "enabled" && resolver != "disabled"
      readsMetadata = isBoolean ? !isOff(resolver) : !(isSet && metadata == "disabled")
      resolves = readsMetadata && !isOff(resolver)
      surprise =
        readsMetadata && isOff(metadata)
        ? "[packages] metadata = \(metadata) has no effect without resolver = disabled, as in Bcfg2 1.3.4" : nil
    }
  }
}

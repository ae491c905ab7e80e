import ServerSettings

/// `[svn]`.
nonisolated struct SvnOptions: OptionGroup {
  static let standard = SvnOptions()

  let user = Option("svn", "user", .text, help: "User of the Subversion server")
  let password = Option("svn", "password", .secret, help: "Password of the Subversion server")
  let trustsAlways = Option(
    "svn", "always_trust", .boolean, default: "false", help: "Trust any certificate of the Subversion server")
  let conflictResolution = Option("svn", "conflict_resolution", .text, help: "What Subversion does with conflicts")
}

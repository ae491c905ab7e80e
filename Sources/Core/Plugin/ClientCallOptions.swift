import ServerSettings

/// What clients may declare of themselves.
nonisolated struct ClientCallOptions: OptionGroup {
  static let standard = ClientCallOptions()

  let versionBytes = Option(
    "metadata", "version_bytes", .integer(16...1024), default: "64", .ours,
    help: "The most bytes of the version that a client declares; Bcfg2's own have under 32")
}

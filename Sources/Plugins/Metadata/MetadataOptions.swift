import ServerSettings

/// `[metadata]`, for the plugin Metadata.
nonisolated struct MetadataOptions: OptionGroup {
  static let standard = MetadataOptions()

  let usesDatabase = Option(
    "metadata", "use_database", .boolean, default: "false", fixed: .plugins, help: "Keep clients in the database")
  let clientLimit = Option(
    "metadata", "clients", .integer(1...10_000_000), default: "100000", .ours,
    help: "Clients of clients.xml from which on no further one adds itself; an administrator may add more")
}

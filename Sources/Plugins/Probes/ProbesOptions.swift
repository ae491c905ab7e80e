import ServerSettings

/// `[probes]`. Data is kept for each client for ever, so there are bounds on it.
nonisolated struct ProbesOptions: OptionGroup {
  static let standard = ProbesOptions()

  let usesDatabase = Option(
    "probes", "use_database", .boolean, default: "false", fixed: .plugins, help: "Keep probe data in the database")
  let layout = Option(
    "probes", "layout", .choice(ProbeStore.Layout.self), default: "client", .ours, fixed: .data,
    help: "client: probe data in a file for each client, probed.xml is a copy; file: in probed.xml alone")
  let allowedGroups = Option(
    "probes", "allowed_groups", .patterns, default: ".*",
    help: "Regular expressions, anchored at both ends, of the groups that probes may put a client in")
  let clientBytes = Option(
    "probes", "client_bytes", .size, default: "4m", .ours,
    help: "The most bytes that are kept of the probes of one client, as they are written in probed.xml")
  let clientLines = Option(
    "probes", "client_lines", .integer(1...1_000_000), default: "100000", .ours,
    help: "The most lines that the probes of one client may print")
  let clientProbes = Option(
    "probes", "client_probes", .integer(1...100_000), default: "1000", .ours,
    help: "The most probes that one client may answer")
  let clientGroups = Option(
    "probes", "client_groups", .integer(1...100_000), default: "1000", .ours,
    help: "The most groups that the probes of one client may name; those beyond are not looked at")
}

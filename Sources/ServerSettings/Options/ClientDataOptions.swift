package import XMLRPC

/// Bounds on what is kept for a client: what it sends may cost a moment, but what is kept costs for ever, for each client.
public nonisolated struct ClientDataOptions: OptionGroup {
  /// The options, declared once.
  public static let standard = ClientDataOptions()

  package let clients = Option.number(
    "metadata", "clients", 1...10_000_000, default: 100_000, .ours,
    help: "Clients of clients.xml from which on no further one adds itself; an administrator may add more")
  package let versionBytes = Option.number(
    "metadata", "version_bytes", 16...1024, default: 64, .ours,
    help: "The most bytes of the version that a client declares; Bcfg2's own have under 32")
  package let probeBytes = Option.size(
    "probes", "client_bytes", default: "4m", .ours,
    help: "The most bytes that are kept of the probes of one client, as they are written in probed.xml")
  package let probeLines = Option.number(
    "probes", "client_lines", 1...1_000_000, default: 100_000, .ours,
    help: "The most lines that the probes of one client may print")
  package let probeCount = Option.number(
    "probes", "client_probes", 1...100_000, default: 1000, .ours, help: "The most probes that one client may answer")
  package let probeGroups = Option.number(
    "probes", "client_groups", 1...100_000, default: 1000, .ours,
    help: "The most groups that the probes of one client may name; those beyond are not looked at")
  package let ohaiBytes = Option.size(
    "ohai", "client_bytes", default: "4m", .ours, help: "The most bytes of JSON that are kept of one client")
  package let ohaiCacheBytes = Option.size(
    "ohai", "cache", default: "64m", .ours,
    help: "Memory for what was read of all clients; those that were read first are read again when they are wanted")
  package let fileBytes = Option.size(
    "fileprobes", "file_bytes", default: "4m", .ours, help: "The most bytes of a client's file that are taken into Cfg")
}

extension Settings {
  /// Refuses what is larger than an option allows.
  package nonisolated func require(_ count: Int, within option: Option<Int>) throws(LimitExceeded) {
    let limit = self[option]
    guard count > limit else { return }
    throw LimitExceeded("[\(option.definition.section)] \(option.definition.option)", limit)
  }
}

/// The tables of plugins with `use_database`.
package enum ServerTables {
  package static let app = "Server"

  /// Clients: `[metadata] use_database`.
  package static let clients = SQLTable(
    app, "Server_metadataclientmodel",
    [SQLColumn("hostname", .varchar(255), key: true), SQLColumn("version", .varchar(31), null: true)])

  /// `[probes] use_database`. Bcfg2 finds rows by reading the whole table.
  package static let probeData = SQLTable(
    app, "Server_probesdatamodel",
    [
      .id, SQLColumn("hostname", .varchar(255)), SQLColumn("probe", .varchar(255)), SQLColumn("timestamp", .datetime),
      SQLColumn("data", .text, null: true),
    ], extra: ["bcfg2_server_probesdatamodel_hostname": ["hostname"]])

  package static let probeGroups = SQLTable(
    app, "Server_probesgroupsmodel",
    [.id, SQLColumn("hostname", .varchar(255)), SQLColumn("group", .varchar(255))],
    extra: ["bcfg2_server_probesgroupsmodel_hostname": ["hostname"]])

  /// Those that Django's migration of the app makes.
  package static let all = [clients, probeData, probeGroups]
}

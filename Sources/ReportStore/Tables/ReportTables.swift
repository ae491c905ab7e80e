/// Tables of the apps `Reporting` and `Server`.
enum ReportTables {
  static let all: [Table] = main + entries + EntryKind.allCases.map(links) + [links("group"), links("bundle")] + server

  static subscript(_ name: String) -> Table? { byName[name] }
  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  private static let main: [Table] = [
    reporting(
      "client",
      [
        .id, Column("creation", .datetime), Column("name", .varchar(128)), Column("expiration", .datetime, null: true),
        Column("current_interaction_id", .integer, null: true, to: "Reporting_interaction"),
      ]),
    reporting(
      "interaction",
      [
        .id, Column("timestamp", .datetime, indexed: true), Column("state", .varchar(32)),
        Column("repo_rev_code", .varchar(64)), Column("server", .varchar(256)), Column("good_count", .integer),
        Column("total_count", .integer), Column("bad_count", .integer), Column("modified_count", .integer),
        Column("extra_count", .integer), Column("client_id", .integer, to: "Reporting_client"),
        Column("profile_id", .integer, null: true, to: "Reporting_group"),
        Column("dry_run", .bool, added: "false"), Column("only_important", .bool, added: "false"),
      ],
      unique: [["client_id", "timestamp"]]),
    reporting(
      "performance",
      [
        .id, Column("metric", .varchar(128)), Column("value", .decimal),
        Column("interaction_id", .integer, to: "Reporting_interaction"),
      ]),
    reporting("bundle", [.id, Column("name", .varchar(255), unique: true)]),
    reporting(
      "group",
      [
        .id, Column("name", .varchar(255), unique: true), Column("profile", .bool), Column("public", .bool),
        Column("category", .varchar(1024)), Column("comment", .text),
      ]),
    pair("group_bundles", ("group_id", "Reporting_group"), ("bundle_id", "Reporting_bundle")),
    pair("group_groups", ("from_group_id", "Reporting_group"), ("to_group_id", "Reporting_group")),
    reporting(
      "fileperms",
      [.id, Column("owner", .varchar(128)), Column("group", .varchar(128)), Column("mode", .varchar(128))],
      unique: [["owner", "group", "mode"]]),
    reporting("fileacl", [.id, Column("name", .varchar(128), indexed: true)]),
    pair("pathentry_acls", ("pathentry_id", "Reporting_pathentry"), ("fileacl_id", "Reporting_fileacl")),
  ]

  private static let entries: [Table] = [
    entry("failureentry", state: false, [Column("entry_type", .varchar(128)), Column("message", .text)]),
    entry("actionentry", [Column("status", .varchar(128)), Column("output", .integer)]),
    entry(
      "packageentry",
      [
        Column("target_version", .varchar(1024)), Column("current_version", .varchar(1024)),
        Column("verification_details", .text),
      ]),
    entry(
      "pathentry",
      [
        Column("path_type", .varchar(128)), Column("detail_type", .integer), Column("details", .text),
        Column("current_perms_id", .integer, to: "Reporting_fileperms"),
        Column("target_perms_id", .integer, to: "Reporting_fileperms"),
      ]),
    reporting(
      "linkentry",
      [
        Column("pathentry_ptr_id", .integer, key: true, to: "Reporting_pathentry"),
        Column("target_path", .varchar(1024)), Column("current_path", .varchar(1024)),
      ]),
    reporting(
      "deviceentry",
      [
        Column("pathentry_ptr_id", .integer, key: true, to: "Reporting_pathentry"),
        Column("device_type", .varchar(16)), Column("target_major", .integer), Column("target_minor", .integer),
        Column("current_major", .integer), Column("current_minor", .integer),
      ]),
    entry("serviceentry", [Column("target_status", .varchar(128)), Column("current_status", .varchar(128))]),
    entry("sebooleanentry", [Column("value", .bool)]),
    entry("seportentry", seLinuxType),
    entry("sefcontextentry", seLinuxType + [Column("filetype", .varchar(16))]),
    entry("senodeentry", seLinuxType + [Column("proto", .varchar(4))]),
    entry(
      "seloginentry",
      [Column("selinuxuser", .varchar(128)), Column("current_selinuxuser", .varchar(128), null: true)]),
    entry(
      "seuserentry",
      [
        Column("roles", .varchar(128)), Column("current_roles", .varchar(128), null: true),
        Column("prefix", .varchar(128)), Column("current_prefix", .varchar(128), null: true),
      ]),
    entry("seinterfaceentry", seLinuxType),
    entry("sepermissiveentry", []),
    entry("semoduleentry", [Column("disabled", .bool), Column("current_disabled", .bool)]),
    entry(
      "posixuserentry",
      [
        Column("uid", .integer, null: true), Column("current_uid", .integer, null: true),
        Column("group", .varchar(64)), Column("current_group", .varchar(64), null: true),
        Column("gecos", .varchar(1024)), Column("current_gecos", .varchar(1024), null: true),
        Column("home", .varchar(1024)), Column("current_home", .varchar(1024), null: true),
        Column("shell", .varchar(1024)), Column("current_shell", .varchar(1024), null: true),
      ]),
    entry("posixgroupentry", [Column("gid", .integer, null: true), Column("current_gid", .integer, null: true)]),
  ]

  private static let seLinuxType = [
    Column("selinuxtype", .varchar(128)), Column("current_selinuxtype", .varchar(128), null: true),
  ]

  private static let server: [Table] = [
    Table(
      "Server", "Server_metadataclientmodel",
      [Column("hostname", .varchar(255), key: true), Column("version", .varchar(31), null: true)]),
    Table(
      "Server", "Server_probesdatamodel",
      [
        .id, Column("hostname", .varchar(255)), Column("probe", .varchar(255)), Column("timestamp", .datetime),
        Column("data", .text, null: true),
      ]),
    Table(
      "Server", "Server_probesgroupsmodel",
      [.id, Column("hostname", .varchar(255)), Column("group", .varchar(255))]),
  ]

  private static func reporting(_ name: String, _ columns: [Column], unique: [[String]] = []) -> Table {
    Table("Reporting", "Reporting_\(name)", columns, unique: unique)
  }

  private static func entry(_ name: String, state: Bool = true, _ columns: [Column]) -> Table {
    let state = state ? [Column("state", .integer), Column("exists", .bool)] : []
    return reporting(
      name,
      [.id, Column("name", .varchar(128), indexed: true), Column("hash_key", .bigint, indexed: true)] + state + columns)
  }

  private static func pair(_ name: String, _ first: (String, String), _ second: (String, String)) -> Table {
    reporting(
      name, [.id, Column(first.0, .integer, to: first.1), Column(second.0, .integer, to: second.1)],
      unique: [[first.0, second.0]])
  }

  private static func links(_ kind: EntryKind) -> Table { links(String(kind.table.dropFirst("Reporting_".count))) }

  private static func links(_ target: String) -> Table {
    let plural = target.hasSuffix("entry") ? "\(target.dropLast("entry".count))s" : "\(target)s"
    return pair(
      "interaction_\(plural)", ("interaction_id", "Reporting_interaction"), ("\(target)_id", "Reporting_\(target)"))
  }
}

import Databases

/// Tables of the apps `Reporting` and `Server`.
enum ReportTables {
  static let all: [SQLTable] =
    main + entries + EntryKind.allCases.map(links) + [links("group"), links("bundle")]
    + ServerTables.all

  static subscript(_ name: String) -> SQLTable? { byName[name] }
  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  private static let main: [SQLTable] = [
    reporting(
      "client",
      [
        .id, SQLColumn("creation", .datetime), SQLColumn("name", .varchar(128)),
        SQLColumn("expiration", .datetime, null: true),
        SQLColumn("current_interaction_id", .integer, null: true, to: "Reporting_interaction"),
      ]),
    reporting(
      "interaction",
      [
        .id, SQLColumn("timestamp", .datetime, indexed: true), SQLColumn("state", .varchar(32)),
        SQLColumn("repo_rev_code", .varchar(64)), SQLColumn("server", .varchar(256)), SQLColumn("good_count", .integer),
        SQLColumn("total_count", .integer), SQLColumn("bad_count", .integer), SQLColumn("modified_count", .integer),
        SQLColumn("extra_count", .integer), SQLColumn("client_id", .integer, to: "Reporting_client"),
        SQLColumn("profile_id", .integer, null: true, to: "Reporting_group"),
        SQLColumn("dry_run", .bool, added: "false"), SQLColumn("only_important", .bool, added: "false"),
      ],
      unique: [["client_id", "timestamp"]],
      // The chart of the front page counts the runs of days by state.
      extra: ["bcfg2_interaction_timestamp_state": ["timestamp", "state"]]),
    reporting(
      "performance",
      [
        .id, SQLColumn("metric", .varchar(128)), SQLColumn("value", .decimal),
        SQLColumn("interaction_id", .integer, to: "Reporting_interaction"),
      ]),
    reporting("bundle", [.id, SQLColumn("name", .varchar(255), unique: true)]),
    reporting(
      "group",
      [
        .id, SQLColumn("name", .varchar(255), unique: true), SQLColumn("profile", .bool), SQLColumn("public", .bool),
        SQLColumn("category", .varchar(1024)), SQLColumn("comment", .text),
      ]),
    pair("group_bundles", ("group_id", "Reporting_group"), ("bundle_id", "Reporting_bundle")),
    pair("group_groups", ("from_group_id", "Reporting_group"), ("to_group_id", "Reporting_group")),
    reporting(
      "fileperms",
      [.id, SQLColumn("owner", .varchar(128)), SQLColumn("group", .varchar(128)), SQLColumn("mode", .varchar(128))],
      unique: [["owner", "group", "mode"]]),
    reporting("fileacl", [.id, SQLColumn("name", .varchar(128), indexed: true)]),
    pair("pathentry_acls", ("pathentry_id", "Reporting_pathentry"), ("fileacl_id", "Reporting_fileacl")),
  ]

  private static let entries: [SQLTable] = [
    entry("failureentry", state: false, [SQLColumn("entry_type", .varchar(128)), SQLColumn("message", .text)]),
    entry("actionentry", [SQLColumn("status", .varchar(128)), SQLColumn("output", .integer)]),
    entry(
      "packageentry",
      [
        SQLColumn("target_version", .varchar(1024)), SQLColumn("current_version", .varchar(1024)),
        SQLColumn("verification_details", .text),
      ]),
    entry(
      "pathentry",
      [
        SQLColumn("path_type", .varchar(128)), SQLColumn("detail_type", .integer), SQLColumn("details", .text),
        SQLColumn("current_perms_id", .integer, to: "Reporting_fileperms"),
        SQLColumn("target_perms_id", .integer, to: "Reporting_fileperms"),
      ]),
    reporting(
      "linkentry",
      [
        SQLColumn("pathentry_ptr_id", .integer, key: true, to: "Reporting_pathentry"),
        SQLColumn("target_path", .varchar(1024)), SQLColumn("current_path", .varchar(1024)),
      ]),
    reporting(
      "deviceentry",
      [
        SQLColumn("pathentry_ptr_id", .integer, key: true, to: "Reporting_pathentry"),
        SQLColumn("device_type", .varchar(16)), SQLColumn("target_major", .integer),
        SQLColumn("target_minor", .integer),
        SQLColumn("current_major", .integer), SQLColumn("current_minor", .integer),
      ]),
    entry("serviceentry", [SQLColumn("target_status", .varchar(128)), SQLColumn("current_status", .varchar(128))]),
    entry("sebooleanentry", [SQLColumn("value", .bool)]),
    entry("seportentry", seLinuxType),
    entry("sefcontextentry", seLinuxType + [SQLColumn("filetype", .varchar(16))]),
    entry("senodeentry", seLinuxType + [SQLColumn("proto", .varchar(4))]),
    entry(
      "seloginentry",
      [SQLColumn("selinuxuser", .varchar(128)), SQLColumn("current_selinuxuser", .varchar(128), null: true)]),
    entry(
      "seuserentry",
      [
        SQLColumn("roles", .varchar(128)), SQLColumn("current_roles", .varchar(128), null: true),
        SQLColumn("prefix", .varchar(128)), SQLColumn("current_prefix", .varchar(128), null: true),
      ]),
    entry("seinterfaceentry", seLinuxType),
    entry("sepermissiveentry", []),
    entry("semoduleentry", [SQLColumn("disabled", .bool), SQLColumn("current_disabled", .bool)]),
    entry(
      "posixuserentry",
      [
        SQLColumn("uid", .integer, null: true), SQLColumn("current_uid", .integer, null: true),
        SQLColumn("group", .varchar(64)), SQLColumn("current_group", .varchar(64), null: true),
        SQLColumn("gecos", .varchar(1024)), SQLColumn("current_gecos", .varchar(1024), null: true),
        SQLColumn("home", .varchar(1024)), SQLColumn("current_home", .varchar(1024), null: true),
        SQLColumn("shell", .varchar(1024)), SQLColumn("current_shell", .varchar(1024), null: true),
      ]),
    entry("posixgroupentry", [SQLColumn("gid", .integer, null: true), SQLColumn("current_gid", .integer, null: true)]),
  ]

  private static let seLinuxType = [
    SQLColumn("selinuxtype", .varchar(128)), SQLColumn("current_selinuxtype", .varchar(128), null: true),
  ]

  private static func reporting(
    _ name: String, _ columns: [SQLColumn], unique: [[String]] = [], extra: KeyValuePairs<String, [String]> = [:]
  ) -> SQLTable {
    SQLTable("Reporting", "Reporting_\(name)", columns, unique: unique, extra: extra)
  }

  private static func entry(_ name: String, state: Bool = true, _ columns: [SQLColumn]) -> SQLTable {
    let state = state ? [SQLColumn("state", .integer), SQLColumn("exists", .bool)] : []
    return reporting(
      name,
      [.id, SQLColumn("name", .varchar(128), indexed: true), SQLColumn("hash_key", .bigint, indexed: true)] + state
        + columns)
  }

  private static func pair(_ name: String, _ first: (String, String), _ second: (String, String)) -> SQLTable {
    reporting(
      name, [.id, SQLColumn(first.0, .integer, to: first.1), SQLColumn(second.0, .integer, to: second.1)],
      unique: [[first.0, second.0]])
  }

  private static func links(_ kind: EntryKind) -> SQLTable { links(String(kind.table.dropFirst("Reporting_".count))) }

  private static func links(_ target: String) -> SQLTable {
    let plural = target.hasSuffix("entry") ? "\(target.dropLast("entry".count))s" : "\(target)s"
    return pair(
      "interaction_\(plural)", ("interaction_id", "Reporting_interaction"), ("\(target)_id", "Reporting_\(target)"))
  }
}

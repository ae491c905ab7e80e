/// Tables and rows that Django's own apps have, which Bcfg2 installs with its own.
package enum DjangoTables {
  /// Which migrations have been applied.
  package static let record = SQLTable(
    "", "django_migrations",
    [.id, SQLColumn("app", .varchar(255)), SQLColumn("name", .varchar(255)), SQLColumn("applied", .datetime)])

  package static let all: [SQLTable] = [
    SQLTable(
      "contenttypes", "django_content_type",
      [.id, SQLColumn("app_label", .varchar(100)), SQLColumn("model", .varchar(100))], unique: [["app_label", "model"]]),
    SQLTable(
      "auth", "auth_permission",
      [
        .id, SQLColumn("content_type_id", .integer, to: "django_content_type"), SQLColumn("codename", .varchar(100)),
        SQLColumn("name", .varchar(255)),
      ],
      unique: [["content_type_id", "codename"]]),
    SQLTable("auth", "auth_group", [.id, SQLColumn("name", .varchar(80), unique: true)]),
    pair("auth_group_permissions", ("group_id", "auth_group"), ("permission_id", "auth_permission")),
    SQLTable(
      "auth", "auth_user",
      [
        .id, SQLColumn("password", .varchar(128)), SQLColumn("last_login", .datetime, null: true),
        SQLColumn("is_superuser", .bool), SQLColumn("first_name", .varchar(30)), SQLColumn("last_name", .varchar(30)),
        SQLColumn("email", .varchar(254)), SQLColumn("is_staff", .bool), SQLColumn("is_active", .bool),
        SQLColumn("date_joined", .datetime), SQLColumn("username", .varchar(150), unique: true),
      ]),
    pair("auth_user_groups", ("user_id", "auth_user"), ("group_id", "auth_group")),
    pair("auth_user_user_permissions", ("user_id", "auth_user"), ("permission_id", "auth_permission")),
    SQLTable(
      "admin", "django_admin_log",
      [
        .id, SQLColumn("object_id", .text, null: true), SQLColumn("object_repr", .varchar(200)),
        SQLColumn("action_flag", .small), SQLColumn("change_message", .text),
        SQLColumn("content_type_id", .integer, null: true, to: "django_content_type"),
        SQLColumn("user_id", .integer, to: "auth_user"), SQLColumn("action_time", .datetime),
      ]),
    SQLTable(
      "sessions", "django_session",
      [
        SQLColumn("session_key", .varchar(40), key: true), SQLColumn("session_data", .text),
        SQLColumn("expire_date", .datetime, indexed: true),
      ]),
    SQLTable(
      "sites", "django_site",
      [.id, SQLColumn("name", .varchar(50)), SQLColumn("domain", .varchar(100), unique: true)]),
    record,
  ]

  private static func pair(_ name: String, _ first: (String, String), _ second: (String, String)) -> SQLTable {
    SQLTable(
      "auth", name, [.id, SQLColumn(first.0, .integer, to: first.1), SQLColumn(second.0, .integer, to: second.1)],
      unique: [[first.0, second.0]])
  }

  /// Migrations by app, in the order in which Django 1.11 applies them. The first of each makes the tables.
  package static let migrations: [(app: String, names: [String])] = [
    (
      "Reporting",
      [
        "0001_initial", "0002_convert_perms_to_mode", "0003_expand_hash_key", "0004_profile_can_be_null",
        "0005_add_selinux_entry_support", "0006_add_user_group_entry_support", "0007_add_flag_fields_interaction",
      ]
    ),
    ("Server", ["0001_initial"]),
    ("contenttypes", ["0001_initial", "0002_remove_content_type_name"]),
    (
      "auth",
      [
        "0001_initial", "0002_alter_permission_name_max_length", "0003_alter_user_email_max_length",
        "0004_alter_user_username_opts", "0005_alter_user_last_login_null", "0006_require_contenttypes_0002",
        "0007_alter_validators_add_error_messages", "0008_alter_user_username_max_length",
      ]
    ),
    ("admin", ["0001_initial", "0002_logentry_remove_auto_add"]),
    ("sessions", ["0001_initial"]),
    ("sites", ["0001_initial", "0002_alter_domain_unique"]),
  ]

  /// Models with the words of their permissions ("Can add group").
  package static let models: [(app: String, model: String, words: String)] = [
    ("auth", "group", "group"),
    ("auth", "user", "user"),
    ("auth", "permission", "permission"),
    ("contenttypes", "contenttype", "content type"),
    ("sessions", "session", "session"),
    ("sites", "site", "site"),
    ("admin", "logentry", "log entry"),
    ("Server", "probesgroupsmodel", "probes groups model"),
    ("Server", "probesdatamodel", "probes data model"),
    ("Server", "metadataclientmodel", "metadata client model"),
    ("Reporting", "client", "client"),
    ("Reporting", "interaction", "interaction"),
    ("Reporting", "performance", "performance"),
    ("Reporting", "group", "group"),
    ("Reporting", "bundle", "bundle"),
    ("Reporting", "fileperms", "file perms"),
    ("Reporting", "fileacl", "file acl"),
    ("Reporting", "failureentry", "failure entry"),
    ("Reporting", "actionentry", "action entry"),
    ("Reporting", "sebooleanentry", "se boolean entry"),
    ("Reporting", "seportentry", "se port entry"),
    ("Reporting", "sefcontextentry", "se fcontext entry"),
    ("Reporting", "senodeentry", "se node entry"),
    ("Reporting", "seloginentry", "se login entry"),
    ("Reporting", "seuserentry", "se user entry"),
    ("Reporting", "seinterfaceentry", "se interface entry"),
    ("Reporting", "sepermissiveentry", "se permissive entry"),
    ("Reporting", "semoduleentry", "se module entry"),
    ("Reporting", "posixuserentry", "posix user entry"),
    ("Reporting", "posixgroupentry", "posix group entry"),
    ("Reporting", "packageentry", "package entry"),
    ("Reporting", "pathentry", "path entry"),
    ("Reporting", "linkentry", "link entry"),
    ("Reporting", "deviceentry", "device entry"),
    ("Reporting", "serviceentry", "service entry"),
  ]
}

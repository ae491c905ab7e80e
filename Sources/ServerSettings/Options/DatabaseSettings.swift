// The database and reporting. Sources: Bcfg2/bcfg2: src/lib/Bcfg2/DBSettings.py, Reporting, and Options.py of 1.3.4, which
// still took `[statistics] database_*`.

nonisolated extension SettingRegistry {
  static let databaseSettings: [SettingDefinition] = [
    .init(
      "database", "engine", .text, default: "sqlite3", deprecated: ("statistics", "database_engine"),
      help: "Kind of the database: sqlite3, mysql, postgresql"),
    .init(
      "database", "name", .macroText, default: "<repository>/etc/bcfg2.sqlite",
      deprecated: ("statistics", "database_name"), help: "Name of the database; with sqlite3, its path"),
    .init("database", "user", .text, deprecated: ("statistics", "database_user"), help: "User of the database"),
    .init(
      "database", "password", .secret, deprecated: ("statistics", "database_password"), help: "Password of that user"),
    .init(
      "database", "host", .text, default13: "localhost", deprecated: ("statistics", "database_host"),
      help: "Host of the database"),
    .init("database", "port", .text, deprecated: ("statistics", "database_port"), help: "Port of the database"),
    .init("database", "schema", .text, default: "public", help: "Schema in the database"),
    .init("database", "options", .dictionary, default: "", help: "Further options of the connection"),
    .init("database", "reporting_engine", .text, .only1_4, help: "Kind of the reporting database; default: the same"),
    .init(
      "database", "reporting_name", .macroText, default: "<repository>/etc/reporting.sqlite", .only1_4,
      help: "Name of the reporting database"),
    .init("database", "reporting_user", .text, .only1_4, help: "User of the reporting database"),
    .init("database", "reporting_password", .secret, .only1_4, help: "Password of that user"),
    .init("database", "reporting_host", .text, .only1_4, help: "Host of the reporting database"),
    .init("database", "reporting_port", .text, .only1_4, help: "Port of the reporting database"),
    .init("database", "reporting_schema", .text, default: "public", .only1_4, help: "Schema in the reporting database"),
    .init(
      "database", "reporting_options", .dictionary, default: "", .only1_4,
      help: "Further options of the reporting database's connection"),

    .init(
      "reporting", "config", .path, default: "/etc/bcfg2-web.conf",
      help: "Further configuration file, read if it exists"),
    .init("reporting", "transport", .text, default: "DirectStore", help: "How statistics reach the reporting database"),
    .init("reporting", "storage", .text, default: "DjangoORM", .only1_4, help: "How the reporting database is written"),
    .init("reporting", "file_limit", .size, default: "1m", help: "The most bytes of a file that a report keeps"),
    .init(
      "reporting", "max_children", .integer(0...4096), default: "0", .only1_4,
      help: "The most child processes of the report collector"),
    .init("reporting", "redis_host", .text, default: "127.0.0.1", .only1_4, help: "Host of the Redis server"),
    .init("reporting", "redis_port", .integer(1...65535), default: "6379", .only1_4, help: "Port of the Redis server"),
    .init("reporting", "redis_db", .integer(0...65535), default: "0", .only1_4, help: "Number of the Redis database"),
    .init("reporting", "time_zone", .text, deprecated: ("statistics", "time_zone"), help: "Time zone of reports"),
    .init("reporting", "web_debug", .boolean, default: "false", help: "Debugging output of the web interface"),
    .init("reporting", "web_prefix", .text, deprecated: ("statistics", "web_prefix"), help: "URL of the web interface"),
    .init(
      "reporting", "django_settings", .dictionary, default: "", .only1_4, help: "Further settings of the web interface"),
  ]
}

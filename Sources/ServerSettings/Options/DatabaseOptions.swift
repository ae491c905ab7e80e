/// `[database]`: where plugins and reports keep what must not be lost.
///
/// Sources: Bcfg2/bcfg2: src/lib/Bcfg2/DBSettings.py, and Options.py of 1.3.4, which read `[statistics] database_*`, too.
public nonisolated struct DatabaseOptions: OptionGroup {
  public static let standard = DatabaseOptions()

  public let engine = Option(
    "database", "engine", .text, default: "sqlite3", fixed: .database, deprecated: ("statistics", "database_engine"),
    help: "Kind of the database: sqlite3, mysql, postgresql")
  public let name = Option(
    "database", "name", .macroText, default: "<repository>/etc/bcfg2.sqlite",
    fixed: .database, deprecated: ("statistics", "database_name"), help: "Name of the database; with sqlite3, its path")
  public let user = Option(
    "database", "user", .text, fixed: .database, deprecated: ("statistics", "database_user"),
    help: "User of the database")
  public let password = Option(
    "database", "password", .secret, fixed: .database, deprecated: ("statistics", "database_password"),
    help: "Password of that user")
  public let host = Option(
    "database", "host", .text, defaultOf13: "localhost", fixed: .database, deprecated: ("statistics", "database_host"),
    help: "Host of the database")
  public let port = Option(
    "database", "port", .text, fixed: .database, deprecated: ("statistics", "database_port"),
    help: "Port of the database")
  public let schema = Option("database", "schema", .text, default: "public", help: "Schema in the database")
  public let options = Option(
    "database", "options", .dictionary, default: "", fixed: .database, help: "Further options of the connection")
  public let reportingEngine = Option(
    "database", "reporting_engine", .text, .only1_4, help: "Kind of the reporting database; default: the same")
  public let reportingName = Option(
    "database", "reporting_name", .macroText, default: "<repository>/etc/reporting.sqlite", .only1_4,
    help: "Name of the reporting database")
  public let reportingUser = Option(
    "database", "reporting_user", .text, .only1_4, help: "User of the reporting database")
  public let reportingPassword = Option(
    "database", "reporting_password", .secret, .only1_4, help: "Password of that user")
  public let reportingHost = Option(
    "database", "reporting_host", .text, .only1_4, help: "Host of the reporting database")
  public let reportingPort = Option(
    "database", "reporting_port", .text, .only1_4, help: "Port of the reporting database")
  public let reportingSchema = Option(
    "database", "reporting_schema", .text, default: "public", .only1_4, help: "Schema in the reporting database")
  public let reportingOptions = Option(
    "database", "reporting_options", .dictionary, default: "", .only1_4,
    help: "Further options of the reporting database's connection")
}

/// `[reporting]`: reports, and the further configuration file of the web interface.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting.
public nonisolated struct ReportingOptions: OptionGroup {
  public static let standard = ReportingOptions()

  public let furtherFile = Option(
    "reporting", "config", .path, default: "/etc/bcfg2-web.conf", help: "Further configuration file, read if it exists")
  public let transport = Option(
    "reporting", "transport", .text, default: "DirectStore", help: "How statistics reach the reporting database")
  public let storage = Option(
    "reporting", "storage", .text, default: "DjangoORM", .only1_4, help: "How the reporting database is written")
  public let fileLimitBytes = Option(
    "reporting", "file_limit", .size, default: "1m", help: "The most bytes of a file that a report keeps")
  public let maxChildren = Option(
    "reporting", "max_children", .integer(0...4096), default: "0", .only1_4,
    help: "The most child processes of the report collector")
  public let redisHost = Option(
    "reporting", "redis_host", .text, default: "127.0.0.1", .only1_4, help: "Host of the Redis server")
  public let redisPort = Option(
    "reporting", "redis_port", .integer(1...65535), default: "6379", .only1_4, help: "Port of the Redis server")
  public let redisDatabase = Option(
    "reporting", "redis_db", .integer(0...65535), default: "0", .only1_4, help: "Number of the Redis database")
  public let timeZone = Option(
    "reporting", "time_zone", .text, deprecated: ("statistics", "time_zone"), help: "Time zone of reports")
  public let webDebug = Option(
    "reporting", "web_debug", .boolean, default: "false", help: "Debugging output of the web interface")
  public let webPrefix = Option(
    "reporting", "web_prefix", .text, deprecated: ("statistics", "web_prefix"), help: "URL of the web interface")
  public let webListen = Option(
    "reporting", "web_listen", .text, default: "127.0.0.1:8080", .ours,
    help: "Address and port of the web interface: ADDRESS:PORT, [ADDRESS]:PORT or a port of 127.0.0.1")
  public let webAuthentication = Option(
    "reporting", "web_auth", .choice(["none", "basic", "header"]), default: "none", .ours,
    help: "Who may see the web interface: everyone, users of web_users, or users that a proxy names")
  public let webUsers = Option(
    "reporting", "web_users", .path, .ours, help: "File of users and hashed passwords, as htpasswd -B writes it")
  public let webHeader = Option(
    "reporting", "web_header", .text, default: "X-Remote-User", .ours,
    help: "Header in which a proxy names the user, with web_auth = header")
  public let webProxies = Option(
    "reporting", "web_proxies", .commaList, default: "127.0.0.1,::1", .ours,
    help: "Addresses of proxies that may name users, with web_auth = header")
  public let webHosts = Option(
    "reporting", "web_hosts", .commaList, default: "", .ours,
    help: "Names by which browsers may address the web interface, besides those of loopback")
  public let spoolLimitBytes = Option(
    "reporting", "spool_limit", .size, default: "1g", .ours,
    help: "The most bytes of reports that wait for the database; beyond them the oldest are dropped")
  public let clientEntries = Option(
    "reporting", "client_entries", .integer(1...1_000_000), default: "100000", .ours,
    help: "The most entries that are kept of one report")
  public let clientBytes = Option(
    "reporting", "client_bytes", .size, default: "16m", .ours, help: "The most bytes that are kept of one report")
  public let keep = Option(
    "reporting", "keep", .days, .ours,
    help: "How long reports stay in the database, such as 90d, 12w or 1y; default: for ever")
  public let collectorProgram = Option(
    "reporting", "collector_program", .program, .ours,
    help: "The bcfg2-report-collector that the server starts with DirectStore; default: the one beside the server")
  public let djangoSettings = Option(
    "reporting", "django_settings", .dictionary, default: "", .only1_4, help: "Further settings of the web interface")
}

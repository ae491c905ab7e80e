// What the server core and its network side read, in the order of the manual page.
// Sources: Bcfg2/bcfg2: src/lib/Bcfg2/Options/Common.py, Server/Core.py, Server/MultiprocessingCore.py, Logger.py, and
// Options.py of 1.3.4.

nonisolated extension SettingRegistry {
  /// The plugins that run if `[server] plugins` is not set, in both versions.
  public static let standardPlugins = ["Bundler", "Cfg", "Metadata", "Pkgmgr", "Rules", "SSHbase"]
  /// The names that the file monitor ignores if `[server] ignore_files` is not set, in both versions.
  public static let standardIgnoredFiles = [
    "*~", "*#", ".#*", "*.swp", "*.swpx", ".*.swx", "SCCS", ".svn", "4913", ".gitignore",
  ]

  static let serverSettings: [SettingDefinition] = [
    // [server]
    .init("server", "repository", .path, default: "/var/lib/bcfg2", help: "Folder of the Bcfg2 repository"),
    .init(
      "server", "plugins", .commaList, default: standardPlugins.joined(separator: ","),
      help: "Plugins to load, in this order"),
    .init(
      "server", "filemonitor", .choice(["default", "inotify", "gamin", "fam", "pseudo"]), default: "default",
      help: "How changes of the repository are noticed; gamin and fam mean inotify here"),
    .init(
      "server", "fam_blocking", .boolean, default: "true",
      help: "Read the whole repository before the first client is served"),
    .init(
      "server", "ignore_files", .commaList, default: standardIgnoredFiles.joined(separator: ","),
      help: "File name patterns that the file monitor ignores"),
    .init(
      "server", "repository_grace", .timeout, default: "600", .ours,
      help: "Seconds that clients are served from what was read last while the repository is away; 0 for no limit"),
    .init("server", "listen_all", .boolean, default: "false", help: "Listen on all addresses"),
    .init(
      "server", "backend", .choiceInAnyCase(["best", "builtin", "multiprocessing", "cherrypy"]), default: "best",
      help: "Implementation of the server core"),
    .init(
      "server", "children", .integer(1...4096), help: "Child processes of the multiprocessing core; default: processors"
    ),
    .init(
      "server", "child_selection", .choice(["least_loaded", "round_robin"]), default: "least_loaded", .ours,
      help: "Which child of the multiprocessing core builds the next configuration"),
    .init(
      "server", "child_timeout", .integer(1...86400), default: "60", .ours,
      help: "Seconds after which a child that has requests and does not answer is replaced"),
    .init(
      "server", "session_tickets", .boolean, default: "true", .ours,
      help: "Give TLS 1.3 clients a ticket to resume their session with; Bcfg2's own clients use none"),
    .init("server", "umask", .octal(0...0o777), default: "0077", help: "Mask for the modes of created files"),
    .init("server", "user", .user, default: "0", help: "User that the daemon runs as"),
    .init("server", "group", .group, default: "0", help: "Group that the daemon runs as"),
    .init(
      "server", "vcs_root", .path, default: "<repository>", default13: .some(nil),
      help: "Top folder of the version control working copy"),
    .init("server", "prefix", .path, default: "/usr", .only1_3, help: "Where Bcfg2 is installed"),
    .init(
      "server", "compatibility", .choice(["1.3", "1.4"]), default: "1.4", .ours,
      help: "Which version's defaults and answers to follow where the two differ"),

    // [communication]
    .init("communication", "password", .secret, help: "Password that clients authenticate with"),
    .init(
      "communication", "certificate", .path, default: "/etc/pki/tls/certs/bcfg2.crt", help: "The server's certificate"),
    .init("communication", "key", .path, default: "/etc/pki/tls/private/bcfg2.key", help: "The server's private key"),
    .init("communication", "ca", .path, help: "Certificate authority of client certificates"),
    .init(
      "communication", "protocol", .choice(["xmlrpc/ssl", "xmlrpc/tlsv1"]), default: "xmlrpc/tlsv1",
      default13: "xmlrpc/ssl", help: "Transport of XML-RPC"),
    .init(
      "communication", "authentication", .choice(["cert", "bootstrap", "cert+password"]), default: "cert+password",
      help: "How clients authenticate unless clients.xml says otherwise"),
    .init("communication", "timeout", .seconds, default: "90", help: "Seconds that a client waits for an answer"),

    // [components]
    .init(
      "components", "bcfg2", .location, default: "https://localhost:6789", help: "Address that the server listens on"),
    .init("components", "encoding", .text, default: "UTF-8", help: "Encoding of files of the repository"),

    // [logging]
    .init("logging", "path", .path, help: "File to log to"),
    .init("logging", "syslog", .boolean, default: "true", help: "Log to syslog"),
    .init("logging", "debug", .boolean, default: "false", help: "Log debugging output"),
    .init("logging", "verbose", .boolean, default: "false", help: "Log verbose output"),
    .init("logging", "performance", .boolean, default: "false", help: "Log execution times now and then"),
    .init(
      "logging", "performance_interval", .timeout, default: "300", help: "Seconds between two logs of execution times"),

    // [caching]
    .init(
      "caching", "client_metadata", .choiceInAnyCase(["off", "on", "initial", "cautious", "aggressive"]),
      default: "off", help: "How long client metadata is kept"),
    .init(
      "caching", "configurations", .size, default: "32m", .ours,
      help: "Most memory for configurations that are kept to be given again; 0 keeps none"),

    // [mdata]: defaults of Path entries
    .init("mdata", "owner", .text, default: "root", help: "Owner of Path entries that name none"),
    .init("mdata", "group", .text, default: "root", help: "Group of Path entries that name none"),
    .init("mdata", "mode", .text, default: "644", help: "Mode of Path entries that name none"),
    .init("mdata", "secontext", .text, default: "__default__", help: "SELinux context of Path entries that name none"),
    .init("mdata", "important", .text, default: "false", default13: "False", help: "Whether Path entries come first"),
    .init("mdata", "paranoid", .text, default: "true", help: "Whether clients back up Path entries that they change"),
    .init(
      "mdata", "sensitive", .text, default: "false", help: "Whether contents of Path entries are kept from reports"),
  ]
}

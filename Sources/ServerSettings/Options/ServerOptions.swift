public import XMLRPC

/// What the server core and its network side read, in the order of the manual page. `settings.listensOnAll` is the value of
/// `listensOnAll` here: an option needs no more than its line.
///
/// Sources: Bcfg2/bcfg2: src/lib/Bcfg2/Options/Common.py, Server/Core.py, Server/MultiprocessingCore.py, Logger.py, and
/// Options.py of 1.3.4.
public nonisolated struct ServerOptions: OptionGroup {
  public static let standard = ServerOptions()

  // [server]

  public let repository = Option(
    "server", "repository", .path, default: "/var/lib/bcfg2", fixed: .monitor, help: "Folder of the Bcfg2 repository")
  public let plugins = Option(
    "server", "plugins", .commaList, default: "Bundler,Cfg,Metadata,Pkgmgr,Rules,SSHbase", fixed: .plugins,
    help: "Plugins to load, in this order")
  public let fileMonitor = Option(
    "server", "filemonitor", .choice(["default", "inotify", "gamin", "fam", "pseudo"]), default: "default",
    fixed: .monitor, help: "How changes of the repository are noticed; gamin and fam mean inotify here")
  public let isFileMonitorBlocking = Option(
    "server", "fam_blocking", .boolean, default: "true", fixed: .monitor,
    help: "Read the whole repository before the first client is served")
  public let ignoredFiles = Option(
    "server", "ignore_files", .commaList, default: "*~,*#,.#*,*.swp,*.swpx,.*.swx,SCCS,.svn,4913,.gitignore",
    fixed: .monitor, help: "File name patterns that the file monitor ignores")
  public let repositoryGrace = Option(
    "server", "repository_grace", .timeout, default: "600", .ours,
    help: "Seconds that clients are served from what was read last while the repository is away; 0 for no limit")
  public let listensOnAll = Option(
    "server", "listen_all", .boolean, default: "false", fixed: .sockets, help: "Listen on all addresses")
  public let backend = Option(
    "server", "backend", .choiceInAnyCase(["best", "builtin", "multiprocessing", "nio", "cherrypy"]), default: "best",
    fixed: .core, help: "Implementation of the server core")
  public let children = Option(
    "server", "children", .integer(1...4096), fixed: .processes,
    help: "Child processes of the multiprocessing core; default: processors")
  public let childSelection = Option(
    "server", "child_selection", .choice(ChildSelection.self), default: "least_loaded", .ours,
    help: "Which child of the multiprocessing core builds the next configuration")
  public let childSeconds = Option(
    "server", "child_timeout", .integer(1...86400), default: "60", .ours, fixed: .processes,
    help: "Seconds after which a child that has requests and does not answer is replaced")
  public let givesSessionTickets = Option(
    "server", "session_tickets", .boolean, default: "true", .ours,
    help: "Give TLS 1.3 clients a ticket to resume their session with; Bcfg2's own clients use none")
  public let trustedProxies = Option(
    "server", "trusted_proxies", .networks, .ours,
    help: "Addresses and networks of proxies that say for which client they connect")
  public let readsProxyHeader = Option(
    "server", "proxy_protocol", .boolean, default: "false", .ours,
    help: "Expect the PROXY protocol, version 2, from trusted_proxies, and take the client's address from it")
  public let forwardedHeader = Option(
    "server", "forwarded", .choice(ForwardedSetting.self), default: "no", .ours,
    help: "Take a client's address from this header of a request that comes from trusted_proxies: yes is Forwarded")
  public let umask = Option(
    "server", "umask", .octal(0...0o777), default: "0077", help: "Mask for the modes of created files")
  public let user = Option(
    "server", "user", .user, default: "0", fixed: .privileges, help: "User that the daemon runs as")
  public let group = Option(
    "server", "group", .group, default: "0", fixed: .privileges, help: "Group that the daemon runs as")
  public let versionControlRoot = Option(
    "server", "vcs_root", .path, defaultOf14: "<repository>", fixed: .plugins,
    help: "Top folder of the version control working copy")
  public let prefix = Option("server", "prefix", .path, default: "/usr", .only1_3, help: "Where Bcfg2 is installed")
  public let compatibility = Option(
    "server", "compatibility", .choice(Compatibility.self), default: "1.4", .ours, fixed: .plugins,
    help: "Which version's defaults and answers to follow where the two differ")

  // [communication]

  public let password = Option("communication", "password", .secret, help: "Password that clients authenticate with")
  public let acceptsPasswords = Option(
    "communication", "passwords", .boolean, default: "true", .ours,
    help: "Accept passwords; without them the certificate of a client is all that counts")
  public let certificate = Option(
    "communication", "certificate", .path, default: "/etc/pki/tls/certs/bcfg2.crt", help: "The server's certificate")
  public let key = Option(
    "communication", "key", .path, default: "/etc/pki/tls/private/bcfg2.key", help: "The server's private key")
  public let certificateAuthority = Option(
    "communication", "ca", .path, help: "Certificate authority of client certificates")
  public let revocationLists = Option(
    "communication", "crl", .path, .ours, help: "Revocation lists of the authorities in ca")
  public let statusResponse = Option(
    "communication", "ocsp_response", .path, .ours,
    help: "An OCSP responder's word on the server's certificate, sent to clients that ask")
  public let transportProtocol = Option(
    "communication", "protocol", .choice(["xmlrpc/ssl", "xmlrpc/tlsv1"]), default: "xmlrpc/tlsv1",
    defaultOf13: "xmlrpc/ssl", help: "Transport of XML-RPC")
  public let authentication = Option(
    "communication", "authentication", .choice(["cert", "bootstrap", "cert+password"]), default: "cert+password",
    help: "How clients authenticate unless clients.xml says otherwise")
  public let clientTimeout = Option(
    "communication", "timeout", .seconds, default: "90", help: "Seconds that a client waits for an answer")

  // [components]

  public let location = Option(
    "components", "bcfg2", .location, default: "https://localhost:6789", fixed: .sockets,
    help: "Address that the server listens on")
  public let encoding = Option(
    "components", "encoding", .text, default: "UTF-8", help: "Encoding of files of the repository")

  // [logging]

  public let logPath = Option("logging", "path", .path, help: "File to log to")
  public let logsToSyslog = Option("logging", "syslog", .boolean, default: "true", help: "Log to syslog")
  public let debug = Option("logging", "debug", .boolean, default: "false", help: "Log debugging output")
  public let verbose = Option("logging", "verbose", .boolean, default: "false", help: "Log verbose output")
  public let logFormat = Option(
    "logging", "format", .choice(LogFormat.self), default: "text", .ours,
    help: "How lines of the log are written: as text, or as one JSON object each")
  public let logsClientRuns = Option(
    "logging", "client_runs", .boolean, default: "true", .ours,
    help: "Log at level info what each run of a client has cost")
  public let logsPerformance = Option(
    "logging", "performance", .boolean, default: "false", help: "Log execution times now and then")
  public let performanceInterval = Option(
    "logging", "performance_interval", .timeout, default: "300", help: "Seconds between two logs of execution times")

  // [caching]

  public let clientMetadataCache = Option(
    "caching", "client_metadata", .cacheMode, default: "off", help: "How long client metadata is kept")
  public let answerCacheBytes = Option(
    "caching", "configurations", .size, default: "32m", .ours,
    help: "Most memory for cached configurations; 0 caches none")

  // [mdata]: attributes of Path entries that nobody gave any, as text, because they become text

  public let pathOwner = Option("mdata", "owner", .text, default: "root", help: "Owner of Path entries that name none")
  public let pathGroup = Option("mdata", "group", .text, default: "root", help: "Group of Path entries that name none")
  public let pathMode = Option("mdata", "mode", .text, default: "644", help: "Mode of Path entries that name none")
  public let pathContext = Option(
    "mdata", "secontext", .text, default: "__default__", help: "SELinux context of Path entries that name none")
  public let pathIsImportant = Option(
    "mdata", "important", .text, default: "false", defaultOf13: "False", help: "Whether Path entries come first")
  public let pathIsParanoid = Option(
    "mdata", "paranoid", .text, default: "true", help: "Whether clients back up Path entries that they change")
  public let pathIsSensitive = Option(
    "mdata", "sensitive", .text, default: "false", help: "Whether contents of Path entries are kept from reports")
}

/// Which version of Bcfg2 to follow where the two differ.
public nonisolated enum Compatibility: String, Sendable, CaseIterable {
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v1_3 = "1.3"
  // swift-format-ignore: AlwaysUseLowerCamelCase
  case v1_4 = "1.4"
}

/// `[caching] client_metadata`: how long client metadata is kept. `on` is `cautious`.
public nonisolated enum MetadataCacheMode: String, Sendable {
  case off, initial, cautious, aggressive
}

/// `[logging] format`: how lines of the log are written.
public nonisolated enum LogFormat: String, Sendable, CaseIterable {
  /// As Bcfg2 writes them.
  case text
  /// One JSON object a line.
  case json
}

/// `[server] forwarded`: the header in which a proxy names the client.
public nonisolated enum ForwardedSetting: String, Sendable, CaseIterable {
  case no, yes
  case listOfAddresses = "x-forwarded-for"

  /// The header; nil if none counts.
  public var header: ForwardedHeader? {
    switch self {
    case .no: nil
    case .yes: .standard
    case .listOfAddresses: .listOfAddresses
    }
  }
}

/// Which child of the multiprocessing core builds the next configuration.
public nonisolated enum ChildSelection: String, Sendable, CaseIterable {
  /// The child with the fewest unanswered requests; among equals the one that was asked last, since what it builds with is
  /// in the processor's caches.
  case leastLoaded = "least_loaded"
  /// One after the other, as Bcfg2 does.
  case roundRobin = "round_robin"
}

import Formats
import Testing

@testable import ServerSettings

nonisolated private func settings(
  _ text: String, _ options: CommandLineOptions = CommandLineOptions()
) throws -> Settings {
  try Settings(INIFile(bytes: Array(text.utf8), path: "bcfg2.conf"), commandLine: options, registry: .server)
}

private func typed(_ arguments: String...) throws -> CommandLineOptions {
  guard case .run(let options) = CommandLineOptions.parse(["bcfg2-server"] + arguments, version: "0") else {
    throw SettingsError.unreadable(path: "command line", reason: "\(arguments)")
  }
  return options
}

@Test func messagesHideUsersOfURLs() {
  let error = SettingsError.wrongValue(
    origin: .commandLine("-S"), section: "components", option: "bcfg2", value: "https://u:SEC@RET@h:1/a@b //x:y@z",
    allowed: "x")
  #expect(error.description.contains("'https://...@h:1/a@b //...@z'"), "\(error)")
}

@Test func aRepositoryIsTheArgumentOfCheckAlone() throws {
  let checked = try typed("--check", "/srv/new", "-C", "b.conf")
  #expect(checked.checksRepository && checked.values.map(\.value.text) == ["/srv/new"])
  #expect(try typed("--check", "--client", "a").renderClient == "a")
  for wrong in [["/srv/new"], ["--check", "a", "b"], ["--check", "--check-templates"], ["--check", "--render", "f"]] {
    guard case .usage = CommandLineOptions.parse(["bcfg2-server"] + wrong, version: "0") else {
      Issue.record("\(wrong)")
      continue
    }
  }
}

@Test nonisolated func theFileOfTheReportPagesMayBeForTheirUserAlone() throws {
  var files = ConfigurationFiles()
  files.forbidden = ["/etc/bcfg2-web.conf", "/srv/named.conf"]
  func read(_ text: String) throws -> Settings {
    try Settings(INIFile(bytes: Array(text.utf8), path: "bcfg2.conf"), registry: .server, files: files)
  }
  #expect(try read("[reporting]\n").warnings.isEmpty)
  // One that somebody named is needed.
  #expect(throws: SettingsError.unreadable(path: "/srv/named.conf", reason: "Permission denied")) {
    try read("[reporting]\nconfig = /srv/named.conf\n")
  }
}

@Test nonisolated func defaultsOfAnEmptyFileAreTheBuiltInOnes() throws {
  let read = try settings("")
  let built = Settings()
  #expect(read.repository == "/var/lib/bcfg2")
  #expect(
    read.plugins == ["Bundler", "Cfg", "Metadata", "Pkgmgr", "Rules", "SSHbase"] && read.plugins == built.plugins)
  #expect(
    read.ignoredFiles == ["*~", "*#", ".#*", "*.swp", "*.swpx", ".*.swx", "SCCS", ".svn", "4913", ".gitignore"])
  #expect(read.isFileMonitorBlocking && built.isFileMonitorBlocking && read.fileMonitor == built.fileMonitor)
  #expect(read.transportProtocol == "xmlrpc/tlsv1" && built.transportProtocol == read.transportProtocol)
  #expect(read.location == ServerLocation(host: "localhost", port: 6789) && built.location == read.location)
  #expect(read.umask == 0o077 && read.user == 0 && read.group == 0 && read.children == nil)
  #expect(read.pathDefaults == built.pathDefaults && read.pathDefaults.mode == "644")
  #expect(read.performanceInterval == .seconds(300) && built.performanceInterval == read.performanceInterval)
  #expect(read.password == nil && read.certificateAuthority == nil && read.logPath == nil && read.logsToSyslog)
  #expect(read.authentication == "cert+password" && read.clientMetadataCache == .off)
  #expect(!read.listensOnAll && !read.debug && !read.verbose)
  #expect(read.versionControlRoot == "/var/lib/bcfg2")
  #expect(read[DatabaseOptions.standard.name] == "/var/lib/bcfg2/etc/bcfg2.sqlite")
  #expect(read.value("reporting", "file_limit")?.value == .integer(1 << 20))
  #expect(read.warnings.isEmpty)
}

@Test nonisolated func compatibilityChoosesTheOlderDefaults() throws {
  let read = try settings("[server]\ncompatibility = 1.3\n")
  #expect(read.compatibility == .v1_3 && read.isFileMonitorBlocking && read.transportProtocol == "xmlrpc/ssl")
  #expect(
    read.pathDefaults.important == "False" && read[DatabaseOptions.standard.host] == "localhost"
      && read.versionControlRoot == nil)
}

@Test nonisolated func everyDefaultFitsItsKind() {
  for definition in SettingRegistry.server.definitions {
    for text in [definition.standard, definition.standard13 ?? nil] {
      guard let text else { continue }
      #expect(definition.kind.parse(text, repository: "/r") != nil, "[\(definition.section)] \(definition.option)")
    }
  }
}

@Test nonisolated func valuesReachTheirProperties() throws {
  let read = try settings(
    """
    [server]
    repository = /srv/bcfg2
    plugins = Bundler , Cfg,
     Metadata
    vcs_root = <repository>/..
    children = 3
    backend = MultiProcessing
    [communication]
    password = se%cret
    ca =
    [components]
    bcfg2 = https://[::1]:7000/
    [logging]
    performance_interval = 0
    [caching]
    client_metadata = on
    [database]
    options = {'timeout': 30, 'init': "x", 'list': [1, (True, None)]}
    """)
  #expect(read.repository == "/srv/bcfg2" && read.plugins == ["Bundler", "Cfg", "Metadata"])
  #expect(read.versionControlRoot == "/srv" && read.children == 3 && read.backend == "multiprocessing")
  #expect(read.password == "se%cret" && read.certificateAuthority == nil)
  #expect(read.location == ServerLocation(host: "::1", port: 7000))
  #expect(read.performanceInterval == nil && read.clientMetadataCache == .cautious)
  #expect(
    read[DatabaseOptions.standard.options] == [
      "timeout": .integer(30), "init": .text("x"), "list": .list([.integer(1), .list([.boolean(true), .none])]),
    ])
  #expect(read[DatabaseOptions.standard.name] == "/srv/bcfg2/etc/bcfg2.sqlite")
  #expect(read.origin(of: "server", "children") == .file(path: "bcfg2.conf", line: 6))
}

@Test(arguments: [
  ("server", "listen_all", "perhaps"), ("server", "children", "0"), ("server", "children", "two"),
  ("server", "umask", "0888"), ("server", "umask", "7777"), ("server", "user", "no such user"),
  ("server", "group", "no such group"), ("server", "filemonitor", "eyes"), ("server", "backend", "rust"),
  ("communication", "protocol", "gopher"), ("communication", "authentication", "none"),
  ("communication", "timeout", "-1"), ("components", "bcfg2", "http://h:1"), ("components", "bcfg2", "https://h:0"),
  ("components", "bcfg2", "https://h:99999"), ("components", "bcfg2", "https://"),
  ("logging", "performance_interval", "soon"), ("caching", "client_metadata", "maybe"),
  ("reporting", "file_limit", "1x"), ("reporting", "file_limit", "9999999999t"),
  ("database", "options", "{'a': }"), ("database", "options", "{1: 2}"), ("reporting", "redis_port", "65536"),
])
nonisolated func wrongValuesNameTheirPlaceAndWhatIsAllowed(_ row: (section: String, option: String, value: String))
  throws
{
  let error = #expect(throws: SettingsError.self) {
    try settings("[\(row.section)]\n\n\(row.option) = \(row.value)\n")
  }
  let allowed = try #require(SettingRegistry.server.definition(row.section, row.option)).kind.allowed
  #expect(
    error
      == .wrongValue(
        origin: .file(path: "bcfg2.conf", line: 3), section: row.section, option: row.option, value: row.value,
        allowed: allowed))
}

@Test nonisolated func unknownNamesGiveWarningsAndForeignOnesDoNot() throws {
  let read = try settings(
    "[server]\nrepositry = /x\n[Server]\nx=1\n[odd]\ny=1\n[client]\ndrivers=x\n[communication]\nuser = root\n"
      + "retrys = 1\n[statistics]\ndatabase_engine = mysql\n")
  #expect(
    read.warnings.map(\.description) == [
      "bcfg2.conf:13: [statistics] database_engine is deprecated, use [database] engine instead",
      "bcfg2.conf:2: unknown option repositry in [server], ignored; did you mean repository?",
      "bcfg2.conf:3: unknown section [Server]; section names are exact, this one is [server]",
      "bcfg2.conf:11: unknown option retrys in [communication], ignored; did you mean retries?",
    ])
  #expect(read[DatabaseOptions.standard.engine] == "mysql")
}

@Test nonisolated func aRegistryTakesFurtherDefinitions() throws {
  var registry = SettingRegistry.server
  registry.add([SettingDefinition("server", "max_clients", .integer(1...9), default: "5", .ours, help: "Limit")])
  let file = try INIFile(bytes: Array("[server]\nmax_clients = 7\n".utf8), path: "f")
  #expect(try Settings(file, registry: registry).value("server", "max_clients")?.value == .integer(7))
  #expect(try Settings(INIFile(), registry: registry).value("server", "max_clients")?.origin == .builtIn)
  #expect(try Settings(file, registry: .server).warnings.count == 1)
}

@Test func theCommandLineWinsOverTheFile() throws {
  let file = "[server]\nrepository = /file\nlisten_all = no\n[logging]\npath = /file.log\n[cfg]\nvalidation = yes\n"
  let read = try settings(
    file,
    typed(
      "-Q", "/typed", "--listen-all", "-o/typed.log", "--no-fam-blocking", "-D", "/run/x.pid", "-dv", "-S",
      "https://h", "--chil=2", "-X", "-xsecret", "--cfg-validation", "-EISO-8859-1", "--ssl-key=/k", "-t", "9"))
  #expect(read.repository == "/typed" && read.listensOnAll && read.logPath == "/typed.log")
  #expect(!read.isFileMonitorBlocking && read.pidFile == "/run/x.pid" && read.debug && read.verbose)
  #expect(read.location == ServerLocation(host: "h", port: 6789) && read.children == 2 && read.password == "secret")
  #expect(read.encoding == "ISO-8859-1" && read.key == "/k")
  #expect(read.origin(of: "server", "listen_all") == .commandLine("--listen-all"))
  #expect(read.value("reporting", "web_debug")?.value.boolean == true)
  #expect(throws: SettingsError.self) { try settings(file, typed("--children=none")) }
}

@Test(
  arguments: [
    ("--bogus", "--bogus"), ("-Z", "-Z"), ("-C", "-C"), ("--config", "--config"), ("extra", "extra"),
    ("--listen-all=1", "--listen-all"), ("--", nil), ("--l", "--l"), ("", ""),
  ] as [(String, String?)])
func wrongCommandLinesAreUsageErrors(_ row: (argument: String, named: String?)) {
  switch CommandLineOptions.parse(["/usr/sbin/bcfg2-server", row.argument], version: "1") {
  case .usage(let text):
    #expect(text.hasPrefix("bcfg2-server: ") && row.named.map { text.contains("'\($0)") } == true, "\(text)")
  case .run: #expect(row.named == nil)
  case .print: Issue.record("nothing to print")
  }
}

@Test func helpNamesEveryOptionAndVersionIsPrinted() {
  guard case .print(let help) = CommandLineOptions.parse(["x/bcfg2-server", "-h"], version: "1") else {
    Issue.record("no help")
    return
  }
  for option in CommandLineOptions.options { #expect(help.contains("--\(option.long)")) }
  #expect(CommandLineOptions.parse(["bcfg2-server", "--version"], version: "1.2") == .print("bcfg2-server 1.2\n"))
}

@Test nonisolated func theFileComesFromOptionThenEnvironment() {
  var options = CommandLineOptions()
  let environment = ["BCFG2_CONFIG_FILE": "/nowhere/14", "BCFG2_CONFIG": "/nowhere/13"]
  #expect(throws: SettingsError.unreadable(path: "/nowhere/14", reason: "No such file or directory")) {
    try Settings.load(options, registry: .server) { environment[$0] }
  }
  #expect(throws: SettingsError.unreadable(path: "/nowhere/13", reason: "No such file or directory")) {
    try Settings.load(options, registry: .server) { $0 == "BCFG2_CONFIG" ? "/nowhere/13" : nil }
  }
  options.configurationFile = "/nowhere/../typed/./file"
  #expect(throws: SettingsError.unreadable(path: "/typed/file", reason: "No such file or directory")) {
    try Settings.load(options, registry: .server) { environment[$0] }
  }
}

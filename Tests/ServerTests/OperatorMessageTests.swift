import CoreSupport
import EventLoop
import Formats
import Glibc
import Logging
import Repository
import Server
import Support
import Synchronization
import Testing

@testable import Core
@testable import Plugins
@testable import ServerSettings

/// What an administrator reads of mistakes: where, what, and what to do.
@Suite struct OperatorMessageTests {
  // MARK: bcfg2.conf

  @Test(arguments: [
    ("pasword", "password"), ("passwrod", "password"), ("plugns", "plugins"), ("repositry", "repository"),
    ("PASSWORD", "password"), ("protocl", "protocol"), ("caa", "ca"), ("xy", nil), ("", nil),
    ("certificat", "certificate"),
    ("pqrstord", nil), ("colour", nil),
  ])
  func theNearestNameIsFound(_ row: (typed: String, meant: String?)) {
    let known = ["password", "plugins", "repository", "protocol", "ca", "certificate"]
    let meant = row.typed == "caa" ? nil : row.meant
    #expect(NearestName.of(row.typed, among: known) == meant, "\(row.typed)")
  }

  private func load(_ text: String) throws -> (path: String, warnings: [String]) {
    let folder = TemporaryDirectory()
    let path = folder.write(text, to: "bcfg2.conf")
    var options = CommandLineOptions()
    options.configurationFile = path
    return (path, try Settings.load(options, registry: PluginRegistry.standard.settings).warnings.map(\.description))
  }

  @Test func warningsOfServingAreToldFromOthers() throws {
    let folder = TemporaryDirectory()
    var options = CommandLineOptions()
    options.configurationFile = folder.write(
      "[server]\nplugns = Bundler\nproxy_protocol = yes\n[communication]\npassword =\ncrl = /x\n", to: "bcfg2.conf")
    let warnings = try Settings.load(options, registry: PluginRegistry.standard.settings).warnings
    #expect(warnings.filter(\.isOfServing).count == 3, "\(warnings)")
    #expect(warnings.filter { !$0.isOfServing }.map(\.text).count == 1, "\(warnings)")
  }

  @Test func aMistypedOptionIsNamedWithTheOneThatWasMeant() throws {
    let (path, warnings) = try load(
      "[server]\nplugns = Bundler\nprotocol = x\n[communication]\npasword = x\n[comunication]\na = b\n[mysite]\nc = d\n"
    )
    #expect(
      warnings == [
        "\(path):2: unknown option plugns in [server], ignored; did you mean plugins?",
        "\(path):3: unknown option protocol in [server], ignored; it belongs to [communication]",
        "\(path):5: unknown option pasword in [communication], ignored; did you mean password?",
        "\(path):6: unknown section [comunication]; did you mean [communication]?",
        "\(path):4: [communication] password is not set: clients get 401 unless clients.xml gives them a password",
      ])
  }

  @Test func sectionsOfOtherProgramsGiveNoWarning() throws {
    let text = SettingRegistry.foreignSettings.filter { $0.value == ["*"] }.keys.sorted()
      .map { "[\($0)]\nsomething = 1\n" }.joined()
    #expect(try load(text + "[communication]\npassword = x\nretries = 3\nserverCommonNames = a\n").warnings == [])
  }

  @Test func aMissingOrEmptyPasswordIsToldOf() throws {
    let missing = try load("[server]\n")
    #expect(
      missing.warnings == [
        "\(missing.path):1: [communication] password is not set: clients get 401 unless clients.xml gives them a password"
      ])
    let ca = try load("[communication]\nca = /x\n")
    #expect(
      ca.warnings.count == 1 && ca.warnings[0].hasSuffix("or they come with a certificate that is enough by itself"))
    let empty = try load("[communication]\n\npassword =\n")
    #expect(
      empty.warnings == [
        "\(empty.path):3: [communication] password is empty: whoever gives no password is let in as any client"
      ])
    #expect(try load("[communication]\nauthentication = cert\n").warnings == [])
  }

  @Test func aPasswordThatClientsCannotSendIsToldOf() throws {
    let blanks = try load("[communication]\npassword = a long word\n")
    #expect(
      blanks.warnings == [
        "\(blanks.path):2: [communication] password has blanks: Bcfg2's clients send a + for each, and get 401"
      ])
    #expect(try load("[communication]\npassword = a long word\npasswords = no\nca = /x\n").warnings == [])
    #expect(try load("[communication]\npassword = a+long_word-%2B\n").warnings == [])
  }

  // MARK: Plugins

  @Test func aPluginThatIsNotThereIsExplained() async throws {
    var settings = RepositoryFixture.settings
    settings.plugins = ["Metadata", "Metadatta", "Crontab", "Nothing"]
    try await RepositoryFixture.run(files: [:], settings: settings, loading: .nothing) { fixture async throws in
      try fixture.core.loadPlugins()
      #expect(
        fixture.log.lines.filter { $0.hasPrefix("error") } == [
          "error default: unknown plugin Metadatta, ignored; did you mean Metadata?",
          "error default: plugin Crontab exists no more: use Cfg for crontabs",
          "error default: unknown plugin Nothing, ignored",
        ])
    }
  }

  // MARK: Files of the repository

  @Test func anEditThatMistypesTheRootElementIsNotTaken() {
    let folder = TemporaryDirectory()
    let monitor = ComparingMonitor()
    let log = LogRecorder()
    let path = folder.write("<Bundel><Path name='/a'/></Bundel>", to: "a.xml")
    let file = StructFile(path: path, monitor: monitor, logger: log.logger)
    file.rootTags = ["Bundle"]
    func write(_ text: String) {
      folder.write(text, to: "a.xml")
      monitor.processPending()
    }
    file.watch()
    let wrong = "error \(path):1: The root element is <Bundel>, it should be <Bundle>"
    // As in Bcfg2, to which the name does not matter.
    #expect(file.root?.tag == "Bundel" && log.take() == ["\(wrong); the file is used all the same, as in Bcfg2"])
    write("<Bundel><Path name='/ab'/></Bundel>")
    #expect(file.root?.children.first?.name == "/ab" && log.take() == [])
    write("<Bundle><Path name='/b'/></Bundle>")
    #expect(file.root?.children.first?.name == "/b" && log.take() == [])
    write("<Bundel/>")
    #expect(file.root?.children.first?.name == "/b" && log.take() == [wrong])
    write("<Rules><Path name='/r'/></Rules>")
    #expect(file.root?.children.first?.name == "/b" && log.take().count == 1)
    write("<Bndle><Path name='/r'/></Bndle>")
    #expect(file.root?.children.first?.name == "/b" && log.take().count == 1)
    // A name that is not near the right one may be meant.
    write("<A><Path name='/a'/></A>")
    #expect(file.root?.children.first?.name == "/a")
    #expect(
      log.take() == [
        "error \(path):1: The root element is <A>, it should be <Bundle>; the file is used all the same, as in Bcfg2"
      ])
    write("<Bundle><Path name='/c'/></Bundle>")
    #expect(file.root?.children.first?.name == "/c" && log.take() == [])
  }

  @Test(arguments: [
    "Bundler/entries.xml", "Rules/r.xml", "Defaults/d.xml", "Deps/d.xml", "Pkgmgr/p.xml", "Base/b.xml",
    "Metadata/clients.xml", "Metadata/groups.xml", "Decisions/whitelist.xml", "GroupPatterns/config.xml",
    "GroupLogic/groups.xml", "FileProbes/config.xml", "NagiosGen/config.xml", "ACL/ip.xml", "ACL/metadata.xml",
    "Cfg/f/info.xml", "Cfg/k/privkey.xml", "SSLCA/c/cert.xml",
  ])
  func everyKindOfFileKeepsItsRootElement(_ path: String) async throws {
    let roots = [
      "Rules/r.xml": "<Rules priority='1'/>", "Defaults/d.xml": "<Defaults priority='1'/>",
      "Deps/d.xml": "<Dependencies priority='1'/>", "Pkgmgr/p.xml": "<PackageList priority='1'/>",
      "Base/b.xml": "<Base/>", "Decisions/whitelist.xml": "<Decisions/>",
      "GroupPatterns/config.xml": "<GroupPatterns/>", "GroupLogic/groups.xml": "<GroupLogic/>",
      "FileProbes/config.xml": "<FileProbes/>", "NagiosGen/config.xml": "<NagiosGen/>", "ACL/ip.xml": "<ACL/>",
      "ACL/metadata.xml": "<ACL/>", "Cfg/f/info.xml": "<FileInfo/>", "Cfg/k/privkey.xml": "<PrivateKey/>",
      "SSLCA/c/cert.xml": "<CertInfo/>",
    ]
    var settings = RepositoryFixture.settings
    settings.plugins = [
      "Bundler", "Metadata", "Rules", "Defaults", "Deps", "Pkgmgr", "Base", "Decisions", "GroupPatterns", "GroupLogic",
      "FileProbes", "NagiosGen", "ACL", "Cfg", "SSLCA",
    ]
    SharedLog.begin()
    try await RepositoryFixture.run(files: RepositoryFixture.files(roots), settings: settings) { fixture async throws in
      let count = await fixture.core.metadata.listClients().count
      fixture.edit(path, "<Wrong/>")
      let found = SharedLog.lines.contains {
        $0.contains("\(fixture.repository.file(path)):1: The root element is <Wrong>, it should be <")
      }
      #expect(found, "\(path)")
      #expect(await fixture.core.metadata.listClients().count == count)
    }
  }

  @Test func aDeprecationIsToldOnceForAFile() {
    let folder = TemporaryDirectory()
    let monitor = ComparingMonitor()
    let log = LogRecorder()
    let path = folder.write("<Bundle name='a'/>", to: "a.xml")
    let file = BundleFile(path: path, monitor: monitor, logger: log.logger)
    file.watch()
    let line = "warning Bundler: \(path): Explicitly specifying bundle names is deprecated"
    #expect(log.take() == [line])
    // The file is read again, as when settings change.
    file.load()
    #expect(log.take() == [])
    folder.write("<Bundle name='a'><Path name='/x'/></Bundle>", to: "a.xml")
    monitor.processPending()
    #expect(log.take() == [line])
  }

  // MARK: The process

  @Test func aPidFileThatIsUsedAgainIsExplained() throws {
    let folder = TemporaryDirectory()
    for (text, line) in [
      ("", "existed without a process number; it is replaced"),
      (
        "1\n", "was left by a crashed server: process 1 is no running Bcfg2 server; it is replaced"
      ),
    ] {
      let path = folder.write(text, to: "pid")
      let file = try PidFile.acquire(path)
      #expect(file.replacement == "\(path) \(line)")
      file.remove()
    }
    let other = folder.write("precious text\n", to: "notes")
    let error = #expect(throws: PidFileError.self) { try PidFile.acquire(other) }
    #expect(
      error?.description
        == "open \(other): it holds something other than the number of a process; name another file, or remove this one"
    )
    let isFolder = #expect(throws: PidFileError.self) { try PidFile.acquire(folder.path) }
    #expect(isFolder?.description == "open \(folder.path): a folder; -D wants the path of a file in it")
  }

  @Test func theFolderOfAPidFileIsToldOfWhenItIsCreated() throws {
    let folder = TemporaryDirectory()
    let path = folder.file("run/bcfg2/pid")
    #expect(
      try Daemonize.makeFolder(ofPidFile: path, user: getuid(), group: getgid()) == folder.file("run/bcfg2"))
    #expect(try Daemonize.makeFolder(ofPidFile: path, user: getuid(), group: getgid()) == nil)
  }

  @Test func aLogThatCannotBeOpenedAgainGoesOnAndSaysSo() throws {
    let folder = TemporaryDirectory()
    try #require(mkdir(folder.file("log"), 0o755) == 0)
    let path = folder.file("log/server.log")
    let router = LogRouter()
    router.configure([(try FileLog(path: path), .info)], standard: .info)
    // Its folder is gone: not even root can open it again.
    try #require(rename(folder.file("log"), folder.file("old")) == 0)
    router.reopen()
    let text = try folder.text("old/server.log")
    let isTold = text.contains(
      "The log file could not be opened again: open \(path): No such file or directory. "
        + "Logging goes on to the file that was open\n")
    #expect(isTold, "\(text)")
  }

  @Test(.enabled(if: geteuid() == 0, "root alone gives files away"))
  func aLogThatRootCreatesIsTheDaemonsOwn() throws {
    let folder = TemporaryDirectory()
    let path = folder.file("log")
    _ = try FileLog(path: path, owner: (1234, 1235))
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_uid == 1234 && status.st_gid == 1235)
    // A log file that exists keeps its owner, also behind a link.
    let other = folder.write("", to: "other")
    try #require(symlink(other, folder.file("link")) == 0)
    _ = try FileLog(path: folder.file("link"), owner: (1234, 1235))
    #expect(stat(other, &status) == 0 && status.st_uid == 0)
    // The daemon's user cannot have root write elsewhere.
    try #require(chown(folder.path, 1234, 1235) == 0)
    for link in ["link", "dangling"] {
      _ = symlink(folder.file("new"), folder.file("dangling"))
      let error = #expect(throws: SystemError.self) { try FileLog(path: folder.file(link), owner: (1234, 1235)) }
      #expect(
        error?.description
          == "open \(folder.file(link)): \(link) is a symbolic link, and others than root may write to its folder")
    }
    #expect(access(folder.file("new"), F_OK) == -1)
  }
}

/// Errors in the process's log, which is that of every plugin, and which all tests share.
private nonisolated enum SharedLog {
  private static let recorder: LogRecorder = {
    let recorder = LogRecorder(level: .error)
    LoggingSystem.bootstrap(recorder.handler)
    return recorder
  }()

  static var lines: [String] { recorder.lines }

  /// From here on lines are kept.
  static func begin() { _ = recorder }
}

import Core
import CoreSupport
import EventLoop
import Glibc
import Plugins
import Repository
import ServerSettings
import Support
import Testing
import XMLRPC

/// A missing repository is not an empty repository.
@Suite struct AwayRepositoryTests {
  /// A plugin, what its folder holds, and a call whose answer it decides.
  nonisolated struct Row: CustomTestStringConvertible, Sendable {
    /// The answer while the plugin's folder is missing.
    enum Effect { case none, fails }

    let plugin: String
    var others: [String] = []
    var bundle = ""
    var files: [String: String] = [:]
    var call = "GetConfig"
    var parameters: [Value] = []
    /// A text of the answer that proves that the plugin has read its files.
    let mark: String
    /// True for plugins that run or find files on demand.
    var effect = Effect.none
    /// False: the folder is not watched, clients' data is read on demand.
    var isFollowed = true

    var testDescription: String { plugin }
  }

  nonisolated static let rows: [Row] = [
    Row(plugin: "Bundler", bundle: "<BoundPackage name='from-bundle'/>", mark: "from-bundle"),
    Row(plugin: "Metadata", bundle: "<Group name='web'><BoundPackage name='for-web'/></Group>", mark: "for-web"),
    Row(
      plugin: "Cfg", bundle: "<Path name='/etc/motd'/>", files: ["Cfg/etc/motd/motd.G10_web": "hello\n"], mark: "hello"),
    Row(
      plugin: "Rules", bundle: "<Package name='p'/>",
      files: ["Rules/r.xml": "<Rules priority='1'><Package name='p' version='7'/></Rules>"], mark: "version=\"7\""),
    Row(
      plugin: "Pkgmgr", bundle: "<Package name='p'/>",
      files: [
        "Pkgmgr/p.xml": "<PackageList uri='u' priority='1' type='deb'><Package name='p' version='8'/></PackageList>"
      ], mark: "version=\"8\""),
    Row(
      plugin: "Defaults", others: ["Rules"], bundle: "<Package name='p'/>",
      files: [
        "Rules/r.xml": "<Rules priority='1'><Package name='p'/></Rules>",
        "Defaults/d.xml": "<Defaults><Package name='.*' type='by-default'/></Defaults>",
      ], mark: "by-default"),
    Row(
      plugin: "Deps", others: ["Rules"], bundle: "<Package name='p'/>",
      files: [
        "Rules/r.xml": "<Rules priority='1'><Package name='p'/><Package name='needed'/></Rules>",
        "Deps/d.xml": "<Dependencies priority='1'><Package name='p'><Package name='needed'/></Package></Dependencies>",
      ], mark: "name=\"needed\""),
    Row(plugin: "Base", files: ["Base/b.xml": "<Base><BoundPackage name='based'/></Base>"], mark: "based"),
    Row(
      plugin: "GroupPatterns", bundle: "<Group name='patterned'><BoundPackage name='for-patterned'/></Group>",
      files: [
        "GroupPatterns/config.xml":
          "<GroupPatterns><GroupPattern><NamePattern>^one</NamePattern><Group>patterned</Group></GroupPattern></GroupPatterns>"
      ], mark: "for-patterned"),
    Row(
      plugin: "GroupLogic", bundle: "<Group name='logical'><BoundPackage name='for-logical'/></Group>",
      files: [
        "GroupLogic/groups.xml": "<GroupLogic><Group name='web'><Group name='logical'/></Group></GroupLogic>"
      ], mark: "for-logical"),
    Row(
      plugin: "Probes", files: ["Probes/kind": "#!/bin/sh\necho probed\n"], call: "GetProbes", mark: "echo probed"),
    Row(
      plugin: "FileProbes", others: ["Cfg"],
      files: ["FileProbes/config.xml": "<FileProbes><FileProbe name='/etc/asked' update='true'/></FileProbes>"],
      call: "GetProbes",
      mark: "/etc/asked"),
    Row(
      plugin: "Decisions",
      files: ["Decisions/whitelist.xml": "<Decisions><Decision type='Package' name='allowed'/></Decisions>"],
      call: "GetDecisionList", parameters: ["whitelist"], mark: "allowed"),
    Row(
      plugin: "SSHbase", bundle: "<Path name='/etc/ssh/ssh_host_rsa_key.pub'/>",
      files: [
        "SSHbase/ssh_host_rsa_key.pub.H_one.example.com": "ssh-rsa AAAA key\n",
        "SSHbase/ssh_host_rsa_key.H_one.example.com": "secret\n",
      ], mark: "ssh-rsa AAAA key"),
    Row(
      plugin: "SSLCA", bundle: "<Path name='/k'/>",
      files: ["SSLCA/k/key.xml": "<KeyInfo><Key/></KeyInfo>", "SSLCA/k/k.G10_web": "key of web\n"], mark: "key of web"),
    Row(
      plugin: "SEModules", bundle: "<SEModule name='m'/>", files: ["SEModules/m.pp/m.pp": "all"], mark: "YWxs"),
    Row(
      plugin: "ACL", files: ["ACL/ip.xml": "<IPACLs><Deny method='GetProbes'/></IPACLs>"], call: "GetProbes",
      mark: "denied"),
    Row(
      plugin: "Ohai", files: ["Ohai/one.example.com.json": "{}"], call: "GetProbes", mark: "ohai",
      isFollowed: false),
    Row(plugin: "Trigger", bundle: "<BoundPackage name='p'/>", files: ["Trigger/plain": ""], mark: "name=\"p\""),
    Row(
      plugin: "NagiosGen", bundle: "<Path name='/etc/nagiosgen.status'/>",
      files: ["NagiosGen/web-group.cfg": "web\n"], mark: "hostgroups", effect: .fails),
    Row(
      plugin: "PuppetENC", bundle: "<Group name='classified'><BoundPackage name='for-classified'/></Group>",
      files: ["PuppetENC/enc": "#!/bin/sh\necho 'classes: [classified]'\n"], mark: "for-classified", effect: .fails),
    Row(
      plugin: "Packages", bundle: "<Path name='/etc/yum.repos.d/bcfg2.repo'/>",
      files: [
        "Packages/sources.xml": """
        <Sources><Source type='yum' rawurl='http://y/'><Arch>web</Arch></Source></Sources>
        """
      ], mark: "baseurl = http://y/"),
    Row(
      plugin: "Properties", others: ["Cfg"], bundle: "<Path name='/etc/motd'/>",
      files: ["Properties/p.xml": "<Properties><a/></Properties>", "Cfg/etc/motd/motd": "hello\n"], mark: "hello"),
    Row(
      plugin: "TCheetah", others: [], bundle: "<Path name='/etc/motd'/>",
      files: ["TCheetah/etc/motd/template": "hello $metadata.hostname\n"], mark: "hello"),
    Row(
      plugin: "TemplateHelper", others: ["Cfg"], bundle: "<Path name='/etc/motd'/>",
      files: [
        "TemplateHelper/h.py": "__export__ = ['word']\nword = 'hello'\n",
        "Cfg/etc/motd/motd.genshi": "${metadata.TemplateHelper['h'].word}\n",
      ], mark: "hello"),
    Row(
      plugin: "Ldap", others: ["Cfg"], bundle: "<Path name='/etc/motd'/>",
      files: [
        "Ldap/config.py": """
        from Bcfg2.Server.Plugins.Ldap import LdapQuery
        __queries__ = ['Word']
        class Word(LdapQuery):
            def get_result(self, metadata, **kwargs):
                return 'hello'

        """, "Cfg/etc/motd/motd.genshi": "${metadata.Ldap['Word']}\n",
      ], mark: "hello"),
    Row(
      plugin: "TGenshi", others: [], bundle: "<Path name='/etc/motd'/>",
      files: ["TGenshi/etc/motd/template.newtxt": "hello $metadata.hostname\n"], mark: "hello"),
  ]

  private func fixture(_ row: Row, allowsCaching: Bool = false, on loop: Reactor) throws -> RepositoryFixture {
    try RepositoryFixture(
      away: [row.plugin].filter { !["Bundler", "Metadata"].contains($0) } + row.others, bundle: row.bundle, row.files,
      allowsCaching: allowsCaching, on: loop)
  }

  /// Plugins without a folder of their own, or with none that says anything of clients. Tags of AWSTags are the tests' own:
  /// `AWSTagsTests` has its folder away.
  @Test func theTableHasEveryPluginWithAFolder() {
    let without = ["AWSTags", "Guppy", "POSIXCompat", "Reporting", "ServiceCompat"]
    let named = Set(Self.rows.map(\.plugin)).union(without)
    for type in PluginRegistry.standard.all where type.createsFolder {
      #expect(named.contains(type.name), "\(type.name)")
    }
  }

  @Test(arguments: rows, [false, true]) func aPluginsFolderThatIsAwayKeepsWhatItHeld(row: Row, allowsCaching: Bool)
    async throws
  {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let fixture = try self.fixture(row, allowsCaching: allowsCaching, on: loop)
      let before = await fixture.askLocally(row.call, row.parameters)
      #expect(before.contains(row.mark), "\(before)")
      #expect(fixture.monitorLog.take().filter { $0.hasPrefix("error") } == [])
      let generation = fixture.core.repositoryGeneration

      fixture.move("repo/\(row.plugin)", "away")
      for _ in 0..<3 {
        let answer = await fixture.askLocally(row.call, row.parameters)
        switch row.effect {
        case .none: #expect(answer == before)
        case .fails: #expect(answer.contains("fault") || answer.contains("failure="), "\(answer)")
        }
      }
      #expect(fixture.core.repositoryGeneration == generation)
      guard row.isFollowed else { return }
      let lines = fixture.monitorLog.take()
      let path = fixture.folder.file("repo/\(row.plugin)")
      #expect(
        lines == ["error \(path): No such file or directory. The last state read stays in use"], "\(lines)")
      let away = try await fixture.awayStatistics()
      #expect(away.count == 1 && away[0].hasPrefix("\(path) away since 20"), "\(away)")

      // After the grace period: never less than clients had.
      fixture.setGrace(.nanoseconds(1))
      for method in ["GetConfig", "GetProbes"] where row.plugin != "ACL" {
        let answer = await fixture.askLocally(method)
        #expect(answer.hasPrefix("fault -32500 Critical failure: The repository cannot be read since 20"), "\(answer)")
      }
      fixture.setGrace(nil)

      fixture.move("away", "repo/\(row.plugin)")
      #expect(await fixture.askLocally(row.call, row.parameters) == before)
      #expect(fixture.monitor.troubles.isEmpty)
      #expect(try await fixture.awayStatistics() == [])
      await fixture.finishPrograms()
    }
  }

  @Test(arguments: rows) func aRepositoryThatIsAwayKeepsWhatItHeld(row: Row) async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let fixture = try self.fixture(row, on: loop)
      let before = await fixture.askLocally(row.call, row.parameters)
      fixture.move("repo", "away")
      let answer = await fixture.askLocally(row.call, row.parameters)
      #expect(row.effect == .fails || answer == before, "\(answer)")
      // One missing path is reported once.
      #expect(fixture.monitor.troubles.map(\.path) == [fixture.folder.file("repo")])
      #expect(fixture.monitorLog.take().count == 1)
      fixture.move("away", "repo")
      #expect(await fixture.askLocally(row.call, row.parameters) == before)
      #expect(fixture.monitor.troubles.isEmpty)
      await fixture.finishPrograms()
    }
  }

  @Test func aRepositoryThatComesBackIsOneChange() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let bundle = "<BoundPackage name='old'/><Group name='more'><BoundPackage name='for-more'/></Group>"
      let fixture = try RepositoryFixture(away: ["Cfg", "Rules"], bundle: bundle, on: loop)
      #expect(await fixture.askLocally("GetConfig").contains("name=\"old\""))
      // Edited while it is missing.
      fixture.move("repo", "away")
      #expect(await fixture.askLocally("GetConfig").contains("name=\"old\""))
      fixture.folder.write("<Bundle><BoundPackage name='new'/></Bundle>", to: "away/Bundler/entries.xml")
      fixture.folder.write("<Rules priority='1'/>", to: "away/Rules/r.xml")
      let generation = fixture.monitor.generation
      #expect(fixture.monitor.processPending() == 0)
      fixture.move("away", "repo")
      let answer = await fixture.askLocally("GetConfig")
      #expect(answer.contains("name=\"new\"") && !answer.contains("name=\"old\""))
      #expect(fixture.monitor.generation == generation + 1)

      // Another folder of that name, as a deployment swaps them.
      for (path, text) in RepositoryFixture.files(bundle: "<BoundPackage name='third'/>") {
        fixture.folder.write(text, to: "next/\(path)")
      }
      for name in ["Cfg", "Rules"] { mkdir(fixture.folder.file("next/\(name)"), 0o755) }
      fixture.move("repo", "old")
      fixture.move("next", "repo")
      #expect(await fixture.askLocally("GetConfig").contains("name=\"third\""))
      #expect(fixture.monitor.generation == generation + 2 && fixture.monitor.troubles.isEmpty)
      // And through a link whose target is missing in between.
      fixture.move("repo", "v1")
      symlink("v1", fixture.folder.file("repo"))
      #expect(await fixture.askLocally("GetConfig").contains("name=\"third\""))
      fixture.move("v1", "v2")
      #expect(await fixture.askLocally("GetConfig").contains("name=\"third\""))
      #expect(fixture.monitor.troubles.map(\.path) == [fixture.folder.file("v1")])
      fixture.folder.write("<Bundle><BoundPackage name='fourth'/></Bundle>", to: "v2/Bundler/entries.xml")
      unlink(fixture.folder.file("repo"))
      symlink("v2", fixture.folder.file("repo"))
      #expect(await fixture.askLocally("GetConfig").contains("name=\"fourth\""))
      #expect(fixture.monitor.troubles.isEmpty)
    }
  }

  @Test func whatIsDeletedInAFolderThatIsThereIsDeleted() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let fixture = try RepositoryFixture(
        away: ["Cfg"], bundle: "<Path name='/etc/motd'/>", ["Cfg/etc/motd/motd": "hello\n"], on: loop)
      #expect(await fixture.askLocally("GetConfig").contains("hello"))
      fixture.move("repo/Cfg/etc", "etc")
      #expect(await fixture.askLocally("GetConfig").contains("failure="))
      unlink(fixture.folder.file("repo/Bundler/entries.xml"))
      #expect(await !fixture.askLocally("GetConfig").contains("<Bundle"))
      #expect(fixture.monitor.troubles.isEmpty)
    }
  }

  /// Constant requests while the repository disappears and returns: every answer is one of its complete ones.
  @Test func underLoadEveryAnswerIsWhole() async throws {
    try await LoopDriver.withLoop { (loop: Reactor) async throws in
      let files = ["Cfg/etc/motd/motd": "hello\n", "Rules/r.xml": "<Rules priority='1'><Package name='p'/></Rules>"]
      let fixture = try RepositoryFixture(
        away: ["Cfg", "Rules"], bundle: "<Path name='/etc/motd'/><Package name='p'/>", files, on: loop)
      let whole = await fixture.askLocally("GetConfig")
      #expect(whole.contains("hello") && !whole.contains("failure="))
      var count = 0
      var wrong: [String] = []
      let load = (0..<8).map { _ in
        Task {
          while count < 400 {
            count += 1
            let answer = await fixture.askLocally("GetConfig")
            if answer != whole { wrong.append(answer) }
            await loop.nextIteration()
          }
        }
      }
      let folders = ["repo", "repo/Cfg", "repo/Bundler", "repo/Metadata", "repo/Rules"]
      for (number, folder) in (folders + folders).enumerated() {
        let (leaves, returns) = (number * 40 + 10, number * 40 + 30)
        while count < leaves { await loop.nextIteration() }
        fixture.move(folder, "away")
        while count < returns { await loop.nextIteration() }
        fixture.move("away", folder)
      }
      for task in load { await task.value }
      #expect(count >= 400 && wrong.isEmpty, "\(wrong.first ?? "")")
    }
  }

  @Test func aServerWhoseRepositoryIsNotThereDoesNotStart() async throws {
    try await RepositoryFixture.run(files: [:], loading: .nothing) { fixture async throws in
      fixture.folder.remove("repo")
      #expect(throws: CoreInitError.self) { try fixture.core.loadPlugins() }
      // Nothing is created in its place: a move of the real one would end up inside it.
      #expect(fixture.folder.names() == [])
    }
  }

  @Test func nothingIsMadeInThePlaceOfAPluginsFolder() throws {
    let folder = TemporaryDirectory()
    #expect(throws: SystemError.self) { try makeFolders(folder.file("Cfg/etc/x"), below: folder.file("Cfg")) }
    #expect(folder.names() == [])
    mkdir(folder.file("Cfg"), 0o755)
    try makeFolders(folder.file("Cfg/etc/x"), below: folder.file("Cfg"))
    #expect(isFolder(folder.file("Cfg/etc/x")))
  }

  @Test func theTimeThatIsGivenIsAnOption() throws {
    func grace(_ text: String) throws -> Duration? {
      try Settings(conf: text)
        .repositoryGrace
    }
    #expect(try grace("") == .seconds(600) && Settings().repositoryGrace == .seconds(600))
    #expect(try grace("[server]\nrepository_grace = 30\n") == .seconds(30))
    #expect(try grace("[server]\nrepository_grace = 0\n") == nil)
  }
}

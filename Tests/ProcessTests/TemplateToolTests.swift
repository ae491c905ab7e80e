import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-server --render FILE --client NAME`.
@Suite struct TemplateToolTests {
  /// A repository with templates, a bcfg2.conf, and the tool.
  private final class Fixture {
    let folder = TemporaryDirectory()
    let loop: Reactor

    init(_ templates: [String: String], conf: String = "", on loop: Reactor) {
      self.loop = loop
      folder.write(
        """
        [server]
        repository = \(folder.file("repo"))
        plugins = Bundler, Cfg, Metadata, Probes, Properties, Rules
        [communication]
        password = secret
        [templates]
        \(conf)
        """, to: "bcfg2.conf")
      folder.write(
        """
        <Groups><Group name="base" profile="true"><Group name="web"/><Bundle name="b"/></Group></Groups>
        """, to: "repo/Metadata/groups.xml")
      folder.write(
        "<Clients><Client name='one.example.com' profile='base'/></Clients>", to: "repo/Metadata/clients.xml")
      for (path, text) in templates { folder.write(text, to: "repo/" + path) }
    }

    func render(_ file: String, of client: String = "one.example.com") async throws -> (
      status: Int32, out: String, error: [String]
    ) {
      try await run(["--render", file, "--client", client])
    }

    func run(_ arguments: [String]) async throws -> (status: Int32, out: String, error: [String]) {
      let result = try await ChildProcess.run(
        [Project.server, "-C", folder.file("bcfg2.conf")] + arguments,
        timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
      let lines = String(decoding: result.standardError, as: UTF8.self)
        .replacing(folder.file("repo"), with: "REPO").split(separator: "\n").map(String.init)
      return (result.status.code, String(decoding: result.standardOutput, as: UTF8.self), lines)
    }

    /// Every file and folder below the repository, with what a write would change.
    func state(_ path: String = "repo") -> [String] {
      var status = stat()
      guard lstat(folder.file(path), &status) == 0 else { return [] }
      let own = "\(path) \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
      let below = status.st_mode & S_IFMT == S_IFDIR ? folder.names(in: path) : []
      return [own] + below.flatMap { state("\(path)/\($0)") }
    }
  }

  private static let repeatable = "repeatable: reused for clients with the same answers, until the data read changes"

  @Test func outputAndWhatWasReadArePrinted() async throws {
    try await LoopDriver.withLoop { loop in
      let template = """
        {% if 'web' in metadata.groups %}web of ${metadata.hostname}
        {% end %}\\
        ${open(repo + '/Data/x').read()}${metadata.Properties['p.xml'].xdata.get('a')} \\
        ${sorted(metadata.query.all_clients())[0]} ${metadata.categories.get('os')}
        """
      let fixture = Fixture(
        ["Cfg/etc/motd/motd.genshi": template, "Data/x": "data\n", "Properties/p.xml": "<P a='v'/>"], on: loop)
      let result = try await fixture.render("Cfg/etc/motd/motd.genshi")
      #expect(result.out == "web of one.example.com\ndata\nv one.example.com ")
      #expect(
        result.error == [
          "read: metadata: is web in groups", "read: metadata: hostname", "read: metadata: Properties[p.xml]",
          "read: metadata.query.all_clients()", "read: metadata: categories[os]", "read: REPO/Data/x", Self.repeatable,
        ])
      #expect(result.status == 0)
      // A bundle is an XML template; the same file by its whole path.
      fixture.folder.write(
        "<Bundle xmlns:py='http://genshi.edgewall.org/'><Package name='p-${metadata.profile}'/></Bundle>",
        to: "repo/Bundler/b.xml")
      let bundle = try await fixture.render(fixture.folder.file("repo/Bundler/b.xml"))
      #expect(bundle.out == "<Bundle><Package name=\"p-base\"/></Bundle>" && bundle.status == 0)
      #expect(bundle.error == ["read: metadata: profile", Self.repeatable])
    }
  }

  @Test func whyItIsNotRepeatableIsPrinted() async throws {
    try await LoopDriver.withLoop { loop in
      let templates = [
        "Cfg/t/t.genshi": "{% python import time %}${time.time() > 0} ${open('/etc/hosts').read() and ''}"
      ]
      let fixture = Fixture(templates, on: loop)
      let result = try await fixture.render("Cfg/t/t.genshi")
      #expect(result.out == "True " && result.status == 0)
      #expect(result.error == ["not repeatable: reads the time (time.time)", "not repeatable: reads /etc/hosts"])
      let never = try await Fixture(templates, conf: "cache = never", on: loop).render("Cfg/t/t.genshi")
      #expect(never.out == "True ")
      #expect(
        never.error == ["not repeatable: nothing is recorded ([templates] cache, or a Python before 3.8)"])
    }
  }

  @Test func aFailureIsOneLineAndStatus1() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(
        [
          "Cfg/t/t.genshi": "a\n${1 / 0}\n", "Cfg/plain/plain": "x", "Bundler/b.xml": "<Bundle/>",
          "Cfg/s/s.genshi": "{% python\nx = =\n%}", "Bundler/broken.xml": "<Bundle>\n",
        ], on: loop)
      let table = [
        (
          "Cfg/t/t.genshi", "one.example.com",
          "ZeroDivisionError: integer division or modulo by zero at '${1 / 0}' (REPO/Cfg/t/t.genshi, line 2)"
        ),
        ("Cfg/t/t.genshi", "nobody.example.com", "there is no client nobody.example.com"),
        ("Cfg/no/no.genshi", "one.example.com", "open REPO/Cfg/no/no.genshi: No such file or directory"),
        ("Cfg/plain/plain", "one.example.com", "REPO/Cfg/plain/plain is no template of the repository REPO"),
        ("Bundler/b.xml", "one.example.com", "REPO/Bundler/b.xml is no template of the repository REPO"),
        (
          "Cfg/s/s.genshi", "one.example.com",
          "Failed to load template: invalid syntax (REPO/Cfg/s/s.genshi, line 2)"
        ),
        ("/etc/hosts", "one.example.com", "/etc/hosts is no template of the repository REPO"),
      ]
      for (file, client, message) in table {
        let result = try await fixture.render(file, of: client)
        #expect(result.out == "" && result.status == 1)
        #expect(result.error == ["bcfg2-server: \(message)"])
      }
      let broken = try await fixture.render("Bundler/broken.xml")
      let reason = "REPO/Bundler/broken.xml:2: Premature end of data in tag Bundle line 1"
      #expect(broken.status == 1)
      // The plugin, which reads the file first, says the same.
      #expect(broken.error == [reason, "bcfg2-server: \(reason)"])
      let alone = try await ChildProcess.run(
        [Project.server, "-C", fixture.folder.file("bcfg2.conf"), "--render", "x"], timeout: .seconds(60),
        outputLimitBytes: 1 << 16, on: loop)
      #expect(alone.status == .exited(2))
      #expect(String(decoding: alone.standardError, as: UTF8.self).contains("--render and --client need each other"))
    }
  }

  @Test func whatIsNoTemplateWith13IsNotRendered() async throws {
    let text = "<X xmlns:py='http://genshi.edgewall.org/'>${1 + 1}</X>"
    try await LoopDriver.withLoop { loop in
      for version in ["1.3", "1.4"] {
        let fixture = Fixture(
          [
            "Rules/r.xml": text.replacing("X", with: "Rules"), "Bundler/b.xml": text.replacing("X", with: "Bundle"),
            "Cfg/j/j.jinja2": "{{ 1 + 1 }}",
          ],
          conf: "[server]\ncompatibility = \(version)\n", on: loop)
        let rules = try await fixture.render("Rules/r.xml")
        let refusal = "bcfg2-server: REPO/Rules/r.xml is no template with [server] compatibility = 1.3"
        #expect(rules.status == (version == "1.3" ? 1 : 0))
        #expect(rules.error.contains(refusal) == (version == "1.3"), "\(rules.error)")
        #expect(try await fixture.render("Bundler/b.xml").out == "<Bundle>2</Bundle>")
        let jinja = try await fixture.render("Cfg/j/j.jinja2")
        #expect(jinja.out == (version == "1.3" ? "" : "2"))
        if version == "1.3" {
          let path = "REPO/Cfg/j/j.jinja2"
          #expect(
            jinja.error == [
              "Cfg: \(path) has no effect with [server] compatibility = 1.3",
              "bcfg2-server: \(path) is no template of the repository REPO",
            ])
        }
      }
    }
  }

  @Test func itsOwnOutputIsShownAndNothingOfOthers() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(
        [
          "Cfg/t/t.genshi": "{% python\nprint('looked up')\n%}\\\nx", "Bundler/broken.xml": "<Bundle>",
          "Cfg/other/other.genshi": "${1 +}",
        ], on: loop)
      let result = try await fixture.render("Cfg/t/t.genshi")
      #expect(result.out == "x" && result.status == 0)
      #expect(result.error.contains("REPO/Cfg/t/t.genshi: looked up"), "\(result.error)")
      #expect(!result.error.contains { $0.contains("broken") || $0.contains("other") }, "\(result.error)")
    }
  }

  @Test func allTemplatesAreCheckedForOneClientOfEachProfile() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(
        [
          "Metadata/groups.xml": "<Groups><Group name='base' profile='true'><Bundle name='b'/></Group>"
            + "<Group name='db' profile='true'><Bundle name='b'/><Bundle name='x'/></Group></Groups>",
          "Metadata/clients.xml": "<Clients><Client name='a.example.com' profile='base'/>"
            + "<Client name='b.example.com' profile='base'/><Client name='c.example.com' profile='db'/></Clients>",
          "Bundler/b.xml": "<Bundle><Path name='/good'/><Path name='/db'/></Bundle>",
          "Bundler/x.xml":
            "<Bundle xmlns:py='http://genshi.edgewall.org/'>\n<Path py:for='n in nosuch' name='$n'/></Bundle>",
          "Cfg/good/good.genshi": "$name",
          "Cfg/good/info.xml":
            "<FileInfo xmlns:py='http://genshi.edgewall.org/'><Info owner='${metadata.profile}'/></FileInfo>",
          "Cfg/unused/unused.genshi": "x\n${1 +}\n", "Cfg/idle/idle.jinja2": "x",
          "Cfg/db/db.genshi": "a\n${1 / (metadata.profile != 'db')}\n",
        ], on: loop)
      let before = fixture.state()
      let result = try await fixture.run(["--check-templates"])
      let lines = result.out.replacing(fixture.folder.file("repo"), with: "REPO").split(separator: "\n").map(
        String.init)
      #expect(
        lines == [
          "REPO/Bundler/x.xml: UndefinedError: \"nosuch\" not defined at '<Expression 'iter(nosuch)'>' "
            + "(REPO/Bundler/x.xml, line 2) (for c.example.com)",
          "REPO/Cfg/db/db.genshi: ZeroDivisionError: integer division or modulo by zero at "
            + "'${1 / (metadata.profile != 'db')}' (REPO/Cfg/db/db.genshi, line 2) (for c.example.com)",
          "REPO/Cfg/unused/unused.genshi: invalid syntax (REPO/Cfg/unused/unused.genshi, line 2)",
          "REPO/Cfg/idle/idle.jinja2: rendered for none of these clients, only loaded",
          "6 templates, 2 clients: 2 rendered, 3 failed",
        ], "\(lines) \(result.error)")
      #expect(result.status == 1 && result.error == [])
      #expect(fixture.state() == before)
      let one = try await fixture.run(["--check-templates", "--client", "b.example.com"])
      #expect(one.out.contains("6 templates, 1 client: ") && !one.out.contains("c.example.com"))
      for path in ["Bundler/x.xml", "Cfg/db/db.genshi", "Cfg/unused/unused.genshi"] {
        fixture.folder.write(path.hasSuffix("xml") ? "<Bundle/>" : "x", to: "repo/" + path)
      }
      #expect(try await fixture.run(["--check-templates"]).status == 0)
    }
  }

  private static let more = "[server]\nplugins = Bundler, Cfg, Metadata, Ohai, Properties, TemplateHelper\n"

  @Test func filesThatCannotBeUsedFailTheCheck() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(
        [
          "Bundler/broken.xml": "<Bundle>\n<Path", "Bundler/b.xml": "<Bundle><Path name='/t'/></Bundle>",
          "TemplateHelper/bad.py": "x = 1\ny = = 2\n", "TemplateHelper/less.py": "__export__ = ['nosuch']\n",
          "Properties/p.json": "{", "Cfg/t/t.genshi": "${metadata.TemplateHelper['less']}",
        ], conf: Self.more, on: loop)
      let before = fixture.state()
      let result = try await fixture.run(["--check-templates"])
      let lines = result.out.replacing(fixture.folder.file("repo"), with: "REPO").split(separator: "\n").map(
        String.init)
      #expect(result.status == 1)
      #expect(lines.contains { $0.hasPrefix("REPO/Bundler/broken.xml:2: ") }, "\(lines)")
      #expect(
        lines.contains { $0.contains("SyntaxError: invalid syntax (REPO/TemplateHelper/bad.py, line 2)") }, "\(lines)")
      #expect(lines.contains { $0.contains("REPO/TemplateHelper/less.py exports nosuch") }, "\(lines)")
      #expect(lines.contains { $0.contains("REPO/Properties/p.json") }, "\(lines)")
      #expect(
        lines.last == "1 template, 1 client: 1 rendered, 0 failed, 4 other files cannot be used" && lines.count == 5,
        "\(lines)")
      #expect(fixture.state() == before)
    }
  }

  /// A query that fails is told of beside the templates that lack what it gives.
  @Test func queriesThatFailFailTheCheck() async throws {
    try await LoopDriver.withLoop { loop in
      let modules = TemporaryDirectory()
      modules.write("class LDAPError(Exception): pass\n", to: "ldap/__init__.py")
      modules.write(
        "#!/bin/sh\nexport PYTHONPATH=\(modules.path)\nexec /usr/bin/python3 \"$@\"\n", to: "python", mode: 0o755)
      let fixture = Fixture(
        [
          "Bundler/b.xml": "<Bundle><Path name='/t'/></Bundle>", "Cfg/t/t.genshi": "${metadata.Ldap['Q']['x']}",
          "Ldap/config.py": """
          from Bcfg2.Server.Plugins.Ldap import LdapQuery
          __queries__ = ['Q']
          class Q(LdapQuery):
              def get_result(self, metadata):
                  return {}[metadata.hostname]

          """,
        ], conf: "python = \(modules.file("python"))\n[server]\nplugins = Bundler, Cfg, Ldap, Metadata\n", on: loop)
      let result = try await fixture.run(["--check-templates"])
      let lines = result.out.replacing(fixture.folder.file("repo"), with: "REPO").split(separator: "\n")
      #expect(result.status == 1 && lines.count == 3, "\(result)")
      #expect(
        lines.contains {
          $0.hasPrefix("REPO/Ldap/config.py: Exception during processing of query named 'Q', ")
            && $0.hasSuffix(": KeyError: 'one.example.com' (REPO/Ldap/config.py, line 5)")
        }, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("REPO/Cfg/t/t.genshi: UndefinedError: ") }, "\(lines)")
      #expect(
        lines.last == "1 template, 1 client: 0 rendered, 1 failed, 1 other file cannot be used", "\(lines)")
      // A module that cannot be loaded is named first, as every file.
      fixture.folder.write("class Q(:\n", to: "repo/Ldap/config.py")
      let broken = try await fixture.run(["--check-templates"])
      #expect(broken.out.contains("\(fixture.folder.file("repo"))/Ldap/config.py: SyntaxError: "), "\(broken)")
    }
  }

  @Test func aRepositoryBeforeTheFirstStartIsChecked() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(
        ["Bundler/b.xml": "<Bundle><Path name='/t'/></Bundle>", "Cfg/t/t.genshi": "${metadata.Ohai}"], conf: Self.more,
        on: loop)
      let known = try await fixture.run(["--check-templates"])
      #expect(known.status == 0 && known.out == "1 template, 1 client: 1 rendered, 0 failed\n", "\(known)")
      unlink(fixture.folder.file("repo/Metadata/clients.xml"))
      let before = fixture.state()
      let result = try await fixture.run(["--check-templates"])
      #expect(
        result.status == 0 && result.out.hasSuffix("\n1 template, 0 clients: 0 rendered, 0 failed\n"), "\(result)")
      #expect(fixture.state() == before)
    }
  }

  @Test func settingsWithWhichNoServerStartsAreRefused() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(["Cfg/t/t.genshi": "x"], conf: "user = daemon\n[server]\nuser = nobody\n", on: loop)
      let result = try await fixture.run(["--check-templates"])
      #expect(result.status != 0 && result.out == "")
      #expect(result.error.count == 1 && result.error[0].contains("own user, nobody"), "\(result.error)")
    }
  }

  @Test(.enabled(if: geteuid() == 0, "only root can become another user"))
  func rootRendersAsTheServersUser() async throws {
    try await LoopDriver.withLoop { loop in
      let template = "{% python import os %}${os.getuid()} ${os.getgid()}"
      let fixture = Fixture(
        [
          "Cfg/t/t.genshi": template, "Bundler/b.xml": "<Bundle><Path name='/t'/></Bundle>",
          "Cfg/t/info.xml": "<FileInfo/>",
        ],
        conf: "processes = 1\n[server]\nuser = 65534\ngroup = 65534\n", on: loop)
      chmod(fixture.folder.path, 0o755)
      let result = try await fixture.render("Cfg/t/t.genshi")
      #expect(result.out == "65534 65534" && result.status == 0, "\(result)")
      fixture.folder.write("{% python import os %}${1 / (os.getuid() - 65534)}", to: "repo/Cfg/t/t.genshi")
      #expect(try await fixture.run(["--check-templates"]).out.contains("ZeroDivisionError"))
    }
  }

  @Test func aCheckDoesNotSayWhenATemplateIsTriedAgain() async throws {
    try await LoopDriver.withLoop { loop in
      let fixture = Fixture(["Cfg/t/t.genshi": "{% python\nwhile True: pass\n%}"], conf: "timeout = 0.5", on: loop)
      let result = try await fixture.render("Cfg/t/t.genshi")
      #expect(result.status == 1)
      #expect(result.error.contains { $0.hasSuffix("took longer than 0.5 s ([templates] timeout)") }, "\(result.error)")
    }
  }

  @Test func theRepositoryIsLeftAsItIs() async throws {
    try await LoopDriver.withLoop { loop in
      let template = """
        {% python
        p = metadata.Properties['p.xml']
        p.xdata.set('n', 'written')
        p.write()
        %}${p.xdata.get('n')}
        """
      let fixture = Fixture(["Cfg/t/t.genshi": template, "Properties/p.xml": "<P n='first'/>"], on: loop)
      let before = fixture.state()
      let result = try await fixture.render("Cfg/t/t.genshi")
      #expect(result.out == "written")
      #expect(result.error.last == "not repeatable: writes REPO/Properties/p.xml", "\(result.error)")
      #expect(fixture.state() == before)
    }
  }
}

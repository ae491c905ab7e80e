import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-info` as a process.
@Suite(.serialized) struct InfoToolTests {
  @Test func linesOfStandardInputAreModes() async throws {
    let site = CommandSite()
    let result = try await site.run("bcfg2-info", [], input: "query -g base\nnosuch\nquit\nclients\n")
    #expect(result.status == .exited(0) && result.error.isEmpty, "\(result)")
    #expect(
      result.out == """
        Welcome to bcfg2-info
        Type "help" for more information
        bcfg2-info> one.example.com
        two.example.com
        bcfg2-info> *** Unknown syntax: nosuch
        bcfg2-info> 
        """)
    // The end of the input is the end of the shell.
    #expect(try await site.run("bcfg2-info", ["shell"], input: "version").status == .exited(0))
  }

  @Test func statusesAreThoseOfBcfg2() async throws {
    let site = CommandSite()
    #expect(try await site.run("bcfg2-info", ["nosuch"]).status == .exited(2))
    #expect(try await site.run("bcfg2-info", ["--nosuch"]).status == .exited(2))
    #expect(try await site.run("bcfg2-info", ["build"]).status == .exited(2))
    let missing = try await site.run("bcfg2-info", ["buildbundle", "nosuch", "one.example.com"])
    #expect(missing.status == .exited(1) && missing.out == "No such bundle nosuch\n", "\(missing)")
    let json = try await site.run("bcfg2-info", ["buildbundle", "nosuch", "one.example.com", "--json"])
    #expect(json.status == .exited(1) && json.out.isEmpty && json.error.contains("No such bundle nosuch"))
    #expect(try await site.run("bcfg2-info", ["--version"]).out.hasPrefix("bcfg2-info "))
    #expect(try await site.run("bcfg2-info", ["-p", "version"]).out.hasPrefix(" Name "))
  }

  /// A client that is not known is shown as it would be added, and the repository stays as it was.
  @Test func nothingIsWrittenToTheRepository() async throws {
    let site = CommandSite()
    let before = try site.folder.text("repo/Metadata/clients.xml")
    let result = try await site.run("bcfg2-info", ["showclient", "new.example.com"])
    #expect(result.status == .exited(0) && result.out.contains("Profile:    base\n"), "\(result)")
    #expect(try await site.run("bcfg2-info", ["build", "new.example.com"]).out.contains(">hello\n</Path>"))
    #expect(try site.folder.text("repo/Metadata/clients.xml") == before)
  }

  @Test func partsOfTheClientsAreProcesses() async throws {
    let site = CommandSite()
    let result = try await site.run("bcfg2-info", ["buildall", site.folder.file("all")])
    #expect(result.status == .exited(0) && result.out.isEmpty, "\(result)")
    for host in ["one.example.com", "two.example.com"] {
      #expect(try site.folder.text("all/\(host).xml").contains(">hello\n</Path>"))
    }
    site.folder.write(
      "<Clients><Client name=\"bad.example.com\" profile=\"nosuch\"/></Clients>", to: "repo/Metadata/clients.xml")
    site.folder.write("<Groups/>", to: "repo/Metadata/groups.xml")
    #expect(try await site.run("bcfg2-info", ["buildall", site.folder.file("none"), "nosuch"]).status == .exited(1))
  }

  @Test func whatGoesWrongForManyIsSaidOnce() async throws {
    let site = CommandSite(
      CommandSite.twoClients.merging(["Bundler/b.xml": #"<Bundle><Path name="/x"/></Bundle>"#]) { $1 })
    let result = try await site.run("bcfg2-info", ["buildall", site.folder.file("all")])
    #expect(
      result.error == "Failed to bind entry Path:/x: No matching generator: Path:/x (for one.example.com and 1 more)\n",
      "\(result)")
  }

  /// Two commits and the files as they are now, with data that no commit has.
  @Test func revisionsAreCompared() async throws {
    let site = CommandSite()
    try await site.commitAll()
    site.folder.write("new\n", to: "repo/Cfg/etc/motd/motd")
    try await site.commit()
    let changed = try await site.run("bcfg2-info", ["diff", "HEAD~1", "HEAD"])
    let expected = """
      these 2 clients (one.example.com, two.example.com):
        ~ Path:/etc/motd in b
            -hello
            +new

      2 of 2 clients change

      """
    #expect(changed.status == .exited(0) && changed.out == expected, "\(changed)")
    #expect(try await site.run("bcfg2-info", ["diff", "HEAD", "HEAD"]).out == "0 of 2 clients change\n")
    #expect(try await site.run("bcfg2-info", ["diff", "--exit-code", "HEAD~1", "HEAD", "two*"]).status == .exited(1))
    #expect(try await site.run("bcfg2-info", ["diff", "--worktree"]).out == "0 of 2 clients change\n")
    site.folder.write("<Bundle/>", to: "repo/Bundler/b.xml")
    let now = try await site.run("bcfg2-info", ["diff", "--worktree", "--json", "one.example.com"])
    #expect(now.out.contains(#""entry" : "Path:/etc/motd""#) && now.out.contains(#""kind" : "removed""#), "\(now)")
    let named = try await site.run("bcfg2-info", ["diff", "--worktree", "HEAD"])
    #expect(named.status == .exited(1) && named.out == "HEAD is no client, but a revision\n", "\(named)")
    let wrong = try await site.run("bcfg2-info", ["diff", "nosuch", "HEAD"])
    #expect(wrong.status == .exited(1) && wrong.out.contains("nosuch is no revision of"), "\(wrong)")
  }

  /// What a broken file brings to clients is not told as removed without a word.
  @Test func brokenFilesOfARevisionAreNamed() async throws {
    let site = CommandSite()
    try await site.commitAll()
    site.folder.write("<Bundle>\n<Path name='/etc/motd'>\n</Bundle>", to: "repo/Bundler/b.xml")
    try await site.commit()
    let text = try await site.run("bcfg2-info", ["diff", "HEAD~1", "HEAD"])
    #expect(text.status == .exited(3) && text.out.contains("  - Path:/etc/motd in b\n"), "\(text)")
    #expect(text.error.hasPrefix("bcfg2-info: Bundler/b.xml:3 at HEAD: "), "\(text)")
    #expect(text.error.split(separator: "\n").count == 1, "\(text)")
    let json = try await site.run("bcfg2-info", ["diff", "--worktree", "--json"])
    #expect(json.status == .exited(3) && json.out.contains(#""file" : "Bundler/b.xml""#), "\(json)")
    #expect(json.out.contains(#""revision" : "worktree""#) && json.out.contains(#""revision" : "HEAD""#), "\(json)")
    #expect(json.error.contains("b.xml:3 in the working copy: "), "\(json)")
  }

  @Test func includesThatAreMissingAtARevisionAreNamed() async throws {
    let bundle = """
      <Bundle xmlns:xi="http://www.w3.org/2001/XInclude">
      <xi:include href="inc.x"/>
      </Bundle>
      """
    let files = ["Bundler/b.xml": bundle, "Bundler/inc.x": #"<Group name="base"><Path name="/etc/motd"/></Group>"#]
    let site = CommandSite(CommandSite.twoClients.merging(files) { $1 })
    try await site.commitAll()
    unlink(site.folder.file("repo/Bundler/inc.x"))
    let result = try await site.run("bcfg2-info", ["diff", "--worktree"])
    #expect(result.status == .exited(3) && result.out.contains("  - Path:/etc/motd in b\n"), "\(result)")
    #expect(
      result.error == "bcfg2-info: Bundler/b.xml:2 in the working copy: inc.x does not exist, skipping\n", "\(result)")
  }

  /// A glob where one client is meant, and what a server would refuse.
  @Test func textsThatAreNoNamesAreRefused() async throws {
    let site = CommandSite()
    try await site.commitAll()
    for line in [
      ["build", "two*"], ["showclient", ".x."], ["builddir", "two*", site.folder.file("out")],
      ["diff", "--worktree", ".x."],
    ] {
      let result = try await site.run("bcfg2-info", line)
      #expect(result.status == .exited(1) && result.out.contains(" is no name of a client: "), "\(line) \(result)")
    }
  }

  @Test func brokenGroupsAreTold() async throws {
    let site = CommandSite(CommandSite.twoClients.merging(["Metadata/groups.xml": "<Groups>\n<Group"]) { $1 })
    for mode in ["groups", "bundles"] {
      let result = try await site.run("bcfg2-info", [mode])
      #expect(result.status == .exited(1) && result.out.contains("Metadata/groups.xml:2: "), "\(result)")
    }
    let shown = try await site.run("bcfg2-info", ["showclient"])
    #expect(shown.status == .exited(1) && shown.out.contains("Could not build metadata for one"), "\(shown)")
  }

  /// What 1.4 takes before a mode, it takes behind it.
  @Test func optionsMayStandBehindTheMode() async throws {
    let site = CommandSite()
    let other = CommandSite(["Metadata/clients.xml": "<Clients/>", "Metadata/groups.xml": "<Groups/>"])
    let shared = ["-Q", site.folder.file("repo"), "-v", "--no-fam-blocking", "-o", "/dev/null"]
    let result = try await other.run("bcfg2-info", ["query", "-gbase"] + shared)
    #expect(result.status == .exited(0) && result.out == "one.example.com\ntwo.example.com\n", "\(result)")
    site.folder.write("", to: "web.conf")
    for mode in [["backup", "-d"], ["viz", "-d"], ["client", "list"], ["minestruct", "one.example.com", "--help"]] {
      let result = try await other.run(
        "bcfg2-admin", mode + ["-Q", site.folder.file("repo"), "-W", site.folder.file("web.conf")])
      #expect(result.status == .exited(0), "\(mode) \(result)")
    }
    #expect(site.folder.names(in: "repo").contains { $0.hasSuffix(".tgz") || $0.contains(".tar") })
  }

  @Test func clientsThatNobodyKnowsAreToldOf() async throws {
    let site = CommandSite()
    let unknown = try await site.run("bcfg2-info", ["clients", "one.example.com", "nosuch"])
    #expect(unknown.status == .exited(0) && unknown.out.contains(" nosuch "), "\(unknown)")
    #expect(
      unknown.error == "bcfg2-info: there is no client nosuch: it is shown as the server would add it\n", "\(unknown)")
    for mode in [["build"], ["showclient"], ["buildall", site.folder.file("out")], ["showentries"]] {
      let one = try await site.run("bcfg2-info", mode + ["nosuch"])
      #expect(one.status == .exited(0) && one.error.contains("there is no client nosuch: "), "\(mode) \(one)")
    }
    let mixed = try await site.run("bcfg2-info", ["clients", "one*", "nosuch"])
    #expect(mixed.out.contains("one.example.com") && mixed.out.contains(" nosuch "), "\(mixed)")
    for line in [["clients", "nosuch*"], ["buildall", site.folder.file("none"), "nosuch*"]] {
      let none = try await site.run("bcfg2-info", line)
      #expect(none.status == .exited(1) && none.out == "No client matches nosuch*\n", "\(line) \(none)")
    }
    #expect(site.folder.names(in: "none").isEmpty)
    let group = try await site.run("bcfg2-info", ["groups", "b*", "nosuch"])
    #expect(group.status == .exited(1) && group.out == "No such group: nosuch\n", "\(group)")
  }

  /// With --json there is JSON on standard output, or nothing.
  @Test func textStaysAwayFromJSON() async throws {
    let site = CommandSite(
      plugins: "Bundler,Cfg,Metadata,Properties",
      CommandSite.twoClients.merging(["Properties/p.xml": "<Properties/>"]) { $1 })
    let times = try await site.run("bcfg2-info", ["-p", "clients", "--json"])
    #expect(times.out.hasPrefix("[\n") && times.error.hasPrefix(" Name "), "\(times)")
    let profile = try await site.run("bcfg2-info", ["profile", "clients", "--json"])
    #expect(profile.out.hasPrefix("{\n  \"output\" : [\n") && profile.out.contains("\"times\" : ["), "\(profile)")
    let text = try await site.run("bcfg2-info", ["profile", "--json", "query", "-g", "base"])
    #expect(text.out.hasPrefix("{\n  \"output\" : \"one.example.com\\ntwo.example.com\\n\",\n"), "\(text)")
    let automatch = try await site.run("bcfg2-info", ["automatch", "p.xml", "one.example.com", "--json"])
    #expect(automatch.status == .exited(1) && automatch.out.isEmpty, "\(automatch)")
    #expect(automatch.error == "bcfg2-info: Automatch not enabled on p.xml\n")
    #expect(try await site.run("bcfg2-info", ["version", "--json"]).out.hasPrefix("{\n  \"version\" : "))
    let lines = try await site.run("bcfg2-info", ["shell"], input: "buildbundle nosuch one.example.com --json\n")
    #expect(!lines.out.contains("No such bundle") && lines.error == "bcfg2-info: No such bundle nosuch\n", "\(lines)")
  }
}

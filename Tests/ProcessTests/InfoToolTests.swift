import EventLoop
import Glibc
import Support
import Testing

/// `bcfg2-info` as a process.
@Suite(.serialized) struct InfoToolTests {
  /// A repository with two clients and its bcfg2.conf.
  private struct Site {
    let folder = TemporaryDirectory()

    init() {
      let files = [
        "Metadata/clients.xml": """
        <Clients><Client name="one.example.com" profile="base"/><Client name="two.example.com" profile="base"/></Clients>
        """,
        "Metadata/groups.xml": """
        <Groups><Group name="base" profile="true" default="true"><Bundle name="b"/></Group></Groups>
        """,
        "Bundler/b.xml": #"<Bundle><Path name="/etc/motd"/></Bundle>"#, "Cfg/etc/motd/motd": "hello\n",
      ]
      for (name, text) in files { folder.write(text, to: "repo/\(name)") }
      folder.write(
        """
        [server]
        repository = \(folder.file("repo"))
        plugins = Bundler,Cfg,Metadata
        [communication]
        password = x

        """, to: "bcfg2.conf")
    }

    func run(
      _ arguments: [String], input: String = ""
    ) async throws -> (status: ChildProcess.ExitStatus, out: String, error: String) {
      let path = String(Project.server.dropLast("bcfg2-server".count)) + "bcfg2-info"
      return try await LoopDriver.withLoop { loop in
        let result = try await ChildProcess.run(
          [path, "-C", folder.file("bcfg2.conf")] + arguments, input: Array(input.utf8), timeout: .seconds(60),
          outputLimitBytes: 1 << 20, on: loop)
        return (
          result.status, String(decoding: result.standardOutput, as: UTF8.self),
          String(decoding: result.standardError, as: UTF8.self)
        )
      }
    }
  }

  @Test func linesOfStandardInputAreModes() async throws {
    let site = Site()
    let result = try await site.run([], input: "query -g base\nnosuch\nquit\nclients\n")
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
    #expect(try await site.run(["shell"], input: "version").status == .exited(0))
  }

  @Test func statusesAreThoseOfBcfg2() async throws {
    let site = Site()
    #expect(try await site.run(["nosuch"]).status == .exited(2))
    #expect(try await site.run(["--nosuch"]).status == .exited(2))
    #expect(try await site.run(["build"]).status == .exited(2))
    let missing = try await site.run(["buildbundle", "nosuch", "one.example.com"])
    #expect(missing.status == .exited(1) && missing.out == "No such bundle nosuch\n", "\(missing)")
    let json = try await site.run(["buildbundle", "nosuch", "one.example.com", "--json"])
    #expect(json.status == .exited(1) && json.out.isEmpty && json.error.contains("No such bundle nosuch"))
    #expect(try await site.run(["--version"]).out.hasPrefix("bcfg2-info "))
    #expect(try await site.run(["-p", "version"]).out.hasPrefix(" Name "))
  }

  /// A client that is not known is shown as it would be added, and the repository stays as it was.
  @Test func nothingIsWrittenToTheRepository() async throws {
    let site = Site()
    let before = try site.folder.text("repo/Metadata/clients.xml")
    let result = try await site.run(["showclient", "new.example.com"])
    #expect(result.status == .exited(0) && result.out.contains("Profile:    base\n"), "\(result)")
    #expect(try await site.run(["build", "new.example.com"]).out.contains(">hello\n</Path>"))
    #expect(try site.folder.text("repo/Metadata/clients.xml") == before)
  }

  @Test func partsOfTheClientsAreProcesses() async throws {
    let site = Site()
    let result = try await site.run(["buildall", site.folder.file("all")])
    #expect(result.status == .exited(0) && result.out.isEmpty, "\(result)")
    for host in ["one.example.com", "two.example.com"] {
      #expect(try site.folder.text("all/\(host).xml").contains(">hello\n</Path>"))
    }
    site.folder.write(
      "<Clients><Client name=\"bad.example.com\" profile=\"nosuch\"/></Clients>", to: "repo/Metadata/clients.xml")
    site.folder.write("<Groups/>", to: "repo/Metadata/groups.xml")
    #expect(try await site.run(["buildall", site.folder.file("none"), "nosuch"]).status == .exited(1))
  }

  /// Two commits and the files as they are now, with data that no commit has.
  @Test func revisionsAreCompared() async throws {
    let site = Site()
    func git(_ arguments: [String]) async throws {
      let output = try await LoopDriver.withLoop { loop in
        try await ChildProcess.run(
          ["git", "-C", site.folder.file("repo"), "-c", "user.name=a", "-c", "user.email=a@b"] + arguments,
          timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
      }
      try #require(output.status.isSuccess, "\(output)")
    }
    try await git(["init", "-q"])
    try await git(["add", "."])
    try await git(["commit", "-qm", "one"])
    site.folder.write("new\n", to: "repo/Cfg/etc/motd/motd")
    try await git(["commit", "-qam", "two"])
    let changed = try await site.run(["diff", "HEAD~1", "HEAD"])
    let expected = """
      these 2 clients (one.example.com, two.example.com):
        ~ Path:/etc/motd in b
            -hello
            +new

      2 of 2 clients change

      """
    #expect(changed.status == .exited(0) && changed.out == expected, "\(changed)")
    #expect(try await site.run(["diff", "HEAD", "HEAD"]).out == "0 of 2 clients change\n")
    #expect(try await site.run(["diff", "--exit-code", "HEAD~1", "HEAD", "two*"]).status == .exited(1))
    #expect(try await site.run(["diff", "--worktree"]).out == "0 of 2 clients change\n")
    site.folder.write("<Bundle/>", to: "repo/Bundler/b.xml")
    let now = try await site.run(["diff", "--worktree", "--json", "one.example.com"])
    #expect(now.out.contains(#""entry" : "Path:/etc/motd""#) && now.out.contains(#""kind" : "removed""#), "\(now)")
    let wrong = try await site.run(["diff", "nosuch", "HEAD"])
    #expect(wrong.status == .exited(1) && wrong.out.contains("nosuch is no revision of"), "\(wrong)")
  }
}

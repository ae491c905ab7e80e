import EventLoop
import Glibc
import Support
import Testing

/// Files that commands write, which root starts and which become the server's user.
@Suite(.serialized, .enabled(if: geteuid() == 0 && getpwnam("nobody") != nil)) struct CommandOutputTests {
  @Test(arguments: [("bcfg2-test", ["--xunit"], "<testsuite "), ("bcfg2-admin", ["viz", "-o"], "digraph groups {")])
  func filesAreOpenedBefore(_ program: String, _ arguments: [String], _ start: String) async throws {
    let site = CommandSite()
    let conf = try site.folder.text("bcfg2.conf")
    site.folder.write(conf.replacing("[server]\n", with: "[server]\nuser = nobody\n"), to: "bcfg2.conf")
    site.folder.write("", to: "out/there")
    chmod(site.folder.path, 0o755)
    let result = try await site.run(program, arguments + [site.folder.file("out/file.dot")])
    #expect(result.status == .exited(0), "\(result)")
    #expect(try site.folder.text("out/file.dot").contains(start))
    // What was longer leaves nothing behind.
    site.folder.write(String(repeating: "x", count: 100_000), to: "out/file.dot")
    #expect(try await site.run(program, arguments + [site.folder.file("out/file.dot")]).status == .exited(0))
    #expect(try !site.folder.text("out/file.dot").contains("xxx"))
    // What cannot be opened is told before the work.
    let wrong = try await site.run(program, arguments + [site.folder.file("out/nosuch/file.dot")])
    #expect(wrong.status != .exited(0) && (wrong.out + wrong.error).contains("nosuch/file.dot"), "\(wrong)")
  }

  /// The server's user builds the configurations, and root reads bcfg2.conf.
  @Test func rootAloneNeedReadTheConfiguration() async throws {
    let site = CommandSite()
    let conf = try site.folder.text("bcfg2.conf")
    site.folder.write(conf.replacing("[server]\n", with: "[server]\nuser = nobody\n"), to: "bcfg2.conf")
    chmod(site.folder.file("bcfg2.conf"), 0o600)
    chmod(site.folder.path, 0o755)
    try await site.commitAll()
    site.folder.write("new\n", to: "repo/Cfg/etc/motd/motd")
    let changed = try await site.run("bcfg2-info", ["diff", "--worktree"])
    #expect(changed.status == .exited(0) && changed.out.contains("2 of 2 clients change"), "\(changed)")
    #expect(changed.error.isEmpty, "\(changed)")
  }
}

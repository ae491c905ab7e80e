import EventLoop
import Support
import Testing

/// What `bcfg2-web` says at its start.
@Suite struct WebToolTests {
  /// It serves no client of Bcfg2: what bcfg2.conf lacks for that is the server's to say.
  @Test func onlyWhatConcernsThePagesIsWarnedOf() async throws {
    let site = CommandSite(configuration: "[reporting]\nweb_listn = 1\n")
    let conf = try site.folder.text("bcfg2.conf")
    let lacking = conf.replacing("password = x", with: "password =")
    site.folder.write(lacking.replacing("[server]\n", with: "[server]\nproxy_protocol = yes\n"), to: "bcfg2.conf")
    let result = try await site.run("bcfg2-web", ["--listen", "nowhere"])
    if result.error.contains("without the trait Web") { return }
    #expect(result.status == .exited(2) && result.error.contains("nowhere is not ADDRESS:PORT"), "\(result)")
    #expect(result.error.contains("unknown option web_listn in [reporting]"), "\(result)")
    #expect(!result.error.contains("password is empty") && !result.error.contains("has no effect"), "\(result)")
  }
}

import EventLoop
import Support
import Testing

/// `bcfg2-test` as a process.
@Suite(.serialized) struct TestToolTests {
  @Test(arguments: [[], ["--children", "1"]]) func globsChooseClients(_ more: [String]) async throws {
    let result = try await CommandSite().run("bcfg2-test", more + ["-v", "t*", "two.example.com"])
    #expect(result.status == .exited(0) && result.error.contains("two.example.com ... ok\n"), "\(result)")
    #expect(result.error.contains("Ran 1 test in "), "\(result)")
  }

  /// A mistyped name does not pass without a word as the new client that it could be.
  @Test(arguments: [[], ["--children", "1"]]) func unknownClientsAreTold(_ more: [String]) async throws {
    let site = CommandSite()
    let unknown = try await site.run("bcfg2-test", more + ["one.exmaple.com", "two.example.com"])
    let line = "bcfg2-test: there is no client one.exmaple.com: it is built as the server would add it\n"
    #expect(unknown.error.split(separator: line, omittingEmptySubsequences: false).count == 2, "\(unknown)")
    #expect(unknown.status == .exited(0) && unknown.error.contains("Ran 2 tests in "), "\(unknown)")
    let none = try await site.run("bcfg2-test", more + ["zz*"])
    #expect(none.status == .exited(2) && none.error == "bcfg2-test: no client matches zz*\n", "\(none)")
  }
}

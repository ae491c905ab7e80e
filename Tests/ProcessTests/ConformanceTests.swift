import EventLoop
import Glibc
import Support
import Testing

/// Compares the server with answers of the Python servers, and runs their client.
@Suite(.serialized) struct ConformanceTests {
  private func python(_ arguments: [String], limit: Duration) async throws -> (
    status: ChildProcess.ExitStatus, text: String
  ) {
    try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        ["/usr/bin/env", "python3"] + arguments, input: [], timeout: limit, outputLimitBytes: 4 << 20, on: loop)
      return (result.status, String(decoding: result.standardOutput + result.standardError, as: UTF8.self))
    }
  }

  @Test func everyRecordedCasePasses() async throws {
    let folder = "\(Project.root)/Tests/Conformance"
    let result = try await python(
      [
        "\(folder)/conform.py", "check", "--server", Project.server, "--jobs", "4", "--skip", "\(folder)/pending.txt",
      ], limit: .seconds(900))
    let failures = result.text.split(separator: "\n").filter { !$0.hasPrefix("ok ") }.joined(separator: "\n")
    #expect(result.status == .exited(0), "\(failures)")
  }

  /// Templates give the same under the Python that Bcfg2's servers run on. `scripts/setup.sh --test` makes the environment;
  /// BCFG2_REQUIRE_CLIENT makes its absence a failure.
  @Test(
    .enabled(
      if: access("\(Project.root)/.build/bcfg2-client/bin/python", X_OK) == 0 || getenv("BCFG2_REQUIRE_CLIENT") != nil,
      "there is no Python 2.7 in .build/bcfg2-client; scripts/setup.sh --test makes it"))
  func templatesAreRenderedByPython2Too() async throws {
    let folder = "\(Project.root)/Tests/Conformance"
    let result = try await python(
      [
        "\(folder)/conform.py", "check", "--server", Project.server, "--jobs", "2", "--conf",
        "templates.python=\(Project.root)/.build/bcfg2-client/bin/python", "template-*",
      ], limit: .seconds(300))
    let failures = result.text.split(separator: "\n").filter { !$0.hasPrefix("ok ") }.joined(separator: "\n")
    #expect(result.status == .exited(0), "\(failures)")
  }

  /// With `compatibility = 1.3` the small templates give what 1.3.4 gives.
  @Test func templatesAreThoseOf13WhereThatIsWanted() async throws {
    let folder = "\(Project.root)/Tests/Conformance"
    let result = try await python(
      [
        "\(folder)/conform.py", "check", "--server", Project.server, "--jobs", "2", "--version", "1.3.4", "--conf",
        "server.compatibility=1.3", "template-own-bundles", "template-own-cheetah", "template-own-genshi",
      ], limit: .seconds(300))
    #expect(result.status == .exited(0), "\(result.text)")
  }

  #if NIO
    /// What connections and TLS have a part in is the same on SwiftNIO.
    @Test func theWireIsTheSameOnSwiftNIO() async throws {
      let folder = "\(Project.root)/Tests/Conformance"
      let result = try await python(
        [
          "\(folder)/conform.py", "check", "--server", Project.server, "--jobs", "4", "--skip",
          "\(folder)/pending.txt", "--conf", "server.backend=nio", "acl-*", "cfg-large", "first-run",
          "metadata-addresses", "metadata-auth-*", "metadata-cert-*", "probes-*", "wire-*",
        ], limit: .seconds(300))
      let failures = result.text.split(separator: "\n").filter { !$0.hasPrefix("ok ") }.joined(separator: "\n")
      #expect(result.status == .exited(0), "\(failures)")
    }
  #endif

  /// Packages are those of 1.3.4 and of 1.4, each where it is wanted, and from children of the multiprocessing core.
  @Test(arguments: [
    ["--version", "1.3.4", "--conf", "server.compatibility=1.3"], ["--version", "1.4"],
    ["--conf", "server.backend=multiprocessing"],
  ])
  func packagesAreThoseOfTheVersion(_ options: [String]) async throws {
    let cases = [
      "packages-apt-alternatives", "packages-apt-live", "packages-magic-groups", "packages-pac",
      "packages-resolver-off",
      "packages-yum-arches", "packages-yum-names", "packages-yum-twice",
    ]
    let folder = "\(Project.root)/Tests/Conformance"
    let result = try await python(
      ["\(folder)/conform.py", "check", "--server", Project.server, "--jobs", "4"] + options + cases,
      limit: .seconds(300))
    let failures = result.text.split(separator: "\n").filter { !$0.hasPrefix("ok ") }.joined(separator: "\n")
    #expect(result.status == .exited(0), "\(failures)")
  }

  /// Compares the output of 1.3.4's `bcfg2 -n -v -q -O` with both servers. `scripts/setup.sh --test` makes the
  /// environment; BCFG2_REQUIRE_CLIENT makes its absence a failure.
  @Test(
    .enabled(
      if: access("\(Project.root)/.build/bcfg2-client/bin/bcfg2", X_OK) == 0 || getenv("BCFG2_REQUIRE_CLIENT") != nil,
      "there is no Python 2.7 with Bcfg2 1.3.4 in .build/bcfg2-client; scripts/setup.sh --test makes it"))
  func theRealClientReportsTheSameAsAgainstThePythonServer() async throws {
    let client = "\(Project.root)/.build/bcfg2-client"
    try #require(access("\(client)/bin/bcfg2", X_OK) == 0, "no Bcfg2 client in \(client)")
    let result = try await python(
      ["\(Project.root)/Tests/Conformance/real_client.py", "--client", client, "--server", Project.server],
      limit: .seconds(300))
    #expect(result.status == .exited(0), "\(result.text)")
  }
}

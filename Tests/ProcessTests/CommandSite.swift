import EventLoop
import Glibc
import Support

/// A repository with its bcfg2.conf, for commands that are run as processes.
struct CommandSite {
  typealias Outcome = (status: ChildProcess.ExitStatus, out: String, error: String)

  let folder = TemporaryDirectory()

  /// Two clients of one profile, which has one bundle.
  static let twoClients = [
    "Metadata/clients.xml": """
    <Clients><Client name="one.example.com" profile="base"/><Client name="two.example.com" profile="base"/></Clients>
    """,
    "Metadata/groups.xml": """
    <Groups><Group name="base" profile="true" default="true"><Bundle name="b"/></Group></Groups>
    """,
    "Bundler/b.xml": #"<Bundle><Path name="/etc/motd"/></Bundle>"#, "Cfg/etc/motd/motd": "hello\n",
  ]

  /// - Parameters:
  ///   - files: by their paths in the repository.
  ///   - more: the rest of bcfg2.conf.
  init(
    plugins: String = "Bundler,Cfg,Metadata", _ files: [String: String] = twoClients, configuration more: String = ""
  ) {
    for (name, text) in files { folder.write(text, to: "repo/\(name)") }
    folder.write(
      """
      [server]
      repository = \(folder.file("repo"))
      plugins = \(plugins)
      [communication]
      password = x
      \(more)

      """, to: "bcfg2.conf")
  }

  /// The path of a command that was built with the tests.
  static func path(_ program: String) -> String { String(Project.server.dropLast("bcfg2-server".count)) + program }

  /// The command line of a command for this site.
  func command(_ program: String, _ arguments: [String]) -> [String] {
    [Self.path(program), "-C", folder.file("bcfg2.conf")] + arguments
  }

  func run(_ program: String, _ arguments: [String], input: String = "") async throws -> Outcome {
    try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        command(program, arguments), input: Array(input.utf8), timeout: .seconds(60), outputLimitBytes: 1 << 20,
        on: loop)
      return (
        result.status, String(decoding: result.standardOutput, as: UTF8.self),
        String(decoding: result.standardError, as: UTF8.self)
      )
    }
  }

  /// Makes the repository a working copy of git with one commit.
  func commitAll() async throws {
    try await git(["init", "-q"])
    try await commit()
  }

  func commit() async throws {
    try await git(["add", "."])
    try await git(["commit", "-qm", "one"])
  }

  private func git(_ arguments: [String]) async throws {
    try await LoopDriver.withLoop { loop in
      let output = try await ChildProcess.run(
        ["git", "-C", folder.file("repo"), "-c", "user.name=a", "-c", "user.email=a@b"] + arguments,
        timeout: .seconds(60), outputLimitBytes: 1 << 20, on: loop)
      guard output.status.isSuccess else { throw GitProblem(output: output) }
    }
  }

  private struct GitProblem: Error {
    let output: ChildProcess.Output
  }
}

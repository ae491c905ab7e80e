import EventLoop
import Glibc
import Support
import Testing

/// `scripts/manuals.py`: manual pages and completion scripts of the commands.
@Suite struct ManualTests {
  private let folder = TemporaryDirectory()

  private func run(_ words: [String]) async throws -> (status: ChildProcess.ExitStatus, text: String) {
    try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        ["/usr/bin/env"] + words, input: [], timeout: .seconds(300), outputLimitBytes: 8 << 20, on: loop)
      return (result.status, String(decoding: result.standardError, as: UTF8.self))
    }
  }

  private func isThere(_ program: String) -> Bool {
    ["/usr/bin/", "/bin/", "/usr/local/bin/"].contains { access($0 + program, X_OK) == 0 }
  }

  @Test func pagesAndCompletionsAreGood() async throws {
    let programs = String(Project.server.dropLast("/bcfg2-server".count))
    let made = try await run(["python3", "\(Project.root)/scripts/manuals.py", programs, folder.path])
    #expect(made.status == .exited(0), "\(made)")
    let pages = folder.names(in: "man/man8").map { "man/man8/\($0)" } + ["man/man5/bcfg2.conf.5"]
    #expect(pages.contains("man/man8/bcfg2-server.8") && pages.contains("man/man8/bcfg2-admin.8"))
    #expect(try folder.text("man/man8/bcfg2-admin.8").contains(".SS purgereports\n"))
    #expect(try folder.text("man/man8/bcfg2-info.8").contains(".SS why\n"))
    #expect(try folder.text("man/man8/bcfg2-crypt.8").contains("\\fB\\-\\-aead\\fR\n"))
    #expect(try folder.text("man/man5/bcfg2.conf.5").contains("\\fBwrite_format\\fR"))
    for page in pages {
      #expect(try folder.text(page).contains(".SH NAME\n"))
      guard isThere("groff") else { continue }
      let checked = try await run(["groff", "-man", "-Tutf8", "-ww", folder.file(page)])
      #expect(checked.status == .exited(0) && checked.text.isEmpty, "\(page): \(checked)")
    }
    let names = folder.names(in: "completions/bash")
    #expect(names.contains("bcfg2-admin") && names.contains("bcfg2-crypt") && names.contains("bcfg2-test"))
    for name in names where isThere("bash") {
      let checked = try await run(["bash", "-n", folder.file("completions/bash/\(name)")])
      #expect(checked.status == .exited(0) && checked.text.isEmpty, "\(name): \(checked)")
    }
    #expect(try folder.text("completions/bash/bcfg2-admin").contains("\n    # Offer the commands below those"))
    #expect(try folder.text("completions/bash/bcfg2-info").contains("_add_completions -W 'automatch'$'\\n''build'"))
    #expect(folder.names(in: "completions/fish") == names.map { $0 + ".fish" })
    #expect(folder.names(in: "completions/zsh") == names.map { "_" + $0 })
  }
}

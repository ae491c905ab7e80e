import ArgumentParser
import EventLoop
import Glibc
import Support
import Testing

@testable import Commands

/// Completion scripts of commands with modes.
@Suite struct DeclaredOptionsTests {
  private nonisolated struct Mode: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "mode", subcommands: [Part.self])
  }

  private nonisolated struct Part: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "part")
  }

  private nonisolated struct Hidden: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "hidden", shouldDisplay: false)
  }

  private nonisolated struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bcfg2-x", subcommands: [Mode.self, Hidden.self])
  }

  @Test(arguments: [CompletionShell.bash, .zsh, .fish]) func optionsBeforeTheModeAreCompleted(
    _ shell: CompletionShell
  ) {
    let script = DeclaredCommand<Root>.completionScript(for: shell)
    #expect(script.contains("mode"))
    let help = ["bcfg2-admin", "bcfg2-info"].flatMap { ModeCommandLine.help(of: $0).split(separator: "\n").dropFirst() }
    #expect(help.count > 20)
    for line in help {
      guard let name = line.firstMatch(of: /--([a-z-]+)/)?.1 else { continue }
      #expect(
        script.contains(shell == .fish ? "-l '\(name)'" : "--\(name)") || script.contains("-l \(name)"), "\(name)")
    }
  }

  /// What bash offers for a line whose last word is being typed.
  private func offered(_ words: [String], _ script: String) async throws -> [String] {
    let quoted = words.map { "'\($0)'" }.joined(separator: " ")
    let text = """
      \(script)
      COMP_WORDS=(\(quoted)); COMP_CWORD=\(words.count - 1); COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
      _bcfg2-x bcfg2-x "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
      printf '%s\\n' "${COMPREPLY[@]}"
      """
    return try await LoopDriver.withLoop { loop in
      let result = try await ChildProcess.run(
        ["bash", "--norc"], input: Array(text.utf8), timeout: .seconds(60), outputLimitBytes: 1 << 16, on: loop)
      #expect(result.status.isSuccess && result.standardError.isEmpty, "\(result)")
      return String(decoding: result.standardOutput, as: UTF8.self).split(separator: "\n").map(String.init)
    }
  }

  @Test(.enabled(if: access("/bin/bash", X_OK) == 0)) func bashOffersModesBehindHelp() async throws {
    let script = CompletionScript.completed(
      DeclaredCommand<Root>.completionScript(for: .bash), of: DeclaredCommand<Root>.self)
    #expect(try await offered(["bcfg2-x", "help", ""], script) == ["mode"])
    #expect(try await offered(["bcfg2-x", "help", "mode", "p"], script) == ["part"])
    #expect(try await offered(["bcfg2-x", "-C", "f", "help", "m"], script) == ["mode"])
    #expect(try await offered(["bcfg2-x", "help", "x"], script).isEmpty)
    #expect(try await offered(["bcfg2-x", "mo"], script) == ["mode"])
    let plain = Mode.completionScript(for: .zsh)
    #expect(CompletionScript.completed(plain, of: Mode.self) == plain)
  }
}

import ArgumentParser
import Testing

@testable import Commands

/// Completion scripts of commands with modes.
@Suite struct DeclaredOptionsTests {
  private nonisolated struct Mode: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "mode")
  }

  private nonisolated struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "bcfg2-x", subcommands: [Mode.self])
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
}

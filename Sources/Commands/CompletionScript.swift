import ArgumentParser

/// What completion scripts have beside what the library writes.
nonisolated enum CompletionScript {
  /// A script of the library, and what it lacks: behind `help` bash gets nothing from it.
  ///
  /// - Parameter root: the command that the script is of.
  static func completed(_ script: String, of root: any ParsableCommand.Type) -> String {
    guard script.hasPrefix("#!/bin/bash\n"), !root.configuration.subcommands.isEmpty else { return script }
    return script + "\n\n" + helpFunction(of: root)
  }

  /// A function in place of the library's, which has nothing in it: of two of a name the later one counts.
  private static func helpFunction(of root: any ParsableCommand.Type) -> String {
    let cases = choices(below: root, []).map { words, names in
      """
          '\(words.joined(separator: " "))')
              COMPREPLY+=($(compgen -W '\(names.joined(separator: " "))' -- "${cur}"))
              ;;
      """
    }
    return """
      _\(root._commandName)_help() {
          # Offer the commands below those that are named
          local -ir last="$((${#unparsed_words[@]} - 1))"
          [[ "${last}" -ge 0 ]] || return
          case "${unparsed_words[*]:0:${last}}" in
      \(cases.joined(separator: "\n"))
          esac
      }
      """
  }

  /// The names that may follow some words, for each command that has others below it.
  private static func choices(
    below command: any ParsableCommand.Type, _ words: [String]
  ) -> [(words: [String], names: [String])] {
    let shown = command.configuration.subcommands.filter { $0.configuration.shouldDisplay }
    guard !shown.isEmpty else { return [] }
    return [(words, shown.map { $0._commandName })]
      + shown.flatMap { choices(below: $0, words + [$0._commandName]) }
  }
}

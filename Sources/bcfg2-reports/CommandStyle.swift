/// Tells command lines of Bcfg2 1.3 from those of 1.4.
enum CommandStyle {
  private static let modes: Set<String> = ["help", "clients", "show", "total", "entry", "entries", "expire"]

  /// Whether a command line is one of 1.3's: its options name the mode, and there is no subcommand.
  ///
  /// `-d` and `-x` mean something in both: debugging and a password before a subcommand, dirty clients and expiry without one.
  static func isOld(_ words: [String]) -> Bool {
    var rest = words[...]
    var hasMode = false
    while let word = rest.popFirst() {
      guard word.hasPrefix("-"), word != "-" else {
        return !modes.contains(word) && (hasMode || isHostOrEntry(word, rest))
      }
      switch word {
      case "-C", "--config", "-Q", "--repository", "-W", "--web-config", "-o", "--logfile", "-E", "--encoding",
        "--password":
        _ = rest.popFirst()
      case "-x":
        // A password is followed by a subcommand, a host by nothing.
        if let after = rest.dropFirst().first, modes.contains(after) || after.hasPrefix("-") {
          _ = rest.popFirst()
        } else {
          return true
        }
      case "-d", "--dirty": hasMode = true
      case "-v", "--verbose", "--debug", "--version", "-h", "--help", "-dv", "-vd", "--json": break
      default:
        guard
          ["-C", "-Q", "-W", "-o", "-E"].contains(where: { word.hasPrefix($0) }) || word.hasPrefix("--config=")
            || word.hasPrefix("--repository=") || word.hasPrefix("--web-config=") || word.hasPrefix("--logfile=")
            || word.hasPrefix("--encoding=") || word.hasPrefix("--password=")
        else { return true }
      }
    }
    return hasMode
  }

  /// Whether a word that is no subcommand is an argument of 1.3's rather than a mistyped subcommand.
  private static func isHostOrEntry(_ word: String, _ rest: ArraySlice<String>) -> Bool {
    word.contains(".") || word.contains(":") || rest.contains { $0.hasPrefix("-") && !$0.hasPrefix("-C") }
  }
}

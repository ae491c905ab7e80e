import ArgumentParser
import Commands
import ReportStore
import ServerSettings

/// Options that all subcommands have.
struct CommonArguments: ParsableArguments {
  @ArgumentParser.OptionGroup var configuration: ConfigurationArguments

  @Flag(help: "Print JSON.")
  var json = false

  func adding(to options: CommandLineOptions) -> CommandLineOptions { configuration.adding(to: options) }
}

/// Which run of each client is meant.
struct SelectionArguments: ParsableArguments {
  @Flag(name: [.customShort("n"), .long], help: "Do not consider interactions created with the --dry-run flag.")
  var noDryRun = false

  @Flag(
    name: [.customShort("i"), .long], help: "Do not consider interactions created with the --only-important flag.")
  var noOnlyImportant = false

  @ArgumentParser.Option(
    help: ArgumentHelp("Report as of that time: YYYY-MM-DD, or 'YYYY-MM-DD HH:MM'.", valueName: "time"))
  var at: String?

  func selection() throws -> RunSelection {
    var selection = RunSelection()
    selection.skipsDryRuns = noDryRun
    selection.skipsOnlyImportant = noOnlyImportant
    if let at {
      guard let time = ReportTime(at) else { throw UsageProblem("--at: no time: \(at)") }
      selection.time = time
    }
    return selection
  }
}

/// Which columns a table has.
struct FieldsArgument: ParsableArguments {
  @ArgumentParser.Option(
    help: ArgumentHelp(
      """
      Only display the listed fields: name, time, state, total, good, bad, modified, extra, stale, or one of the client: \
      creation, expiration, id.
      """,
      valueName: "field,field,..."))
  var fields = "name,time,state"

  /// Blanks around the commas do not count, those at both ends do, as in Bcfg2.
  var list: [String] {
    guard !fields.isEmpty else { return [] }
    let parts = fields.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    return parts.enumerated().map { index, part in
      let head = index == 0 ? part : TextRules.trimmedStart(part)
      return index == parts.count - 1 ? head : TextRules.trimmedEnd(head)
    }
  }
}

/// `TYPE:NAME`.
struct EntryName: Hashable {
  var type: String
  var name: String

  var kind: EntryKind? { EntryKind.withState.first { $0.rawValue == type } }

  /// - Throws: `UsageProblem` without a colon.
  init(_ text: String) throws {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2 else { throw UsageProblem("'\(text)' is not of the form TYPE:NAME") }
    type = String(parts[0])
    name = String(parts[1])
  }
}

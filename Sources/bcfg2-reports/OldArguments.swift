import ArgumentParser
import Commands
import ReportRecords
import ReportStore

/// The command line of 1.3: options name the mode.
struct OldArguments: ReportCommand {
  static let configuration = CommandConfiguration(
    commandName: Bcfg2Reports.program, abstract: "Query the Bcfg2 reporting subsystem, with the options of Bcfg2 1.3.",
    usage: "bcfg2-reports [options] <mode> [arg]")

  @OptionGroup var states: StateArguments

  @Flag(name: [.customShort("s"), .long], help: "Equivalent to --bad --extra --modified.")
  var show = false

  @Flag(name: [.customShort("t"), .long], help: "Show total number of managed and good entries from HOST.")
  var total = false

  @Flag(name: [.customShort("x"), .long], help: "Toggle expired/unexpired state of HOST.")
  var expire = false

  @Flag(name: [.customShort("a"), .long], help: "Show all hosts.")
  var all = false

  @OptionGroup var outcome: OutcomeArguments

  @Flag(help: "Show hosts that have bad entries that match the argument.")
  var badentry = false

  @Flag(help: "Show hosts that have modified entries that match the argument.")
  var modifiedentry = false

  @Flag(help: "Show hosts that have extra entries that match the argument.")
  var extraentry = false

  @Flag(help: "Show the status of the named entry on all hosts.")
  var entrystatus = false

  @OptionGroup var fields: FieldsArgument

  @ArgumentParser.Option(
    help: ArgumentHelp(
      "Read TYPE:NAME pairs from the specified file instead of the command line.", valueName: "file"))
  var file: String?

  @Argument(help: ArgumentHelp("A host, or entries as TYPE:NAME.", valueName: "arg"))
  var words: [String] = []

  @OptionGroup var common: CommonArguments

  /// Modes of which there can be one, by their options.
  private var modes: [String] {
    let all = [
      (all, "--all"), (outcome.clean, "--clean"), (outcome.dirty, "--dirty"), (outcome.stale, "--stale"),
      (badentry, "--badentry"),
      (modifiedentry, "--modifiedentry"), (extraentry, "--extraentry"), (entrystatus, "--entrystatus"),
      (total, "--total"),
      (expire, "--expire"),
    ]
    return all.filter(\.0).map(\.1)
  }

  private var isForEntries: Bool { badentry || modifiedentry || extraentry || entrystatus }
  private var isForClients: Bool { all || outcome.isAny }

  func check() throws {
    let modes = modes
    guard modes.count <= 1 else {
      throw UsageProblem("Only one mode can be specified; found \(modes[0]) and \(modes[1])")
    }
    guard !modes.isEmpty || states.isAny || show else { throw UsageProblem("You must specify a mode") }
    if isForEntries {
      guard file != nil || !words.isEmpty else {
        throw UsageProblem("Entry Modes require either a list of entries on the command line or the --file options")
      }
      if file == nil { _ = try words.map(EntryName.init) }
    } else if !isForClients, words.isEmpty {
      throw UsageProblem("Single-Host Modes require a single HOST argument")
    }
  }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    let selection = RunSelection()
    if isForClients {
      if !words.isEmpty, !common.json { Output.print("Host Selection Modes do not take any arguments, ignoring") }
      let filter = ClientFilter(isForAll: all, outcome: outcome)
      try filter.show(store, selection, fields.list, asJSON: common.json)
      return 0
    }
    if isForEntries {
      let names = try file.map(EntryList.read) ?? words.map(EntryName.init)
      let report = EntryReport(store: store, selection: selection, fields: fields.list, asJSON: common.json)
      guard entrystatus else {
        return try report.showClients(with: names, in: badentry ? .bad : modifiedentry ? .modified : .extra)
      }
      guard let first = names.first else { throw UsageProblem("There is no entry in \(file ?? "")") }
      return try report.showStates(of: first)
    }
    let host = HostReport(store: store, host: words.last ?? "", selection: selection, asJSON: common.json)
    if expire { return try host.toggleExpiration(subject: "Host") }
    if total { return try host.showTotal() }
    return try host.showEntries(states.chosen(all: show))
  }
}

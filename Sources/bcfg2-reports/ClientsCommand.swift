import ArgumentParser
import ReportStore

/// Which clients are shown, by the outcome of their run.
struct OutcomeArguments: ParsableArguments {
  @Flag(name: [.customShort("c"), .long], help: "Show only clean hosts.")
  var clean = false

  @Flag(name: [.customShort("d"), .long], help: "Show only dirty hosts.")
  var dirty = false

  @Flag(help: "Show hosts that haven't run in the last 25 hours.")
  var stale = false

  var isAny: Bool { clean || dirty || stale }
}

/// `bcfg2-reports clients`.
struct ClientsCommand: ReportCommand {
  static let configuration = CommandConfiguration(commandName: "clients", abstract: "Query hosts.")

  @OptionGroup var selection: SelectionArguments
  @OptionGroup var fields: FieldsArgument

  @OptionGroup var outcome: OutcomeArguments
  @OptionGroup var common: CommonArguments

  func check() throws { _ = try selection.selection() }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    let filter = ClientFilter(isForAll: !outcome.isAny, outcome: outcome)
    try filter.show(store, try selection.selection(), fields.list, asJSON: common.json)
    return 0
  }
}

/// Clients by the outcome of their run: those of any kind that is asked for.
struct ClientFilter {
  let isForAll: Bool
  let outcome: OutcomeArguments

  @MainActor func show(
    _ store: ReportStore, _ selection: RunSelection, _ fields: [String], asJSON: Bool
  ) throws {
    let now = selection.time ?? .now()
    let found = try store.clients(selection).filter { found in
      isForAll || outcome.stale && found.run.isStale(at: now) || outcome.clean && found.run.isClean
        || outcome.dirty && !found.run.isClean
    }
    try ClientTable(found.map { .init(run: $0) }, fields: fields, selection).show(asJSON: asJSON)
  }
}

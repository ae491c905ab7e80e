import ArgumentParser
import ReportStore

/// `bcfg2-reports clients`.
struct ClientsCommand: ReportCommand {
  static let configuration = CommandConfiguration(commandName: "clients", abstract: "Query hosts.")

  @OptionGroup var selection: SelectionArguments
  @OptionGroup var fields: FieldsArgument

  @Flag(name: [.customShort("c"), .long], help: "Show only clean hosts.")
  var clean = false

  @Flag(name: [.customShort("d"), .long], help: "Show only dirty hosts.")
  var dirty = false

  @Flag(help: "Show hosts that haven't run in the last 25 hours.")
  var stale = false

  @OptionGroup var common: CommonArguments

  func check() throws { _ = try selection.selection() }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    var filter = ClientFilter()
    filter.isForAll = !clean && !dirty && !stale
    filter.clean = clean
    filter.dirty = dirty
    filter.stale = stale
    try filter.show(store, try selection.selection(), fields.list, asJSON: common.json)
    return 0
  }
}

/// Clients by the outcome of their run: those of any kind that is asked for.
struct ClientFilter {
  var isForAll = false
  var clean = false
  var dirty = false
  var stale = false

  @MainActor func show(
    _ store: ReportStore, _ selection: RunSelection, _ fields: [String], asJSON: Bool
  ) throws {
    let now = selection.time ?? .now()
    let found = try store.clients(selection).filter { found in
      isForAll || stale && found.run.isStale(at: now) || clean && found.run.isClean || dirty && !found.run.isClean
    }
    try ClientTable(found.map { .init(run: $0) }, fields: fields, selection).show(asJSON: asJSON)
  }
}

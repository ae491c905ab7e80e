import ArgumentParser
import Commands
import ReportRecords
import ReportStore

/// The host of a subcommand, and its run.
struct HostArguments: ParsableArguments {
  @Argument(help: "The client.")
  var host: String
}

/// Which entries of a client are shown.
struct StateArguments: ParsableArguments {
  @Flag(name: [.customShort("b"), .long], help: "Show bad entries from HOST.")
  var bad = false

  @Flag(name: [.customShort("e"), .long], help: "Show extra entries from HOST.")
  var extra = false

  @Flag(name: [.customShort("m"), .long], help: "Show modified entries from HOST.")
  var modified = false

  var isAny: Bool { bad || extra || modified }

  /// In the order in which they are shown.
  func chosen(all: Bool) -> [ReportedItem.State] {
    var states: [ReportedItem.State] = []
    if bad || all { states.append(.bad) }
    if modified || all { states.append(.modified) }
    if extra || all { states.append(.extra) }
    return states
  }
}

/// `bcfg2-reports show`.
struct ShowCommand: ReportCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show bad, extra, modified, or all entries from a given host.")

  @OptionGroup var selection: SelectionArguments

  @OptionGroup var states: StateArguments
  @OptionGroup var host: HostArguments
  @OptionGroup var common: CommonArguments

  func check() throws { _ = try selection.selection() }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    let report = HostReport(store: store, host: host.host, selection: try selection.selection(), asJSON: common.json)
    return try report.showEntries(states.chosen(all: !states.isAny))
  }
}

/// `bcfg2-reports total`.
struct TotalCommand: ReportCommand {
  static let configuration = CommandConfiguration(
    commandName: "total", abstract: "Show total number of managed and good entries from HOST.")

  @OptionGroup var selection: SelectionArguments
  @OptionGroup var host: HostArguments
  @OptionGroup var common: CommonArguments

  func check() throws { _ = try selection.selection() }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    try HostReport(store: store, host: host.host, selection: try selection.selection(), asJSON: common.json).showTotal()
  }
}

/// `bcfg2-reports expire`.
struct ExpireCommand: ReportCommand {
  static let configuration = CommandConfiguration(
    commandName: "expire", abstract: "Toggle the expired/unexpired state of HOST.")

  @OptionGroup var host: HostArguments
  @OptionGroup var common: CommonArguments

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    try HostReport(store: store, host: host.host, selection: RunSelection(), asJSON: common.json)
      .toggleExpiration(subject: host.host)
  }
}

/// What is printed of one host.
struct HostReport {
  let store: ReportStore
  let host: String
  let selection: RunSelection
  let asJSON: Bool

  /// A run, with what was asked for.
  private struct Report: Encodable {
    struct Entry: Encodable {
      var type: String
      var name: String
      var state: String
    }

    struct Failure: Encodable {
      var type: String
      var name: String
      var message: String
    }

    var name: String
    var time: String?
    var total: Int?
    var good: Int?
    var entries: [Entry]?
    var failures: [Failure]?
    var expiration: String?
    var error: String?
  }

  /// Entries in these states, in this order, and in JSON also what could not be bound.
  func showEntries(_ states: [ReportedItem.State]) throws -> Int32 {
    try withRun { run, report in
      let entries = try store.entries(of: run, in: Set(states))
      let ordered = states.flatMap { state in entries.filter { $0.state == state } }
      if asJSON {
        report.entries = ordered.map { .init(type: $0.kind.rawValue, name: $0.name, state: "\($0.state)") }
        report.failures = try store.failures(of: run).map { .init(type: $0.type, name: $0.name, message: $0.message) }
      }
      return ordered.map {
        TextRules.padded(TextRules.visible("\($0.kind.rawValue):\($0.name)"), 70) + " \($0.state)"
      }
    }
  }

  func showTotal() throws -> Int32 {
    try withRun { run, report in
      report.total = run.total
      report.good = run.good
      return ["Total managed entries: \(run.total) (good: \(run.good))"]
    }
  }

  /// - Parameter subject: what the message names.
  func toggleExpiration(subject: String) throws -> Int32 {
    guard let client = try store.client(host)?.client else { return try unknown() }
    let expiration = client.expiration == nil ? ReportTime.now() : nil
    try store.setExpiration(expiration, of: client)
    if asJSON {
      try Output.printJSON(Report(name: client.name, expiration: expiration?.text))
    } else {
      Output.print("\(subject) \(expiration == nil ? "un-expired" : "expired").")
    }
    return 0
  }

  private func withRun(_ body: (ReportedRun, inout Report) throws -> [String]) throws -> Int32 {
    guard let found = try store.client(host, selection) else { return try unknown() }
    var report = Report(name: found.client.name)
    var lines = ["No interactions found for host: \(found.client.name)"]
    if let run = found.run {
      report.time = run.timestamp.text
      lines = try body(run, &report)
    }
    if asJSON { try Output.printJSON(report) } else { Output.print(lines) }
    return 0
  }

  private func unknown() throws -> Int32 {
    let text = "No such host: \(host)"
    if asJSON { try Output.printJSON(Report(name: host, error: text)) } else { Output.print(text) }
    return Exit.usage
  }
}

import ArgumentParser
import Commands
import Glibc
import ReportRecords
import ReportStore

/// `bcfg2-reports entry`.
struct EntryCommand: ReportCommand {
  static let configuration = CommandConfiguration(
    commandName: "entry", abstract: "Show the status of a single entry on all hosts.")

  @OptionGroup var selection: SelectionArguments
  @OptionGroup var fields: FieldsArgument

  @Argument(help: ArgumentHelp("The entry.", valueName: "TYPE:NAME"))
  var entry: String

  @OptionGroup var common: CommonArguments

  func check() throws {
    _ = try EntryName(entry)
    _ = try selection.selection()
  }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    try EntryReport(store: store, selection: try selection.selection(), fields: fields.list, asJSON: common.json)
      .showStates(of: try EntryName(entry))
  }
}

/// `bcfg2-reports entries`.
struct EntriesCommand: ReportCommand {
  static let configuration = CommandConfiguration(commandName: "entries", abstract: "Query hosts by entries.")

  @OptionGroup var selection: SelectionArguments
  @OptionGroup var fields: FieldsArgument

  @Flag(help: "Show hosts that have bad entries that match.")
  var badentry = false

  @Flag(help: "Show hosts that have modified entries that match.")
  var modifiedentry = false

  @Flag(help: "Show hosts that have extra entries that match.")
  var extraentry = false

  @ArgumentParser.Option(
    help: ArgumentHelp(
      "Read TYPE:NAME pairs from the specified file instead of from the command line.", valueName: "path"))
  var file: String?

  @Argument(help: ArgumentHelp("Entries.", valueName: "TYPE:NAME"))
  var entries: [String] = []

  @OptionGroup var common: CommonArguments

  func check() throws {
    _ = try selection.selection()
    if file == nil { _ = try entries.map(EntryName.init) }
  }

  @MainActor func run(_ store: ReportStore) throws -> Int32 {
    let names = try file.map(EntryList.read) ?? entries.map(EntryName.init)
    let state: ReportedItem.State? = badentry ? .bad : modifiedentry ? .modified : extraentry ? .extra : nil
    if state == nil {
      Output.printError(
        "entries finds nothing without --badentry, --modifiedentry or --extraentry; entry shows all states")
    }
    return try EntryReport(
      store: store, selection: try selection.selection(), fields: fields.list, asJSON: common.json
    ).showClients(with: names, in: state)
  }
}

/// Entries that a file names, one a line.
enum EntryList {
  /// Larger files are refused.
  private static let limitBytes = 16 << 20

  /// - Throws: `UsageProblem` for a file that cannot be read and a line of another form. Empty lines do not count.
  static func read(_ path: String) throws -> [EntryName] {
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw problem(path, errno) }
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &part, part.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw problem(path, errno) }
      guard count > 0 else { break }
      guard bytes.count + count <= limitBytes else { throw problem(path, EFBIG) }
      bytes += part[..<count]
    }
    return try String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).compactMap { line in
      let text = TextRules.trimmed(String(line))
      return text.isEmpty ? nil : try EntryName(text)
    }
  }

  private static func problem(_ path: String, _ code: Int32) -> UsageProblem {
    UsageProblem("Cannot read entries from \(path): \(String(cString: strerror(code)))")
  }
}

/// What is printed of entries on all hosts.
struct EntryReport {
  let store: ReportStore
  let selection: RunSelection
  let fields: [String]
  let asJSON: Bool

  /// The hosts that have an entry, with its state in place of the host's.
  func showStates(of entry: EntryName) throws -> Int32 {
    guard let kind = entry.kind else {
      let text = "Unhandled/unknown type \(entry.type)"
      if asJSON { try Output.printJSON(["error": text]) } else { Output.print(text) }
      return Exit.usage
    }
    var fields = fields
    if let index = fields.firstIndex(of: "state") { fields.remove(at: index) }
    var lines: [ClientTable.Line] = []
    for found in try store.clients(with: entry.name, of: kind, selection)
    where lines.last?.run.client.id != found.run.client.id {
      lines.append(.init(run: found.run, entry: (entry, found.state)))
    }
    try ClientTable(lines, fields: fields + ["entry state"], selection).show(asJSON: asJSON)
    return 0
  }

  /// The hosts that have entries in a state, entry by entry: a host that has several of them is there several times.
  ///
  /// - Parameter state: nil finds none, as in Bcfg2.
  func showClients(with entries: [EntryName], in state: ReportedItem.State?) throws -> Int32 {
    var lines: [ClientTable.Line] = []
    if let state {
      for entry in entries {
        guard let kind = entry.kind else { continue }
        lines += try store.clients(with: entry.name, of: kind, in: state, selection).map {
          .init(run: $0.run, entry: (entry, $0.state))
        }
      }
    }
    try ClientTable(lines, fields: fields, selection).show(asJSON: asJSON)
    return 0
  }
}

import Databases
public import ReportRecords

/// An entry in a list, with what is wrong with it.
public struct EntryLine: Sendable, Hashable {
  public var kind: EntryKind
  public var id: Int64
  public var name: String
  /// nil: a failure to bind, or not asked for.
  public var state: ReportedItem.State?
  public var problems: [String]
  /// On how many clients, where that was asked.
  public var count: Int

  init(
    _ kind: EntryKind, id: Int64, name: String, state: ReportedItem.State? = nil, problems: [String] = [],
    count: Int = 0
  ) {
    self.kind = kind
    self.id = id
    self.name = name
    self.state = state
    self.problems = problems
    self.count = count
  }

  /// How many columns `columns` names.
  static let columnCount = 9

  /// The columns of a row that `init` reads.
  static func columns(_ kind: EntryKind) -> String {
    (["e.\"id\"", "e.\"name\"", "e.\"state\"", "e.\"exists\""] + EntryExpressions.of(kind).short)
      .joined(separator: ", ")
  }

  init(_ kind: EntryKind, _ row: ArraySlice<SQLValue>) {
    let row = Array(row)
    let state = row[2].asState
    self.init(
      kind, id: row[0].asID, name: row[1].asText ?? "", state: state,
      problems: Self.problems(
        kind, state, exists: row[3].asBool, row[4...7].map { $0.asText ?? "" },
        row[8].asInt.flatMap(PathDetail.init(rawValue:))))
  }

  /// What is wrong, in the words of Bcfg2's pages.
  ///
  /// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Reporting/models.py, short_list.
  private static func problems(
    _ kind: EntryKind, _ state: ReportedItem.State?, exists: Bool, _ short: [String], _ detail: PathDetail?
  ) -> [String] {
    if state == .extra, kind == .path || kind == .package { return ["Extra"] }
    var problems = state == .extra ? ["Extra"] : exists ? [] : ["Missing"]
    switch kind {
    case .package:
      let isWrong = short[1].isEmpty || short[0] != short[1] || short[0] == "auto"
      if isWrong, exists { problems.append(short[1].isEmpty ? "Missing" : "Wrong version") }
    case .path:
      if short[0] != short[1] { problems.append("File mode") }
      if detail == .pruned {
        problems.append("Directory has extra files")
      } else if detail != .unused {
        problems.append("Incorrect data")
      }
      if short[2] != short[3] { problems.append("Incorrect target") }
    case .service:
      if short[0] != short[1] { problems.append("Incorrect status") }
    case .sePort, .seFcontext, .seNode, .seInterface:
      if short[1].isEmpty || short[0] != short[1] { problems.append("Wrong SELinux type") }
    default: break
    }
    return problems
  }
}

/// Everything about one entry.
public struct EntryDetails: Sendable, Hashable {
  /// A value that the entry should have, and the one that it has.
  public struct Comparison: Sendable, Hashable {
    public var value: EntryValue
    public var target: String
    public var current: String
    /// Whether only one of them is recorded.
    public var isOneSided: Bool
  }

  public var line: EntryLine
  /// `Path` for the failure to bind a Path, too.
  public var tag: String
  public var exists = true
  public var comparisons: [Comparison] = []
  public var pathType = ""
  public var detail = PathDetail.unused
  /// Contents, a diff, names; of a failure the message.
  public var details = ""
}

extension SQLValue {
  /// A number of column `state`.
  var asState: ReportedItem.State? {
    asInt.flatMap { UInt8(exactly: $0) }.flatMap { ReportedItem.State(rawValue: $0) }
  }
}

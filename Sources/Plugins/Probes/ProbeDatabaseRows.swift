import Core
import Databases
import Glibc
import Identity
import LoopDatabases
import OrderedCollections
import XMLRPC

/// The rows of clients' probe data: statements, and what their answers say.
enum ProbeRows {
  static let tables = [ServerTables.probeData, ServerTables.probeGroups]

  static let data =
    "SELECT \"probe\", \"data\", \"timestamp\" FROM \"Server_probesdatamodel\" WHERE \"hostname\" = ? ORDER BY \"id\""
  static let groups = "SELECT \"group\" FROM \"Server_probesgroupsmodel\" WHERE \"hostname\" = ? ORDER BY \"id\""

  private static let dataStamp = "COUNT(*), SUM(\"id\"), MAX(\"timestamp\") FROM \"Server_probesdatamodel\""
  private static let groupStamp = "COUNT(*), SUM(\"id\") FROM \"Server_probesgroupsmodel\""

  // MARK: Reading

  /// What a client's rows say: of double rows of a probe the last one counts, as in Bcfg2.
  static func known(_ data: [Row], _ groups: [Row]) -> ProbeDatabase.Known {
    var isDamaged = false
    var probes: NameTable<String> = [:]
    var time = ""
    for row in data {
      guard row.count == 3, let probe = row[0].asText else { continue }
      let name = plain(probe, &isDamaged)
      if probes[name] != nil { isDamaged = true }
      probes[name] = plain(row[1].asText ?? "", &isDamaged)
      time = max(time, row[2].asText ?? "")
    }
    var names = OrderedSet<Name>()
    for row in groups {
      guard let group = row.first?.asText else { continue }
      if !names.append(Name(plain(group, &isDamaged))).inserted { isDamaged = true }
    }
    if data.isEmpty, groups.isEmpty { return ProbeDatabase.Known(report: nil, isDamaged: false) }
    let report = ProbeReport(
      timestamp: ProbeTime.seconds(time), probes: probes.map { (name: $0.key, text: $0.value) },
      groups: names.map(\.text))
    return ProbeDatabase.Known(report: report, isDamaged: isDamaged)
  }

  /// A text as XML can have it: other programs may have stored any.
  private static func plain(_ text: String, _ isDamaged: inout Bool) -> String {
    var copy = text
    guard copy.withUTF8({ XMLCharacters.firstFlaw(in: UnsafeRawBufferPointer($0)) }) != nil else { return text }
    isDamaged = true
    var plain = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isAllowed =
        scalar.value >= 0x20 ? scalar.value & 0xFFFE != 0xFFFE : [0x09, 0x0A, 0x0D].contains(scalar.value)
      plain.append(isAllowed ? scalar : "\u{FFFD}")
    }
    return String(plain)
  }

  // MARK: Stamps

  static func checks(of clients: [ClientName]) -> [LoopStatement] {
    let list = SharedDatabase.list(clients)
    return [dataStamp, groupStamp].map { stamp in
      LoopStatement(
        "SELECT \"hostname\", \(stamp) WHERE \"hostname\" IN \(list.sql) GROUP BY \"hostname\"", list.values)
    }
  }

  static func stamps(data: [Row], groups: [Row]) -> [String: ProbeDatabase.Stamp] {
    var stamps: [String: ProbeDatabase.Stamp] = [:]
    for row in data { fill(&stamps[row.first?.asText ?? "", default: .none], data: row.dropFirst()) }
    for row in groups { fill(&stamps[row.first?.asText ?? "", default: .none], groups: row.dropFirst()) }
    return stamps
  }

  static func stamp(data: StatementResult, groups: StatementResult) -> ProbeDatabase.Stamp {
    var stamp = ProbeDatabase.Stamp.none
    if let row = data.rows.first { fill(&stamp, data: row[...]) }
    if let row = groups.rows.first { fill(&stamp, groups: row[...]) }
    return stamp
  }

  private static func fill(_ stamp: inout ProbeDatabase.Stamp, data: ArraySlice<SQLValue>) {
    let values = Array(data)
    guard values.count == 3 else { return }
    stamp.dataCount = values[0].asInt ?? 0
    stamp.dataNumbers = values[1].asInt ?? 0
    stamp.dataTime = values[2].asText ?? ""
  }

  private static func fill(_ stamp: inout ProbeDatabase.Stamp, groups: ArraySlice<SQLValue>) {
    let values = Array(groups)
    guard values.count == 2 else { return }
    stamp.groupCount = values[0].asInt ?? 0
    stamp.groupNumbers = values[1].asInt ?? 0
  }

  // MARK: Writing

  /// The statements that bring a client's rows from one report to another; from nil, whatever there is, all are replaced.
  ///
  /// They start with a lock, so that reports of one client follow each other, and end with the stamp. Run twice they have
  /// the effect of once.
  ///
  /// - Returns: also the index of the stamp at the start; that at the end are the last two.
  static func change(
    of client: ClientName, from known: ProbeReport?, to report: ProbeReport, engine: DatabaseEngine
  ) -> (statements: [LoopStatement], before: Int) {
    let host = SQLValue.text(client.text)
    var statements: [LoopStatement] = []
    // SQLite lets one write at a time anyway.
    if engine == .postgresql {
      statements.append(LoopStatement("SELECT pg_advisory_xact_lock(1650681715, hashtext(?))", [host]))
    }
    let before = statements.count
    let lock = engine == .mysql ? " FOR UPDATE" : ""
    for stamp in [dataStamp, groupStamp] {
      statements.append(LoopStatement("SELECT \(stamp) WHERE \"hostname\" = ?\(lock)", [host]))
    }
    let new = ProbeDataSet(timestamp: "0", body: report.body).probes
    let old = known.map { ProbeDataSet(timestamp: "0", body: $0.body).probes } ?? [:]
    if known == nil {
      for table in tables {
        statements.append(LoopStatement("DELETE FROM \"\(table.name)\" WHERE \"hostname\" = ?", [host]))
      }
    }
    let now = SQLValue.text(ProbeTime.now())
    for (probe, data) in old.sorted() where new[probe].map({ !Name.areSame($0.text, data.text) }) ?? true {
      statements.append(deletion(of: probe, host))
    }
    for (probe, data) in new.sorted() where old[probe].map({ !Name.areSame($0.text, data.text) }) ?? true {
      // Where the statements are run twice, the row of the first time goes.
      if known != nil, old[probe] == nil { statements.append(deletion(of: probe, host)) }
      statements.append(
        LoopStatement(
          """
          INSERT INTO "Server_probesdatamodel" ("hostname", "probe", "timestamp", "data") VALUES (?, ?, ?, ?)
          """, [host, .text(probe), now, .text(data.text)]))
    }
    let groups = known?.groups ?? []
    let kept = zip(groups, report.groups).prefix { Name.areSame($0, $1) }.count
    let added = report.groups.dropFirst(kept)
    if known != nil {
      for group in OrderedSet((groups.dropFirst(kept) + added).map { Name($0) }) {
        statements.append(
          LoopStatement(
            "DELETE FROM \"Server_probesgroupsmodel\" WHERE \"hostname\" = ? AND \"group\" = ?",
            [host, .text(group.text)]))
      }
    }
    for group in added {
      statements.append(
        LoopStatement(
          "INSERT INTO \"Server_probesgroupsmodel\" (\"hostname\", \"group\") VALUES (?, ?)", [host, .text(group)]))
    }
    for stamp in [dataStamp, groupStamp] {
      statements.append(LoopStatement("SELECT \(stamp) WHERE \"hostname\" = ?", [host]))
    }
    return (statements, before)
  }

  private static func deletion(of probe: String, _ host: SQLValue) -> LoopStatement {
    LoopStatement(
      "DELETE FROM \"Server_probesdatamodel\" WHERE \"hostname\" = ? AND \"probe\" = ?", [host, .text(probe)])
  }
}

/// Times as Django stores them: local, with microseconds.
enum ProbeTime {
  static func now() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var local = tm()
    var seconds = now.tv_sec
    localtime_r(&seconds, &local)
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = [Int(local.tm_year) + 1900, Int(local.tm_mon) + 1, Int(local.tm_mday)].map { padded($0, 2) }
    let clock = [local.tm_hour, local.tm_min, local.tm_sec].map { padded(Int($0), 2) }
    return "\(date.joined(separator: "-")) \(clock.joined(separator: ":")).\(padded(now.tv_nsec / 1000, 6))"
  }

  /// Seconds since the epoch of a time in the database; `0` where it is none.
  static func seconds(_ text: String) -> String {
    let numbers = text.prefix(19).split { !$0.isNumber }.compactMap { Int32($0) }
    guard numbers.count == 6 else { return "0" }
    var local = tm()
    local.tm_year = numbers[0] - 1900
    local.tm_mon = numbers[1] - 1
    local.tm_mday = numbers[2]
    local.tm_hour = numbers[3]
    local.tm_min = numbers[4]
    local.tm_sec = numbers[5]
    local.tm_isdst = -1
    return "\(mktime(&local))"
  }
}

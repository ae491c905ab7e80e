import Core
import Databases
import EventLoop
import Glibc
import Identity
import Logging
import LoopDatabases
import OrderedCollections
import XMLRPC

/// Probe data in the database, with `[probes] use_database`: Bcfg2's tables, without lines that name groups.
///
/// A report of the same data writes nothing. Otherwise the rows that differ are replaced by new ones, never changed: so the
/// numbers of a client's rows tell whether its data is what is in memory (`Stamp`), whichever server wrote it. Python's
/// servers change rows in place and set their time, which is part of the stamp too. ProbeDatabaseRows.swift has the
/// statements.
final class ProbeDatabase {
  /// Most bytes of reports in memory. Others are read when they are needed.
  static let cachedBytes = 64 << 20
  /// How often a report is written again because another server wrote one of the same client meanwhile.
  private static let attemptLimit = 5

  /// What tells the states of a client's rows apart.
  struct Stamp: Hashable {
    var dataCount = 0
    var dataNumbers = 0
    var dataTime = ""
    var groupCount = 0
    var groupNumbers = 0

    /// The stamp of a client without rows.
    static let none = Stamp()
    /// Unlike all others.
    static let unknown = Stamp(dataCount: -1)
  }

  /// What is known of a client's rows.
  struct Known {
    /// nil where there are none.
    let report: ProbeReport?
    /// Whether rows are double, or have text that XML cannot have.
    let isDamaged: Bool
  }

  /// Rows that are being read.
  private final class Reading {
    var task: Task<Result<Known, DatabaseError>, Never>?
    /// Whether the rows were changed meanwhile, so that what comes may be older, or half of it.
    var isOutdated = false
  }

  private let database: SharedDatabase
  private unowned let core: ServerCore
  private let logger: Logger
  private var cache = BoundedCache<ClientName, Known>()
  /// As the database told it last; a client that is not here has no rows, and none are in memory.
  private var stamps: [ClientName: Stamp] = [:]
  private var readings: [ClientName: Reading] = [:]

  init(_ database: SharedDatabase, _ core: ServerCore, _ logger: Logger) {
    self.database = database
    self.core = core
    self.logger = logger
    cache.limitBytes = Self.cachedBytes
  }

  /// A client's last report; nil where there is none.
  func report(of client: ClientName) async throws(DatabaseError) -> ProbeReport? { try await known(client).report }

  /// Forgets what is in memory.
  func forget(_ client: ClientName?) {
    if let client { return drop(client) }
    cache.removeAll()
    for reading in readings.values { reading.isOutdated = true }
    readings = [:]
  }

  private func drop(_ client: ClientName) {
    cache.remove(client)
    readings.removeValue(forKey: client)?.isOutdated = true
  }

  private func known(_ client: ClientName) async throws(DatabaseError) -> Known {
    while true {
      if let known = cache[client] { return known }
      let reading = readings[client] ?? begin(client)
      guard let outcome = await reading.task?.value else { preconditionFailure("nobody reads") }
      if reading.isOutdated { continue }
      let isFirst = readings[client] === reading
      if isFirst { readings[client] = nil }
      let known = try outcome.get()
      if isFirst { keep(known, of: client) }
      return known
    }
  }

  private func begin(_ client: ClientName) -> Reading {
    let reading = Reading()
    reading.task = Task { await read(client) }
    readings[client] = reading
    return reading
  }

  private func read(_ client: ClientName) async -> Result<Known, DatabaseError> {
    do throws(DatabaseError) {
      // By themselves: with SQLite a transaction would wait for those who write. Should a change come between the two, the
      // stamp shows it at the client's next call.
      let data = try await database.run(ProbeRows.data, [.text(client.text)])
      let groups = try await database.run(ProbeRows.groups, [.text(client.text)])
      return .success(ProbeRows.known(data.rows, groups.rows))
    } catch {
      return .failure(error)
    }
  }

  private func keep(_ known: Known, of client: ClientName) {
    cache.insert(known, for: client, bytes: known.report?.sizeBytes ?? 0)
    if stamps[client] == nil, known.report != nil { stamps[client] = .unknown }
  }

  // MARK: What others write

  func checked(_ clients: [ClientName], _ results: [StatementResult]) {
    guard results.count == 2 else { return }
    let found = ProbeRows.stamps(data: results[0].rows, groups: results[1].rows)
    for client in clients {
      let stamp = found[client.text] ?? .none
      guard stamp != stamps[client] ?? .none else { continue }
      set(stamp, of: client)
      drop(client)
      core.expireMetadataCache(client)
    }
  }

  private func set(_ stamp: Stamp, of client: ClientName) { stamps[client] = stamp == .none ? nil : stamp }

  // MARK: Reports

  /// Stores a report. It is durable when this returns.
  func save(_ report: ProbeReport, of client: ClientName) async throws {
    for attempt in 1...Self.attemptLimit {
      let known = try await known(client)
      if !known.isDamaged, known.report?.saysSame(as: report) ?? report.body.isEmpty { return }
      let start = stamps[client] ?? .none
      // After a few collisions all rows are replaced.
      let replacesAll = known.isDamaged || attempt == Self.attemptLimit
      let change = ProbeRows.change(
        of: client, from: replacesAll ? nil : known.report, to: report, engine: database.settings.engine)
      let results = try await database.commit(change.statements, of: client)
      let before = ProbeRows.stamp(data: results[change.before], groups: results[change.before + 1])
      let after = ProbeRows.stamp(data: results[results.count - 2], groups: results[results.count - 1])
      let told = stamps[client] ?? .none
      set(told == start || told == after ? after : .unknown, of: client)
      drop(client)
      core.expireMetadataCache(client)
      // A check has already told of a later change, which is read when it is needed.
      guard stamps[client] != .unknown else { return }
      guard before == start || replacesAll else {
        logger.debug("Another server wrote probe data of \(client) meanwhile, writing it again")
        continue
      }
      return keep(Known(report: report, isDamaged: false), of: client)
    }
  }
}

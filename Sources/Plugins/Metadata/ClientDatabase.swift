public import Core
public import Databases
import EventLoop
public import Identity
import Logging
public import LoopDatabases
import Repository

/// The clients in the database, with `[metadata] use_database`: their names and versions.
///
/// All are kept in memory. A client is compared with the database at each of its calls. The whole list, which only templates
/// and administrators ask for, is read again at most each `listInterval` while clients call, so that it has clients which
/// other servers added.
final class ClientDatabase {
  /// The most bytes of a version, where the database counts them.
  static let versionLimit = 31
  /// Clients of one question for the list.
  static let pageRows = 1000
  static let listInterval: Duration = .seconds(30)

  private unowned let plugin: MetadataPlugin
  private let database: SharedDatabase
  private(set) var clients = ClientsTable()
  private var listedAt: MonotonicTime?
  private var isListing = false
  /// Clients that this server changed while the list was read.
  private var changed: Set<ClientName> = []

  init(_ plugin: MetadataPlugin, _ database: SharedDatabase) {
    self.plugin = plugin
    self.database = database
  }

  func contains(_ client: ClientName) -> Bool { clients.client(named: client) != nil }
  func version(of client: ClientName) -> String? { clients.client(named: client)?.version }
  var names: [ClientName] { clients.ordered.map(\.name) }

  // MARK: Changes

  /// Adds a client. It is in the database when this returns; another server may have added it first.
  func add(_ client: ClientName) async throws(DatabaseError) {
    do throws(DatabaseError) {
      _ = try await database.commit(
        [
          LoopStatement(
            "INSERT INTO \"Server_metadataclientmodel\" (\"hostname\", \"version\") VALUES (?, ?)",
            [.text(client.text), .null])
        ], of: client)
    } catch {
      guard error.kind == .constraint else { throw error }
    }
    note(client, version: version(of: client))
  }

  func setVersion(_ client: ClientName, _ version: String) async throws(DatabaseError) {
    _ = try await database.commit(
      [
        LoopStatement(
          "UPDATE \"Server_metadataclientmodel\" SET \"version\" = ? WHERE \"hostname\" = ?",
          [.text(version), .text(client.text)])
      ], of: client)
    note(client, version: version)
  }

  func remove(_ client: ClientName) async throws(DatabaseError) {
    _ = try await database.commit(
      [LoopStatement("DELETE FROM \"Server_metadataclientmodel\" WHERE \"hostname\" = ?", [.text(client.text)])],
      of: client)
    forget(client)
  }

  private func note(_ client: ClientName, version: String?) {
    changed.insert(client)
    if let record = clients.client(named: client) {
      guard record.version != version else { return }
      if let version { clients.update(record, ["version": version]) } else { clients.remove(record) }
    }
    if clients.client(named: client) == nil {
      clients.add(name: client.text, attributes: version.map { ["version": $0] } ?? [:])
    }
    plugin.expireCache(key: client)
  }

  private func forget(_ client: ClientName) {
    changed.insert(client)
    guard let record = clients.client(named: client) else { return }
    clients.remove(record)
    if clients.isWorthReadingAgain { rebuild() }
    plugin.expireCache(key: client)
  }

  /// Frees the memory of removed clients.
  private func rebuild() {
    let fresh = ClientsTable()
    for client in clients.ordered {
      fresh.add(name: client.name.text, attributes: client.version.map { ["version": $0] } ?? [:])
    }
    clients = fresh
  }

  // MARK: What others change

  /// A question about clients that have called.
  static func check(_ clients: [ClientName]) -> LoopStatement {
    let list = SharedDatabase.list(clients)
    return LoopStatement(
      "SELECT \"hostname\", \"version\" FROM \"Server_metadataclientmodel\" WHERE \"hostname\" IN \(list.sql)",
      list.values)
  }

  /// Takes the answer.
  func checked(_ asked: [ClientName], _ result: StatementResult) {
    var found: [String: String?] = [:]
    for row in result.rows where row.count == 2 {
      found.updateValue(row[1].asText, forKey: row[0].asText?.lowercased() ?? "")
    }
    for client in asked {
      if let version = found[client.text] {
        if !contains(client) || self.version(of: client) != version { note(client, version: version) }
      } else if contains(client) {
        forget(client)
      }
    }
    if let listedAt, plugin.core.loop.now - listedAt > Self.listInterval, !isListing {
      Task {
        do throws(DatabaseError) {
          try await list()
        } catch {
          plugin.logger.debug("The list of clients was not read again: \(error)")
        }
      }
    }
  }

  /// Reads the whole list, a page at a time.
  func list() async throws(DatabaseError) {
    guard !isListing else { return }
    isListing = true
    defer {
      isListing = false
      listedAt = plugin.core.loop.now
    }
    changed = []
    plugin.logger.debug("Metadata: Re-reading client list from database")
    var last = ""
    var found: Set<ClientName> = []
    var added = 0
    var isFull = true
    while isFull {
      let page = try await database.run(
        """
        SELECT "hostname", "version" FROM "Server_metadataclientmodel" WHERE "hostname" > ? ORDER BY "hostname" \
        LIMIT \(Self.pageRows)
        """, [.text(last)])
      isFull = page.rows.count == Self.pageRows
      for row in page.rows {
        guard row.count == 2, let text = row[0].asText else { continue }
        last = text
        // Names that no client can have are those of somebody's own statements.
        guard let name = try? ClientName(recorded: text).lowercased, !changed.contains(name) else { continue }
        found.insert(name)
        let version = row[1].asText
        if let record = clients.client(named: name) {
          if record.version == version { continue }
        } else {
          added += 1
        }
        take(name, version)
      }
    }
    let gone = clients.ordered.map(\.name).filter { !found.contains($0) && !changed.contains($0) }
    for client in gone { forget(client) }
    guard added + gone.count > 0 else { return }
    plugin.logger.debug("Metadata: Added \(added) clients, removed \(gone.count)")
    plugin.core.clientListChanged()
  }

  /// As `note`, for what the list says. At the start nothing was made from the list yet.
  private func take(_ client: ClientName, _ version: String?) {
    if listedAt != nil { return note(client, version: version) }
    if let record = clients.client(named: client) { clients.remove(record) }
    clients.add(name: client.text, attributes: version.map { ["version": $0] } ?? [:])
  }
}

extension MetadataPlugin: DatabaseBacked {
  public var usesDatabase: Bool { database != nil }
  public var tables: [SQLTable] { [ServerTables.clients] }
  public func databaseOpened() async throws(DatabaseError) { try await database?.list() }
  public func checks(of clients: [ClientName]) -> [LoopStatement] { [ClientDatabase.check(clients)] }

  public func checked(_ clients: [ClientName], _ results: [StatementResult]) {
    for result in results { database?.checked(clients, result) }
  }

  /// The error of a change that Bcfg2 does not make with clients in the database.
  func refusal(_ message: String) -> PluginExecutionError {
    logger.error("\(message)")
    return PluginExecutionError(message)
  }
}

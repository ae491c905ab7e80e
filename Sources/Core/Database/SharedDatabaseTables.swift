import Databases
import Logging
import LoopDatabases

// Makes the tables of plugins where they are missing, as Django's migrations do.
extension SharedDatabase {
  /// - Throws: `missing` in a child and in a tool that only reads, where a table is missing.
  func makeTables() async throws(DatabaseError) {
    let asked = core.interfaces.databaseBacked.flatMap(\.tables)
    if core.isChild {
      // A child's parent does it.
      for table in asked { try await requireTable(table) }
      return
    }
    // Django's migration makes all tables of its app, and is recorded as a whole.
    let isOfServer = asked.contains { $0.app == ServerTables.app }
    let tables = (isOfServer ? ServerTables.all : []) + asked.filter { $0.app != ServerTables.app }
    var missing: [SQLTable] = []
    for table in tables where try await !hasTable(table.name) { missing.append(table) }
    // Recorded before the tables are made: a server that stops between makes what is missing when it starts again.
    if missing.contains(where: { $0.app == ServerTables.app }) { try await recordMigrations(of: ServerTables.app) }
    for table in missing { try await make(table) }
    if settings.engine == .mysql { for table in asked { try await warnOfOrder(table) } }
    for table in tables { try await makeIndexes(of: table) }
  }

  /// A table that a Python server has made compares names without their case.
  private func warnOfOrder(_ table: SQLTable) async throws(DatabaseError) {
    let others = try await opened().run(
      """
      SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? \
      AND RIGHT(collation_name, 4) <> '_bin'
      """, [.text(table.name)])
    guard others.rows.first?.first?.asInt ?? 0 > 0 else { return }
    core.logger.warning(
      "The table \(table.name) takes names that differ only in case for one, so that clients may get each other's rows: ALTER TABLE \(table.name) CONVERT TO \(SQLDialect.binaryOrder)"
    )
  }

  private func requireTable(_ table: SQLTable) async throws(DatabaseError) {
    _ = try await opened().run("SELECT COUNT(*) FROM \"\(table.name)\" WHERE 1 = 0", [])
  }

  private func hasTable(_ name: String) async throws(DatabaseError) -> Bool {
    do throws(DatabaseError) {
      _ = try await opened().run("SELECT COUNT(*) FROM \"\(name)\" WHERE 1 = 0", [])
      return true
    } catch  where error.kind == .missing {
      return false
    }
  }

  private func make(_ table: SQLTable) async throws(DatabaseError) {
    let dialect = SQLDialect(engine: settings.engine)
    core.logger.notice("Creating the table \(table.name) in the database")
    do throws(DatabaseError) {
      for statement in [dialect.create(table)] + dialect.indexes(table) { _ = try await opened().run(statement, []) }
    } catch let failure {
      // Another server may have made it first.
      guard try await hasTable(table.name) else { throw failure }
    }
  }

  /// Records an app's migrations as applied, so that those of a Python server do not make its tables once more. Where South has a
  /// history they are not: the first migration with Django takes that over, unless Django has one of its own.
  private func recordMigrations(of app: String) async throws(DatabaseError) {
    if try await hasTable("south_migrationhistory") { return }
    let dialect = SQLDialect(engine: settings.engine)
    let record = DjangoTables.record
    _ = try await opened().run(dialect.create(record, ifMissing: true), [])
    let found = try await opened().run("SELECT \"name\" FROM \"\(record.name)\" WHERE \"app\" = ?", [.text(app)])
    let applied = Set(found.rows.compactMap { $0.first?.asText })
    for name in DjangoTables.migrations.first(where: { $0.app == app })?.names ?? [] where !applied.contains(name) {
      _ = try await opened().run(
        "INSERT INTO \"\(record.name)\" (\"app\", \"name\", \"applied\") VALUES (?, ?, \(dialect.now))",
        [.text(app), .text(name)])
    }
  }

  private func makeIndexes(of table: SQLTable) async throws(DatabaseError) {
    let dialect = SQLDialect(engine: settings.engine)
    for index in table.extraIndexes {
      do throws(DatabaseError) {
        let found = try await opened().run(dialect.indexNames, [.text(table.name)])
        if found.rows.contains(where: { $0.first?.asText == index.name }) { continue }
        _ = try await opened().run(dialect.create(index), [])
      } catch {
        guard !error.isTemporary else { throw error }
        // Another user owns the table, or another server makes the index now.
        let columns = index.columns.joined(separator: ", ")
        core.logger.info("\(table.name) has no index on \(columns), and is read whole for each client: \(error)")
      }
    }
  }
}

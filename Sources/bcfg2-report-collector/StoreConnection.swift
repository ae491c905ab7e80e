import Databases
import EventLoop
import Logging
import ReportStore

/// The reporting database: opened, and its tables made, when it is needed.
@MainActor
final class StoreConnection {
  private let configuration: Collector.Configuration
  private var store: ReportStore?

  init(_ configuration: Collector.Configuration) { self.configuration = configuration }

  /// The open database.
  var current: ReportStore {
    get throws(DatabaseError) {
      try prepare()
      guard let store else { throw DatabaseError(.unavailable, "the database was closed") }
      return store
    }
  }

  /// Opens the database, if it is not open, and makes the tables that are missing.
  func prepare() throws(DatabaseError) {
    guard store == nil else { return }
    let store = ReportStore(try Databases.open(configuration.database, createsFile: true))
    store.fileLimit = configuration.fileLimit
    try store.prepare()
    self.store = store
  }

  /// Forgets the connection after a failure, so that the next use begins anew.
  func close() { store = nil }
}

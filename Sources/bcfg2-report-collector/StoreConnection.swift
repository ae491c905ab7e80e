import Databases
import EventLoop
import Glibc
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
    if configuration.database.engine == .sqlite, let slash = configuration.database.name.lastIndex(of: "/") {
      // `<repository>/etc`, which nothing else makes. A failure shows when the file is opened.
      _ = mkdir(String(configuration.database.name[..<slash]), 0o777)
    }
    let store = ReportStore(try Databases.open(configuration.database, createsFile: true))
    store.fileLimit = configuration.fileLimit
    try store.prepare()
    self.store = store
  }

  /// Forgets the connection after a failure, so that the next use begins anew.
  func close() { store = nil }
}

public import Databases
public import EventLoop
public import Logging

/// Opens databases for the loop.
public enum LoopDatabases {
  /// Returns a database that connects, or starts its helper, with the first statements.
  ///
  /// - Parameters:
  ///   - resolver: looks up the name of PostgreSQL's host; nil: the database has one of its own.
  ///   - program: the executable that helpers are; it calls `DatabaseHelper.runIfAsked()` first.
  public static func open(
    _ settings: DatabaseSettings, on loop: Reactor, logger: Logger, resolver: (any AddressResolver)? = nil,
    program: String = "/proc/self/exe"
  ) -> any LoopDatabase {
    switch settings.engine {
    case .postgresql: LoopPostgreSQL(settings, on: loop, logger: logger, resolver: resolver)
    case .sqlite, .mysql: LoopHelperDatabase(settings, on: loop, logger: logger, program: program)
    }
  }
}

public import Databases
public import EventLoop
public import Logging

/// Opens databases for the loop.
public enum LoopDatabases {
  /// Returns a database that connects, or starts its helper, with the first statements.
  ///
  /// - Parameter program: the executable that helpers are; it calls `DatabaseHelper.runIfAsked()` first.
  public static func open(
    _ settings: DatabaseSettings, on loop: Reactor, logger: Logger, program: String = "/proc/self/exe"
  ) -> any LoopDatabase {
    LoopHelperDatabase(settings, on: loop, logger: logger, program: program)
  }
}

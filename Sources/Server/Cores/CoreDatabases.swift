import Core
import Databases
import EventLoop
import LoopDatabases

extension ServerCore {
  /// Lets plugins use the database of `[database]`. The process's executable is also that of the helper, which its `main` has
  /// to start first (`DatabaseHelper.runIfAsked`).
  func opensDatabases() {
    openDatabase = { [loop, logger, resolver] settings in
      LoopDatabases.open(settings, on: loop, logger: logger, resolver: resolver)
    }
  }
}

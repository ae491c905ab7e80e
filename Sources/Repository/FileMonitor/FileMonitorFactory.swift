public import EventLoop
public import Logging

/// Makes the monitor named by `[server] filemonitor`.
public enum FileMonitorFactory {
  /// The values of the setting.
  public nonisolated static let names = ["default", "inotify", "pseudo", "gamin", "fam"]

  /// - Parameters:
  ///   - name: one of `names`; for Bcfg2's `gamin` and `fam`, makes inotify with a warning.
  ///   - ignoring: `[server] ignore_files`.
  /// - Returns: nil for an unknown name.
  public static func make(
    _ name: String, ignoring patterns: [String] = IgnoreList.defaults,
    logger: Logger = Logger(label: TreeMonitor.logLabel), on loop: Reactor
  ) -> (any FileMonitor)? {
    let ignored = IgnoreList(patterns)
    switch name {
    case "pseudo": return PseudoMonitor(ignored: ignored, logger: logger)
    case "default", "inotify": return InotifyMonitor(ignored: ignored, logger: logger, on: loop)
    case "gamin", "fam":
      logger.warning("[server] filemonitor = \(name) is not supported, inotify is used")
      return InotifyMonitor(ignored: ignored, logger: logger, on: loop)
    default: return nil
    }
  }
}

/// The file monitor that reports existing files when a path is added, and later changes only after `rescan`, as
/// Bcfg2's.
public final class PseudoMonitor: TreeMonitor {
  public override var name: String { "Pseudo" }

  public init(ignored: IgnoreList = IgnoreList(), logger: Logger = Logger(label: TreeMonitor.logLabel)) {
    super.init(ignored: ignored, source: nil, logger: logger)
  }
}

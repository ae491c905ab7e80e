public import EventLoop
import Logging

/// Makes the monitor that `[server] filemonitor` names.
public enum FileMonitorFactory {
  /// The values of the setting.
  public nonisolated static let names = ["default", "inotify", "pseudo", "gamin"]

  /// - Parameters:
  ///   - name: one of `names`; `gamin`, which Bcfg2 1.x also had, is served by inotify, with a warning.
  ///   - ignoring: `[server] ignore_files`.
  /// - Returns: nil for another name.
  public static func make(
    _ name: String, ignoring patterns: [String] = IgnoreList.defaults, on loop: EventLoop
  ) -> (any FileMonitor)? {
    let ignored = IgnoreList(patterns)
    switch name {
    case "pseudo": return PseudoMonitor(ignored: ignored)
    case "default", "inotify": return InotifyMonitor(ignored: ignored, on: loop)
    case "gamin":
      Logger(label: "FileMonitor").warning("[server] filemonitor = gamin is not supported, inotify is used")
      return InotifyMonitor(ignored: ignored, on: loop)
    default: return nil
    }
  }
}

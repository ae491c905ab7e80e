public import Logging

/// The file monitor that tells of what is there when a path is added, and of nothing afterwards, as Bcfg2's; `rescan`
/// compares and delivers.
public final class PseudoMonitor: TreeMonitor {
  public override var name: String { "Pseudo" }

  public init(ignored: IgnoreList = IgnoreList(), logger: Logger = Logger(label: TreeMonitor.logLabel)) {
    super.init(ignored: ignored, source: nil, logger: logger)
  }
}

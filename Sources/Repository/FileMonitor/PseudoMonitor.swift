public import Logging

/// The file monitor that reports existing files when a path is added, and later changes only after `rescan`, as
/// Bcfg2's.
public final class PseudoMonitor: TreeMonitor {
  public override var name: String { "Pseudo" }

  public init(ignored: IgnoreList = IgnoreList(), logger: Logger = Logger(label: TreeMonitor.logLabel)) {
    super.init(ignored: ignored, source: nil, logger: logger)
  }
}

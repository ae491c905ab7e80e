package import EventLoop
import Glibc
package import PackageSources

/// The refresh of all sources at once: their transfers go on beside each other, one index is made at a time.
package final class Refresh {
  /// What is refreshed, and how.
  package struct Plan {
    package var sources: [PackageSource]
    package var fetching = FetchOptions()
    /// True for `solver = strict`: a part that is missing costs itself alone.
    package var acceptsMissingParts = false
    /// True to leave sources alone that have an index.
    package var isForMissing = false

    package init(sources: [PackageSource]) { self.sources = sources }
  }

  /// The sources in work, for whoever shows them.
  package private(set) var running: [(title: String, progress: TransferProgress)] = []

  private let cache: PackageCache
  private let plan: Plan
  private let transfers: Transfers
  private let onEvent: (RefreshEvent) -> Void

  /// - Parameters:
  ///   - onEvent: what happens, as it happens.
  ///   - onStep: is called some ten times a second while something is transferred.
  package init(
    _ plan: Plan, cache: PackageCache, onEvent: @escaping (RefreshEvent) -> Void
  ) {
    self.plan = plan
    self.cache = cache
    self.onEvent = onEvent
    transfers = Transfers(plan.fetching)
  }

  package var onStep: (() -> Void)? {
    get { transfers.onStep }
    set { transfers.onStep = newValue }
  }

  /// Refreshes all sources. The caller holds the `CacheLock`.
  ///
  /// - Returns: what has become of each, in the order of the plan; nothing of those that were left alone.
  /// - Throws: `SystemError` where the folders of the cache cannot be made.
  package func run() async throws(SystemError) -> [RefreshResult] {
    try cache.prepare()
    let downloads = try Downloads(folder: cache.downloads, transfers: transfers)
    var names: Set<String> = []
    // Equal sources share their index.
    let sources = plan.sources.filter { names.insert($0.indexFileName).inserted }
    var tasks: [Task<RefreshResult?, Never>] = []
    for source in sources {
      let refresh = SourceRefresh(
        source, cache: cache, downloads: downloads, acceptsMissingParts: plan.acceptsMissingParts, onEvent: onEvent)
      if plan.isForMissing, cache.index(source) != nil {
        guard SourceKeys.areMissing(source, folder: cache.keys) else { continue }
        tasks.append(
          Task {
            await refresh.fetchKeys()
            return nil
          })
        continue
      }
      running.append((source.displayName, refresh.progress))
      tasks.append(
        Task { [onEvent] in
          let result = await refresh.run()
          self.running.removeAll { $0.progress === refresh.progress }
          onEvent(.done(result))
          return result
        })
    }
    var results: [RefreshResult] = []
    for task in tasks { if let result = await task.value { results.append(result) } }
    if !plan.isForMissing, !sources.isEmpty { cache.removeOthers(than: sources, downloads) }
    return results
  }
}

import Core
import EventLoop
import Monitoring
import OrderedCollections
import Plugins
import Repository
import ServerSettings
import XMLRPC

/// What a core counts, as metrics: of the server's process, and of its children.
extension ServerCore {
  /// What processes with the same repository add up to.
  func addShared(to samples: inout MetricSamples) {
    samples.add(ServerMetrics.built, configurationBuilds)
    samples.add(ServerMetrics.kept, ["configuration"], answerCache.configurationHits)
    samples.add(ServerMetrics.kept, ["probes"], answerCache.probesHits)
    for (kind, counts) in partCounts where kind != "answers" {
      samples.add(ServerMetrics.partsMade, [kind], counts.made)
      samples.add(ServerMetrics.partsUsed, [kind], counts.used)
      samples.add(ServerMetrics.partsDropped, [kind], counts.dropped)
    }
    samples.add(ServerMetrics.cacheBytes, ["answers"], answerCache.heldBytes)
    samples.add(ServerMetrics.cacheLimit, ["answers"], answerCache.limitBytes)
    samples.add(ServerMetrics.cacheEntries, ["answers"], answerCache.count)
    samples.add(ServerMetrics.cacheEntries, ["parts"], answerCache.partCount)
    let files = fileMonitor.counts
    samples.add(ServerMetrics.watches, files.watches)
    addTemplates(to: &samples)
    guard let database else { return }
    samples.add(ServerMetrics.databaseWaiting, database.waitingCount)
    samples.add(ServerMetrics.databaseTransactions, database.counts.transactions)
    samples.add(ServerMetrics.databaseFailures, database.failures)
  }

  private func addTemplates(to samples: inout MetricSamples) {
    let (held, limit) = templates.cacheBytes
    let results = templates.cacheCount
    let processes = templates.processCounts
    samples.add(ServerMetrics.cacheBytes, ["templates"], held)
    samples.add(ServerMetrics.cacheLimit, ["templates"], limit)
    samples.add(ServerMetrics.cacheEntries, ["templates"], results.results)
    samples.add(ServerMetrics.templateProcesses, processes.running)
    samples.add(ServerMetrics.templateStarts, processes.started)
    samples.add(ServerMetrics.templateFailures, templates.failedProcessCount)
    samples.add(ServerMetrics.rendered, templates.renderedCount)
    samples.add(ServerMetrics.renderingsUsed, results.used)
    samples.add(ServerMetrics.templatesWaiting, templates.waitingCount)
  }

  /// What only the process that serves clients knows.
  func addOwn(to samples: inout MetricSamples) async {
    samples.add(ServerMetrics.build, [ServerVersion.text, name], 1)
    samples.add(ServerMetrics.repository, [revision], 1)
    samples.add(ServerMetrics.troubles, fileMonitor.troubles.count)
    samples.add(ServerMetrics.changes, Int(clamping: fileMonitor.generation))
    samples.add(ServerMetrics.clients, await metadata?.listClients().count ?? 0)
    for (method, outcome, times) in requests.all {
      samples.add(ServerMetrics.requests, [method, outcome.rawValue], times.count)
      guard outcome != .refused, times.count > 0 else { continue }
      samples.add(ServerMetrics.requestTimes, [method, outcome.rawValue], times)
    }
    samples.add(ServerMetrics.loop, ["server"], loop.busyTimes)
    let files = fileMonitor.counts
    samples.add(ServerMetrics.files, files.files)
    samples.add(ServerMetrics.unwatched, files.unwatched)
    samples.add(ServerMetrics.pendingChanges, fileMonitor.hasPending)
    if let database { samples.add(ServerMetrics.databaseAvailable, database.isAvailable) }
    addPlugins(to: &samples)
    addProcess(to: &samples)
  }

  private func addPlugins(to samples: inout MetricSamples) {
    if let packages = plugins[PackagesPlugin.name] as? PackagesPlugin {
      let counts = packages.sourceCounts
      samples.add(ServerMetrics.packageSources, counts.sources)
      samples.add(ServerMetrics.packageSourcesFailed, counts.failed)
      if let oldest = counts.oldestRefresh { samples.add(ServerMetrics.packageRefresh, oldest) }
      samples.add(ServerMetrics.packageFetching, counts.isFetching)
    }
    if let counts = (plugins[ReportingPlugin.name] as? ReportingPlugin)?.spoolCounts {
      samples.add(ServerMetrics.spoolFiles, counts.files)
      samples.add(ServerMetrics.spoolBytes, counts.bytes)
      if let oldest = counts.oldestMicroseconds { samples.add(ServerMetrics.spoolOldest, Double(oldest) / 1e6) }
      samples.add(ServerMetrics.reportsDropped, counts.dropped)
    }
  }

  private func addProcess(to samples: inout MetricSamples) {
    let process = ProcessFigures.own()
    samples.add(ServerMetrics.cpu, process.cpuSeconds)
    samples.add(ServerMetrics.memory, process.residentBytes)
    samples.add(ServerMetrics.heap, process.heapBytes)
    samples.add(ServerMetrics.virtualMemory, process.virtualBytes)
    samples.add(ServerMetrics.descriptors, process.openDescriptors)
    samples.add(ServerMetrics.descriptorLimit, process.descriptorLimit)
    samples.add(ServerMetrics.threads, process.threads)
    samples.add(ServerMetrics.start, process.startTime)
  }

  /// The figures of a child process for its parent.
  func childSamples() -> MetricSamples {
    var samples = MetricSamples()
    addShared(to: &samples)
    samples.add(ServerMetrics.loop, ["children"], loop.busyTimes)
    let process = ProcessFigures.own()
    samples.add(ServerMetrics.childrenCPU, process.cpuSeconds)
    samples.add(ServerMetrics.childrenMemory, process.residentBytes)
    samples.add(ServerMetrics.childrenHeap, process.heapBytes)
    return samples
  }

  /// Why answers are not what they should be, for /readyz: parts of sentences without names of clients.
  var obstacles: [String] {
    var all: [String] = []
    if let trouble = missingFolder { all.append("the repository is missing: \(trouble.path): \(trouble.reason)") }
    if let database, !database.isAvailable { all.append("the database is not available") }
    return all
  }
}

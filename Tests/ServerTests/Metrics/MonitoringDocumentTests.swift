import EventLoop
import Glibc
import Monitoring
import Support
import Testing

@testable import Server

/// docs/metrics.md, the dashboard and the alerts speak of metrics that there are.
@Suite struct MonitoringDocumentTests {
  @Test func theTableOfMetricsIsThatOfTheSources() throws {
    var text = "\n"
    for (title, metrics) in ServerMetrics.groups {
      text += "\n### \(title)\n\n| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n"
      for metric in metrics {
        let labels = metric.labels.map { "`\($0)`" }.joined(separator: ", ")
        text += "| `\(metric.name)` | \(metric.kind.rawValue) | \(labels) | \(metric.help) |\n"
      }
    }
    try GeneratedTable(page: "docs/metrics.md", mark: "<!-- from the metrics that the server declares -->", end: nil)
      .check(text)
  }

  /// Names of series in expressions of PromQL, wherever they stand in a file.
  private func names(in text: String) -> Set<String> {
    Set(text.matches(of: /\b(?:bcfg2|process)_[a-z0-9_]+/).map { String($0.output) })
  }

  @Test(arguments: ["rules.yml", "dashboard.json"])
  func examplesNameMetricsThatThereAre(_ file: String) throws {
    let known = Set(ServerMetrics.all.flatMap(\.seriesNames))
    let used = names(in: try Project.text("examples/monitoring/\(file)"))
    #expect(used.count > 10)
    #expect(used.subtracting(known).isEmpty)
  }

  @Test func theDashboardShowsEveryMetric() throws {
    let used = names(in: try Project.text("examples/monitoring/dashboard.json"))
    // Those of the monitoring itself, and details that only a table of all shows.
    let others: Set<String> = [
      "bcfg2_monitoring_requests", "process_virtual_memory_bytes", "process_max_fds", "process_threads",
      "process_start_time_seconds", "bcfg2_connections_accepted", "bcfg2_descriptors_exhausted", "bcfg2_cache_entries",
      "bcfg2_file_changes_pending", "bcfg2_template_process_starts", "bcfg2_database_available",
      "bcfg2_report_spool_files", "bcfg2_reports_dropped", "bcfg2_child_hangs", "bcfg2_children_unheard",
    ]
    for metric in ServerMetrics.all where !others.contains(metric.name) {
      let isShown = metric.seriesNames.contains { used.contains($0) }
      #expect(isShown, "\(metric.name)")
    }
  }

  @Test(.enabled(if: Self.promtool != nil, "promtool is not installed (Debian's package prometheus)"))
  func prometheusAcceptsTheExamples() async throws {
    let folder = "\(Project.root)/examples/monitoring"
    try await LoopDriver.withLoop { loop in
      for arguments in [["rules", "\(folder)/rules.yml"], ["config", "--syntax-only", "\(folder)/scrape.yml"]] {
        let result = try await ChildProcess.run(
          [try #require(Self.promtool), "check"] + arguments, input: [], timeout: .seconds(120),
          outputLimitBytes: 1 << 16, on: loop)
        #expect(result.status.isSuccess, "\(String(decoding: result.standardError, as: UTF8.self))")
      }
    }
  }

  nonisolated static let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first { (path: String) in
    access(path, X_OK) == 0
  }
}

import EventLoop
import Monitoring
import Support
import Testing

@Suite struct MetricsTextTests {
  private let requests = Metric("t_requests", .counter, labels: ["method"], "Calls by \"method\"\\kind")
  private let size = Metric("t_cache_bytes", .gauge, "Memory")
  private let times = Metric("t_duration_seconds", .histogram, labels: ["method"], "Time")
  private let build = Metric("t_build", .info, labels: ["version"], "Version")
  private let unused = Metric("t_unused", .gauge, "Nothing")

  private var samples: MetricSamples {
    var samples = MetricSamples()
    samples.add(requests, ["b"], 2)
    samples.add(requests, ["a\"\\\n"], 1)
    samples.add(size, 1 << 40)
    samples.add(build, ["1.0"], 1)
    var histogram = DurationHistogram(bounds: [.milliseconds(1), .seconds(1)])
    for duration in [Duration.microseconds(1), .milliseconds(1), .milliseconds(2), .seconds(3)] {
      histogram.add(duration)
    }
    samples.add(times, ["b"], histogram)
    return samples
  }

  private var all: [Metric] { [requests, size, times, build, unused] }

  @Test func openMetricsIsWrittenToTheLetter() throws {
    let text = String(decoding: MetricsText.openMetrics.bytes(all, samples), as: UTF8.self)
    #expect(
      text == #"""
        # HELP t_requests Calls by \"method\"\\kind
        # TYPE t_requests counter
        t_requests_total{method="a\"\\\n"} 1
        t_requests_total{method="b"} 2
        # HELP t_cache_bytes Memory
        # TYPE t_cache_bytes gauge
        # UNIT t_cache_bytes bytes
        t_cache_bytes 1099511627776
        # HELP t_duration_seconds Time
        # TYPE t_duration_seconds histogram
        # UNIT t_duration_seconds seconds
        t_duration_seconds_bucket{method="b",le="0.001"} 2
        t_duration_seconds_bucket{method="b",le="1.0"} 3
        t_duration_seconds_bucket{method="b",le="+Inf"} 4
        t_duration_seconds_sum{method="b"} 3.003001
        t_duration_seconds_count{method="b"} 4
        # HELP t_build Version
        # TYPE t_build info
        t_build_info{version="1.0"} 1
        # HELP t_unused Nothing
        # TYPE t_unused gauge
        # EOF

        """#)
    let read = try OpenMetricsReader(text)
    #expect(read.seriesNames == Set(all.flatMap(\.seriesNames)))
    #expect(read.sum("t_requests_total") == 3 && read.sum("t_requests_total", ["method": "b"]) == 2)
  }

  @Test func prometheusNamesTheSeries() throws {
    let text = String(decoding: MetricsText.prometheus.bytes(all, samples), as: UTF8.self)
    #expect(text.contains("# HELP t_requests_total Calls by \"method\"\\\\kind\n# TYPE t_requests_total counter\n"))
    #expect(text.contains("# TYPE t_build_info gauge\nt_build_info{version=\"1.0\"} 1\n"))
    #expect(!text.contains("# UNIT") && !text.contains("# EOF"))
    let read = try OpenMetricsReader(text, isOpenMetrics: false)
    #expect(read.sum("t_cache_bytes") == 1_099_511_627_776)
  }

  @Test(arguments: [
    ([], MetricsText.openMetrics), (["*/*"], .openMetrics), (["text/plain"], .prometheus),
    (
      [
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
          + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
      ], .openMetrics
    ),
    (["text/plain;version=0.0.4;q=1,*/*;q=0.1"], .prometheus), (["TEXT/PLAIN ; Q=0.8", "text/html"], .prometheus),
    (["application/openmetrics-text; q=0.1", "text/plain;q=0.2"], .prometheus),
    (["application/openmetrics-text", "text/plain"], .openMetrics), ([";;,,q="], .openMetrics),
  ])
  func theScraperChoosesTheFormat(_ row: (accept: [String], form: MetricsText)) {
    #expect(MetricsText(accept: row.accept) == row.form)
  }

  @Test func processesAreAddedUp() {
    var sums = samples
    sums.add(samples)
    #expect(sums.families[requests]?[["b"]] == .number(4))
    #expect(
      sums.families[times]?[["b"]]
        == .histogram(bounds: [.milliseconds(1), .seconds(1)], counts: [4, 2, 2], sumNanoseconds: 6_006_002_000))
    #expect(Set(sums.grownOnly.families.keys) == [requests, times])
  }

  @Test(arguments: [
    "", "# EOF", "a 1\n# EOF\n", "# TYPE a counter\na 1\n# EOF\n", "# TYPE a gauge\na 1\na 1\n# EOF\n",
    "# TYPE a gauge\na{b=\"c\"d} 1\n# EOF\n", "# TYPE a gauge\na{b=\"\\x\"} 1\n# EOF\n", "# TYPE a gauge\na x\n# EOF\n",
    "# TYPE a gauge\n# TYPE b gauge\n# HELP a x\n# EOF\n", "# UNIT a seconds\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 2\n# EOF\n",
    "# TYPE a histogram\na_bucket{le=\"1.0\"} 3\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 2\n# EOF\n",
  ])
  func theReaderOfTheseTestsRefusesWhatIsWrong(_ text: String) {
    #expect(throws: OpenMetricsReader.Problem.self) { try OpenMetricsReader(text) }
  }
}

import EventLoop
import Monitoring
import Support
import Testing
import XMLRPC

@testable import Server

@Suite struct SampleCodingTests {
  private var samples: MetricSamples {
    var samples = MetricSamples()
    samples.add(ServerMetrics.built, 7)
    samples.add(ServerMetrics.partsMade, ["structures"], 3)
    samples.add(ServerMetrics.childrenCPU, 1.25)
    var times = DurationHistogram(bounds: [.milliseconds(1), .microseconds(2500)])
    times.add(.milliseconds(2))
    samples.add(ServerMetrics.loop, ["children"], times)
    return samples
  }

  @Test func figuresOfAChildArriveAsTheyWere() throws {
    let bytes = MethodResponse.encode(SampleCoding.encode(samples)).bytes()
    let value = try MethodResponse.decode(bytes, limits: HTTPLimits()).get()
    #expect(SampleCoding.decode(value) == samples)
  }

  @Test(arguments: [
    Value.nil, .array([.string("x")]), .array([.array([.string("nothing"), .array([]), .double(1)])]),
    .array([.array([.string("bcfg2_configurations_built"), .array([.string("x")]), .double(1)])]),
    .array([.array([.string("bcfg2_configurations_built"), .array([]), .string("1")])]),
    .array([
      .array([
        .string("bcfg2_configurations_built"), .array([]), .array([.array([]), .array([.int(1)]), .int(1)]),
      ])
    ]),
    .array([.array([.string("bcfg2_loop_busy_duration_seconds"), .array([.string("x")]), .double(1)])]),
  ])
  func whatIsNoFigureIsLeftOut(_ value: Value) { #expect(SampleCoding.decode(value) == MetricSamples()) }

  @Test func namesAreDeclaredOnce() {
    let names = ServerMetrics.all.flatMap(\.seriesNames)
    #expect(Set(names).count == names.count)
    for metric in ServerMetrics.all {
      #expect(metric.name.hasPrefix("bcfg2_") || metric.name.hasPrefix("process_"), "\(metric.name)")
      #expect(!metric.name.hasSuffix("_total") && !metric.help.hasSuffix("."), "\(metric.name)")
    }
  }

  @Test func aProcessKnowsWhatItCosts() {
    let figures = ProcessFigures.own()
    #expect(figures.residentBytes > 1 << 20 && figures.virtualBytes >= figures.residentBytes)
    #expect(figures.openDescriptors > 2 && figures.openDescriptors <= figures.descriptorLimit)
    #expect(figures.cpuSeconds > 0 && figures.threads > 0 && figures.startTime > 1.6e9)
  }
}
